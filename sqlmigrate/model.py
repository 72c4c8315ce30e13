"""The vocabulary: the types that all parts of the program share. They hold data, and have no behavior."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

# The oldest major version of PostgreSQL that sqlmigrate supports.
OLDEST_POSTGRES = 14


class Version(NamedTuple):
    """A version, ordered by its numbers: `V2.0.0-001` in a file name, `v2.0.0-001` in output and in the history."""

    major: int
    minor: int
    patch: int
    sequence: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}-{self.sequence:03d}"


class Location(NamedTuple):
    """A location in a file. Lines and columns start at 1, columns count characters; `text` is the text of the line."""

    path: str
    line: int | None = None
    column: int | None = None
    text: str = ""

    def __str__(self) -> str:
        if self.line is None:
            return self.path
        return f"{self.path}:{self.line}" if self.column is None else f"{self.path}:{self.line}:{self.column}"


class ProblemLevel(Enum):
    """The severity of a problem: an error stops `migrate`, a warning is only shown."""

    ERROR = "error"
    WARNING = "warning"


class Problem(NamedTuple):
    """Something that the user has to decide or fix. `code` does not change, so that scripts can rely on it."""

    code: str
    message: str
    location: Location | None = None
    hint: str = ""
    level: ProblemLevel = ProblemLevel.ERROR


class Migration(NamedTuple):
    """A migration on disk: versioned, or repeatable and without a version.

    `id` is its name in the history table: `v2.0.0-001`, or `R__refresh_views`. `checksum` is that of the up file.
    """

    id: str
    version: Version | None
    name: str
    up: str
    checksum: str
    down: str | None = None


class Applied(NamedTuple):
    """A row of the history table; the fields are the columns, in the same order.

    While `success` is false, the script is unfinished: `action` is its direction, `statements_done` the number of its
    committed statements, and `statements_begun` the number of started statements. They differ by one if a statement
    that cannot run inside a transaction block was started and its end is unknown, and by more if several were started
    side by side; `begun_state` is what existed before, see `execution.catalog` and `execution.several`.
    `done_checksum` is the checksum of the text of the committed statements. `session` is JSON with the state of the
    session after them: see `execution.resumption`; it is empty if it was not recorded.
    """

    id: str
    name: str
    description: str
    checksum: str
    executed_at: datetime
    duration_ms: int
    executed_by: str
    success: bool
    error_msg: str
    action: str
    statements: int
    statements_done: int
    statements_begun: int
    done_checksum: str
    session: str = ""
    begun_state: str = ""

    @property
    def took(self) -> int | None:
        """The duration in milliseconds; None if the migration was marked as applied without running it."""
        return None if self.action == "baseline" else self.duration_ms


class Action(Enum):
    """What a step does; the values are stored in the history table and in the log table."""

    APPLY = "apply"
    ROLL_BACK = "rollback"
    HOOK = "hook"


class State(Enum):
    """The state of a migration, from its file and its row; RUNNING if a run that holds the lock has come to it.

    SUPERSEDED is a repeatable migration of an older release: a newer release has run another version of its file.
    """

    APPLIED = "applied"
    PENDING = "pending"
    FAILED = "failed"
    PARTIAL = "partial"
    CHANGED = "changed"
    MISSING = "missing"
    OUT_OF_ORDER = "out of order"
    SUPERSEDED = "superseded"
    RUNNING = "running"


class MigrationStatus(NamedTuple):
    """A migration and its state. It has a file (`migration`), a row (`applied`), or both."""

    id: str
    version: Version | None
    name: str
    state: State
    migration: Migration | None
    applied: Applied | None


class Step(NamedTuple):
    """A migration and the action to take on it; `row` is its row in the history table when the plan was made."""

    migration: Migration
    action: Action
    row: Applied | None = None

    @property
    def path(self) -> str:
        """The file to run: the up file, or the down file for a rollback."""
        return (self.action is Action.ROLL_BACK and self.migration.down) or self.migration.up


class PlanRequest(NamedTuple):
    """The input from which a plan is made.

    `version` is the last version to apply, or the version to roll back to. `steps` is the number of migrations to roll
    back.
    """

    action: Action
    version: Version | None = None
    steps: int | None = None
    out_of_order: bool = False


class Hooks(NamedTuple):
    """The configured hooks: SQL files that run around migrations, each as a migration without a version."""

    before_migrate: Migration | None = None
    after_migrate: Migration | None = None
    before_each: Migration | None = None
    after_each: Migration | None = None
    after_error: Migration | None = None

    @property
    def present(self) -> tuple[Migration, ...]:
        """The configured hooks."""
        hooks = (self.before_migrate, self.after_migrate, self.before_each, self.after_each, self.after_error)
        return tuple(hook for hook in hooks if hook)

    @property
    def around(self) -> tuple[Migration, ...]:
        """The configured hooks that are not steps of a plan: they run around each step, or after an error."""
        return tuple(hook for hook in (self.before_each, self.after_each, self.after_error) if hook)


class Wave(NamedTuple):
    """Consecutive steps that run side by side, or a single step.

    `reason` states why the next step is not among them, or why the only one runs alone; it may be empty.
    `statements` are the first and the last number of statements of the only step that run side by side.
    """

    steps: tuple[Step, ...]
    reason: str = ""
    statements: tuple[tuple[int, int], ...] = ()


class Plan(NamedTuple):
    """Steps to run, and the problems found. Hooks that run once are steps; the other hooks are in `hooks`.

    If the plan was made for several `connections`, it has `waves`.
    """

    steps: tuple[Step, ...]
    problems: tuple[Problem, ...] = ()
    hooks: Hooks = Hooks()
    connections: int = 1
    waves: tuple[Wave, ...] = ()

    @property
    def migrations(self) -> tuple[Step, ...]:
        """The steps without the hooks."""
        return tuple(step for step in self.steps if step.action is not Action.HOOK)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a run."""
        return tuple(problem for problem in self.problems if problem.level is ProblemLevel.ERROR)


class ServerReport(NamedTuple):
    """An error message of PostgreSQL, field by field, with libpq's names; `position` counts characters from 1."""

    message: str
    sqlstate: str
    detail: str = ""
    hint: str = ""
    context: str = ""
    position: int | None = None
    internal_query: str = ""
    source_function: str = ""


class Holder(NamedTuple):
    """The backend that holds the migration lock.

    `host` and `state` are empty if this role may not see the activity of the other one.
    """

    pid: int
    user: str
    application: str
    host: str
    state: str
    since: datetime | None  # None if this role may not see the other one's activity
    query: str

    def __str__(self) -> str:
        host = f", from {self.host}" if self.host else ""
        return f"pid {self.pid} ({self.user}, {self.application or 'no application name'}{host})"


class Blocker(NamedTuple):
    """A backend that holds a lock for which the run waits; `age` is that of its transaction, in seconds.

    A prepared transaction has `pid` 0 and state "prepared"; `application` is its identifier, `query` the commands that
    end it. If this role may not see the activity of the other one, `state` is empty.
    """

    pid: int
    user: str
    application: str
    state: str
    age: float
    query: str

    @property
    def prepared(self) -> str:
        """The identifier of a prepared transaction; empty for a backend."""
        return "" if self.pid else self.application

    def __str__(self) -> str:
        if not self.pid:
            return f'prepared transaction "{self.application}" ({self.user}, {self.age:.0f} s old): {self.query}'
        name = self.application or "no application name"
        if not self.state:
            return f"pid {self.pid} ({self.user}, {name}): only members of pg_read_all_stats see its query"
        query = " ".join(self.query.split())[:100]
        return f"pid {self.pid} ({self.user}, {name}, {self.state} for {self.age:.0f} s): {query}"


class Progress(NamedTuple):
    """How far a script of several segments has run; see `Applied`."""

    statements: int
    done: int
    begun: int
    done_checksum: str


class Backup(NamedTuple):
    """A verified backup file, and the shell command that restores it, without a password."""

    path: str
    restore: str


class RunSummary(NamedTuple):
    """Where a run left the database: the newest applied version, how many migrations are pending, and how long it took.

    The duration is in milliseconds, without the wait for the migration lock and without the backup.
    """

    version: Version | None
    pending: int
    duration_ms: int


class Run(NamedTuple):
    """The result of a run: its steps in order, its warnings, the backup that was made before it, and its summary."""

    steps: tuple[Step, ...]
    warnings: tuple[Problem, ...] = ()
    backup: Backup | None = None
    summary: RunSummary | None = None


class Health(NamedTuple):
    """The result of `check`: the pending migrations, and the problems of files and history."""

    pending: tuple[MigrationStatus, ...]
    problems: tuple[Problem, ...]

    @property
    def up_to_date(self) -> bool:
        """Whether no migration is pending and no problem is an error."""
        return not self.pending and not any(problem.level is ProblemLevel.ERROR for problem in self.problems)
