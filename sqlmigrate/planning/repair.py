"""What `repair` changes in the history table, and the SQL that does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmigrate.errors import PlanRefused
from sqlmigrate.model import Migration, MigrationStatus, State
from sqlmigrate.planning import planner

if TYPE_CHECKING:
    from sqlmigrate.files.source import MigrationFiles
    from sqlmigrate.history.history import History
    from sqlmigrate.model import Version


@dataclass(frozen=True, slots=True)
class Repair:
    """A change to the row of one migration; `what` describes it, `sql` makes it."""

    migration: Migration
    what: str
    sql: str


def repairs(files: MigrationFiles, history: History, version: Version | None) -> list[Repair]:
    """Returns the repairs of one version, or of all.

    Raises:
        PlanRefused: The version does not exist, or two files have the same version.
    """
    if ambiguous := [problem for problem in files.problems if problem.code == "duplicate-version"]:
        raise PlanRefused(ambiguous)  # a repair could use the checksum of the wrong file
    statuses = planner.statuses(files.migrations, history.rows())
    selected = [status for status in statuses if version is None or status.version == version]
    if version is not None and not selected:
        raise PlanRefused([planner.unknown_version(version, statuses)])
    return [repair for status in selected if (repair := _repair(status, history))]


def _repair(status: MigrationStatus, history: History) -> Repair | None:
    match status:
        case MigrationStatus(state=State.CHANGED, migration=Migration() as migration):
            return Repair(
                migration, "update the checksum to that of the file", history.records.checksum_update(migration)
            )
        case MigrationStatus(state=State.FAILED, applied=row) if row:
            migration = planner.migration_of(row)
            return Repair(migration, "delete the row of the failed run", history.records.row_removal(migration))
        case MigrationStatus(state=State.MISSING, applied=row) if row and row.action != planner.FILE_REMOVED:
            migration = planner.migration_of(row)
            mark = history.records.missing_file(migration, planner.FILE_REMOVED)
            return Repair(migration, "mark the file as removed", mark)
    return None
