"""The vocabulary: what the rest of the program talks about. Nothing here does anything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class Version(NamedTuple):
    """`V2.0.0-001` in a file name, `v2.0.0-001` in print; ordered as numbers."""

    major: int
    minor: int
    patch: int
    sequence: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}-{self.sequence:03d}"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file. Lines and columns count from 1, columns in characters; `text` is the line itself."""

    path: str
    line: int | None = None
    column: int | None = None
    text: str = ""

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)


class ProblemLevel(Enum):
    """How bad a problem is: an error stops `migrate`, a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person has to decide or mend. `code` is stable, for scripts to look for."""

    code: str
    message: str
    location: Location | None = None
    hint: str = ""
    level: ProblemLevel = ProblemLevel.ERROR


@dataclass(frozen=True, slots=True)
class Migration:
    """One versioned change as it lies on disk; a repeatable one has no version.

    `id` is its name in the history: `v2.0.0-001`, or `R__refresh_views`. `checksum` is that of the up file; `stamp` is
    what `source.stamp` said of it when it was read.
    """

    id: str
    version: Version | None
    name: str
    up: str
    checksum: str
    down: str | None = None
    stamp: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of the history table, its columns in the table's order.

    `success` is the word on the whole: while it is false, `action` says which way the script was going,
    `statements_done` how many of its statements are committed, `statements_begun` how many were begun
    (one more, where a statement that can't run in a transaction may or may not have ended).
    `done_checksum` is that of the text of the statements done.
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


class Action(Enum):
    """What a step does, in the words that the history and the log use."""

    APPLY = "apply"
    ROLL_BACK = "rollback"
    HOOK = "hook"


class State(Enum):
    """Where a migration stands."""

    APPLIED = "applied"
    PENDING = "pending"
    FAILED = "failed"
    PARTIAL = "partial"
    CHANGED = "changed"
    MISSING = "missing"
    OUT_OF_ORDER = "out of order"


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """A migration and where it stands: its file, its row, or both."""

    id: str
    version: Version | None
    name: str
    state: State
    migration: Migration | None
    applied: Applied | None


@dataclass(frozen=True, slots=True)
class Step:
    """A migration and the action to take on it; `row` is its history row as the plan saw it."""

    migration: Migration
    action: Action
    row: Applied | None = None

    @property
    def path(self) -> str:
        """The file to run: the up file to apply, the down file to roll back."""
        down = self.migration.down
        return down if self.action is Action.ROLL_BACK and down is not None else self.migration.up


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a plan is to be made for.

    `version` is the last one to apply, or the one to go back to; `steps` is how many to take back.
    """

    action: Action
    version: Version | None = None
    steps: int | None = None
    out_of_order: bool = False


@dataclass(frozen=True, slots=True)
class Hooks:
    """The SQL files that run around migrations, each of them as a migration without a version, where it is there."""

    before_migrate: Migration | None = None
    after_migrate: Migration | None = None
    before_each: Migration | None = None
    after_each: Migration | None = None
    after_error: Migration | None = None

    @property
    def present(self) -> tuple[Migration, ...]:
        """Those that are there."""
        hooks = (self.before_migrate, self.after_migrate, self.before_each, self.after_each, self.after_error)
        return tuple(hook for hook in hooks if hook)

    @property
    def around(self) -> tuple[Migration, ...]:
        """The configured hooks that are not steps of a plan: they run around each step, or after an error."""
        return tuple(hook for hook in (self.before_each, self.after_each, self.after_error) if hook)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done and what stands in its way. Hooks that run once are steps; the others are in `hooks`."""

    steps: tuple[Step, ...]
    problems: tuple[Problem, ...] = ()
    hooks: Hooks = Hooks()

    @property
    def migrations(self) -> tuple[Step, ...]:
        """The steps without the hooks."""
        return tuple(step for step in self.steps if step.action is not Action.HOOK)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a run."""
        return tuple(problem for problem in self.problems if problem.level is ProblemLevel.ERROR)


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What PostgreSQL said of an error, its fields under libpq's names; `position` counts characters from 1."""

    message: str
    sqlstate: str
    detail: str = ""
    hint: str = ""
    context: str = ""
    position: int | None = None
    internal_query: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """The backend that holds the lock."""

    pid: int
    user: str
    application: str
    host: str
    state: str
    since: datetime
    query: str

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.user}, {self.application}, from {self.host})"


@dataclass(frozen=True, slots=True)
class Blocker:
    """A backend that holds what we wait for; `age` is that of its transaction, in seconds."""

    pid: int
    user: str
    application: str
    state: str
    age: float
    query: str

    def __str__(self) -> str:
        name = self.application or "no name"
        query = " ".join(self.query.split())[:100]
        return f"pid {self.pid} ({self.user}, {name}, {self.state} for {self.age:.0f} s): {query}"


class Progress(NamedTuple):
    """How far a script of several segments is."""

    statements: int
    done: int
    begun: int
    done_checksum: str


class Backup(NamedTuple):
    """A file that was read back, and the command that goes back to it, for a shell and without a password."""

    path: str
    restore: str


@dataclass(frozen=True, slots=True)
class Run:
    """What a run did: its steps in order, and warnings; and the backup that was made before it."""

    steps: tuple[Step, ...]
    warnings: tuple[Problem, ...] = ()
    backup: Backup | None = None
