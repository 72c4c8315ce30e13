"""What `repair` mends in the history, and the SQL that does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmigrate.model import Migration, MigrationStatus, State
from sqlmigrate.planning import planner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.history.history import History
    from sqlmigrate.model import Version


@dataclass(frozen=True, slots=True)
class Mend:
    """One thing that `repair` does: to which migration, what, and the SQL that does it."""

    migration: Migration
    what: str
    sql: str


def mends(migrations: Sequence[Migration], history: History, version: Version | None) -> list[Mend]:
    """What there is to mend, of one version or of all."""
    statuses = planner.statuses(migrations, history.rows())
    found = (_mend(one, history) for one in statuses if version is None or one.version == version)
    return [mend for mend in found if mend]


def _mend(one: MigrationStatus, history: History) -> Mend | None:
    match one:
        case MigrationStatus(state=State.CHANGED, migration=Migration() as migration):
            return Mend(migration, "take the checksum from disk", history.records.checksum_update(migration))
        case MigrationStatus(state=State.FAILED, applied=row) if row:
            lost = planner.lost_migration(row)
            return Mend(lost, "remove the row of the failed run", history.records.row_removal(lost))
        case MigrationStatus(state=State.MISSING, applied=row) if row and row.action != planner.LET_GO:
            lost = planner.lost_migration(row)
            return Mend(lost, "mark the file as gone", history.records.missing_file(lost, planner.LET_GO))
    return None
