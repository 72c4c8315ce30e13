"""The lock modes of a table, and a lock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import total_ordering


@total_ordering
class Mode(Enum):
    """PostgreSQL's eight lock modes of a table, from the weakest to the strongest."""

    ACCESS_SHARE = "ACCESS SHARE"
    ROW_SHARE = "ROW SHARE"
    ROW_EXCLUSIVE = "ROW EXCLUSIVE"
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    SHARE = "SHARE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    EXCLUSIVE = "EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

    @property
    def number(self) -> int:
        """PostgreSQL's own number of it, 1 to 8."""
        return list(Mode).index(self) + 1

    @property
    def blocks_reads(self) -> bool:
        """Whether a SELECT has to wait."""
        return self is Mode.ACCESS_EXCLUSIVE

    @property
    def blocks_writes(self) -> bool:
        """Whether INSERT, UPDATE and DELETE have to wait: what they take is ROW EXCLUSIVE."""
        return self >= Mode.SHARE

    def __lt__(self, other: Mode) -> bool:
        return self.number < other.number


@dataclass(frozen=True, slots=True)
class TableLock:
    """A lock that a statement takes, and what is done while it is held where the statement alone tells.

    `relation` is named as the statement names it; an index or a sequence is among them where the statement is about it.
    """

    relation: str
    mode: Mode
    work: str = ""
