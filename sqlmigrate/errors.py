"""Everything that can go wrong, as one tree.

    SqlMigrateError                 exit code 1
    ├── ConfigurationError          2    a setting or an argument that can't be used
    │   └── NoDatabaseConfigured         no setting names a database
    ├── ScriptError                 1    a file that can't be run as it stands
    ├── PlanRefused                 1    the plan has problems; all of them are in `problems`
    ├── DatabaseError               1    the server, or the way to it
    │   ├── ConnectionFailed             no connection could be made
    │   ├── ConnectionLost               a connection that was there is gone
    │   └── StatementFailed              the server refused a statement; carries its report
    ├── HistoryError                1    the history table is somebody else's, newer, or can't be written
    ├── MigrationFailed             1    a migration failed; `done` says what was finished before it
    ├── BackupFailed                1    no backup could be made, so nothing was migrated
    ├── LockNotAvailable            4    another run held the lock for all of `lock_wait`
    ├── LockLost                    1    the lock went away under a running migration
    ├── TimedOut                    1    the run took longer than `--timeout`
    └── Interrupted     129, 130, 143    SIGHUP, SIGINT or SIGTERM

Each has a message (one sentence), a location where there is one, and a hint: what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.model import Location, Problem, ServerReport, Step


class SqlMigrateError(Exception):
    """The root: whoever catches this catches everything that sqlmigrate raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, location: Location | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.hint = hint


class ConfigurationError(SqlMigrateError):
    """A setting, a configuration file or an argument that can't be used."""

    exit_code = 2


class NoDatabaseConfigured(ConfigurationError):
    """No setting names a database, and the command needs a connection."""


class ScriptError(SqlMigrateError):
    """A file that can't be run as it stands: not UTF-8, an open quote, a psql command of psql's own."""


class PlanRefused(SqlMigrateError):
    """The plan has problems; `problems` holds every one of them, not the first."""

    def __init__(self, problems: Sequence[Problem], hint: str = "") -> None:
        count = len(problems)
        super().__init__(f"nothing was run: {count} problem{'s' if count != 1 else ''}", hint=hint)
        self.problems = tuple(problems)


class DatabaseError(SqlMigrateError):
    """The server, or the way to it."""


class ConnectionFailed(DatabaseError):
    """No connection could be made."""


class ConnectionLost(DatabaseError):
    """A connection that was there is gone: what was in flight may or may not have been committed."""


class StatementFailed(DatabaseError):
    """The server refused a statement. `report` is what it said, field by field."""

    def __init__(self, report: ServerReport, location: Location | None = None, hint: str = "") -> None:
        super().__init__(report.message, location, hint or report.hint)
        self.report = report


class HistoryError(SqlMigrateError):
    """The history table is somebody else's, of a newer format, or not to be written by this role."""


class MigrationFailed(SqlMigrateError):
    """A migration failed. `step` is the one, `done` the steps that this run finished before it.

    The cause, most often a `StatementFailed`, is in `__cause__`.
    """

    def __init__(
        self, message: str, step: Step, done: Sequence[Step], location: Location | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, location, hint)
        self.step = step
        self.done = tuple(done)


class BackupFailed(SqlMigrateError):
    """The backup that was asked for could not be made, or not be read back; nothing was migrated."""


class LockNotAvailable(SqlMigrateError):
    """Another run held the migration lock for all of `lock_wait`."""

    exit_code = 4


class LockLost(SqlMigrateError):
    """The migration lock went away under a running migration, which was rolled back."""


class TimedOut(SqlMigrateError):
    """The run took longer than `--timeout`."""


_SIGNALS = {1: "SIGHUP", 2: "SIGINT", 15: "SIGTERM"}


class Interrupted(SqlMigrateError):
    """SIGINT, SIGTERM or SIGHUP; the exit code is 128 and the signal's number, as shells have it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {_SIGNALS[signal_number]}")
        self.exit_code = 128 + signal_number


# Names of earlier versions. Each is removed in the next minor version.
_DEPRECATED = {"LockNotHad": LockNotAvailable}


def __getattr__(name: str) -> type[SqlMigrateError]:
    if name not in _DEPRECATED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import warnings

    new = _DEPRECATED[name]
    warnings.warn(f"{__name__}.{name} is deprecated: use {new.__name__}", DeprecationWarning, stacklevel=2)
    return new
