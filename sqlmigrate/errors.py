"""All errors that sqlmigrate raises, as one tree.

    SqlMigrateError                 exit code 1
    ├── ConfigurationError          2    invalid setting, configuration file or argument
    │   └── NoDatabaseConfigured         no setting names a database
    ├── ScriptError                 1    invalid script
    ├── PlanRefused                 1    the plan has problems: see `problems`
    ├── DatabaseError               1    error of the server or the connection
    │   ├── ConnectionFailed             could not connect
    │   ├── ConnectionLost               the connection was lost during the run
    │   └── StatementFailed              the server reported an error: see `report`
    │       └── RecordFailed             sqlmigrate could not record a script, because of what the script did
    ├── HistoryError                1    unusable history table
    ├── MigrationFailed             1    a migration failed: see `step` and `done`
    ├── BackupFailed                1    could not make the backup; nothing was migrated
    ├── LockNotAvailable            4    could not obtain the migration lock in time
    ├── LockLost                    1    the migration lock was lost during a migration
    ├── TimedOut                    1    the run exceeded `--timeout`
    └── Interrupted     129, 130, 143    SIGHUP, SIGINT or SIGTERM

Each error has a message and a hint (what to do next), and may have a location. Its `str`, the last line of a
traceback, contains the location and the message; that of `PlanRefused` contains its first problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.model import Location, Problem, ServerReport, Step


class SqlMigrateError(Exception):
    """The base class of all errors that sqlmigrate raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, location: Location | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.location}: {self.message}" if self.location else self.message


class ConfigurationError(SqlMigrateError):
    """A setting, a configuration file or an argument is invalid."""

    exit_code = 2


class NoDatabaseConfigured(ConfigurationError):
    """No setting names a database, and the command needs a connection."""


class ScriptError(SqlMigrateError):
    """A script is invalid: not UTF-8, an unterminated quoted string, an unsupported psql meta-command."""


class PlanRefused(SqlMigrateError):
    """The plan has problems; `problems` contains all of them.

    `prevents_run` is false for a command that only reads.
    """

    def __init__(self, problems: Sequence[Problem], hint: str = "", *, prevents_run: bool = True) -> None:
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"nothing was run: {count}" if prevents_run else problems[0].message, hint=hint)
        self.problems = tuple(problems)
        self.prevents_run = prevents_run

    def __str__(self) -> str:
        if not self.problems:
            return self.message
        first, *others = self.problems
        place = f"{first.location}: " if first.location else ""
        more = f" (and {len(others)} more)" if others else ""
        text = f"{place}{first.message} [{first.code}]{more}"
        return f"nothing was run: {text}" if self.prevents_run else text


class DatabaseError(SqlMigrateError):
    """The server or the connection to it reported an error."""


class ConnectionFailed(DatabaseError):
    """The client could not connect to the server."""


class ConnectionLost(DatabaseError):
    """The connection was lost; the transaction that was running may or may not have been committed."""


class StatementFailed(DatabaseError):
    """The server reported an error for a statement; `report` contains its fields."""

    def __init__(self, report: ServerReport, location: Location | None = None, hint: str = "") -> None:
        super().__init__(report.message, location, hint or report.hint)
        self.report = report


class RecordFailed(StatementFailed):
    """A statement of sqlmigrate failed behind a script: the script changed the history tables or the session."""


class HistoryError(SqlMigrateError):
    """The history table belongs to another program, has a newer format, or cannot be created by this role."""


class MigrationFailed(SqlMigrateError):
    """A migration failed. `step` is its step, `done` contains the steps that this run completed before it.

    `__cause__` is the cause, usually a `StatementFailed`.
    """

    def __init__(
        self, message: str, step: Step, done: Sequence[Step], location: Location | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, location, hint)
        self.step = step
        self.done = tuple(done)


class BackupFailed(SqlMigrateError):
    """The requested backup could not be made or verified; nothing was migrated."""


class LockNotAvailable(SqlMigrateError):
    """Another run held the migration lock for all of `lock_wait`."""

    exit_code = 4


class LockLost(SqlMigrateError):
    """The migration lock was lost while a migration ran; the migration was rolled back."""


class TimedOut(SqlMigrateError):
    """The run took longer than `--timeout`."""


_SIGNALS = {1: "SIGHUP", 2: "SIGINT", 15: "SIGTERM"}


class Interrupted(SqlMigrateError):
    """A signal interrupted the run: SIGINT, SIGTERM or SIGHUP. The exit code is 128 plus the signal's number."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {_SIGNALS[signal_number]}")
        self.exit_code = 128 + signal_number


class SignalReceived(KeyboardInterrupt):
    """A signal, on its way through libraries that catch `Exception`; the command line reports `error` in its place."""

    def __init__(self, error: SqlMigrateError) -> None:
        super().__init__(error.message)
        self.error = error


# Names of earlier versions. Each is removed in the next minor version.
_DEPRECATED = {"LockNotHad": LockNotAvailable}


def __getattr__(name: str) -> type[SqlMigrateError]:
    if name not in _DEPRECATED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import warnings

    new = _DEPRECATED[name]
    warnings.warn(f"{__name__}.{name} is deprecated: use {new.__name__}", DeprecationWarning, stacklevel=2)
    return new
