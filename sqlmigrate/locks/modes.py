"""The lock modes of a table, and locks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import total_ordering
from typing import NamedTuple


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
        """PostgreSQL's number of the mode, 1 to 8."""
        return list(Mode).index(self) + 1

    @property
    def blocks_reads(self) -> bool:
        """Whether a SELECT waits."""
        return self is Mode.ACCESS_EXCLUSIVE

    @property
    def blocks_writes(self) -> bool:
        """Whether INSERT, UPDATE and DELETE wait: they take ROW EXCLUSIVE."""
        return self >= Mode.SHARE

    @property
    def effect(self) -> str:
        """Which operations of others the mode blocks, in words."""
        if self.blocks_reads:
            return "blocks reads and writes"
        return "blocks writes" if self.blocks_writes else "blocks neither reads nor writes"

    def __lt__(self, other: Mode) -> bool:
        return self.number < other.number


@dataclass(frozen=True, slots=True)
class TableLock:
    """The strongest lock of a statement on a relation, and the work that it does under the lock, if its text shows it.

    `relation` is the name as the statement writes it. An index or a sequence counts where the statement is about it.
    """

    relation: str
    mode: Mode
    work: str = ""


class NamedLock(NamedTuple):
    """One of the locks of a statement; `name` holds the parts of the relation's name."""

    name: tuple[str, ...]
    mode: Mode
    work: str = ""
