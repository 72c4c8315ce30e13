"""What one statement did, as the server showed it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sqlmigrate.locks import Mode


class StandingRelation(NamedTuple):
    """A relation that stood before the first statement.

    `name` is its qualified name as SQL, `plain` its name without quotes and schema, `kind` the `relkind` of pg_class.
    `parent` is the qualified name of the table of an index, or empty.
    """

    name: str
    plain: str
    kind: str
    parent: str = ""


class TakenLock(NamedTuple):
    """A lock that a statement took, or made stronger; the transaction holds it to its end."""

    subject: StandingRelation
    mode: Mode


class Doing(Enum):
    """What takes time in proportion to the size of a table."""

    REWRITES = "rewrites"
    SCANS = "scans"
    BUILDS = "builds"
    CHECKS = "checks"


@dataclass(frozen=True, slots=True)
class Effort:
    """Work on a table that stood before: a rewrite, a scan, the build of an index, the check of a foreign key.

    `name` is the name of the index or of the foreign key, `method` the access method of the index, `other` the table
    that the foreign key references.
    """

    doing: Doing
    subject: StandingRelation
    name: str = ""
    method: str = ""
    other: str = ""


class TouchedRows(NamedTuple):
    """How many rows of a table a statement wrote, how often it scanned the table, and how many rows it read in scans.

    An update of a row that the same statement inserted counts, too.
    """

    relation: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    scans: int = 0
    read: int = 0

    @property
    def written(self) -> int:
        """How many rows were written."""
        return self.inserted + self.updated + self.deleted


@dataclass(frozen=True, slots=True)
class Effects:
    """What one statement did.

    `ms` is its duration, without the round trip. `affected` is the number of rows in its command tag, None if the tag
    has none. `rows` has the existing tables that it wrote or scanned. `wal` is how much WAL the server wrote meanwhile,
    in bytes; other sessions count. `is_alone` means that it ran outside a transaction: no locks were observed.
    """

    ms: float
    locks: tuple[TakenLock, ...] = ()
    efforts: tuple[Effort, ...] = ()
    rows: tuple[TouchedRows, ...] = ()
    tag: str = ""
    affected: int | None = None
    wal: int = 0
    is_alone: bool = False
