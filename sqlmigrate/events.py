"""The events of a run, for a callback. They contain only data; `render` converts them to text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.model import Blocker, Holder, Step


class Event:
    """The base class of all events."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


@dataclass(frozen=True, slots=True)
class WaitingForServer(Event):
    """The server is not up yet; `reason` is that of the last attempt to connect, after some seconds of waiting."""

    reason: str
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class WaitingForLock(Event):
    """Another run holds the migration lock, after some seconds of waiting.

    `holder` is None if the lock was released meanwhile.
    """

    holder: Holder | None
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class BackingUp(Event):
    """pg_dump starts, under the lock and before the first step, or has been running for some seconds."""

    directory: str
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class BackedUp(Event):
    """The backup was made and verified; `restore` is the command that restores it, `size` is in bytes."""

    path: str
    restore: str
    size: int


@dataclass(frozen=True, slots=True)
class Began(Event):
    """A run started, under the lock; `run_id` is its identifier in the log, `backend_pid` its backend."""

    run_id: str
    backend_pid: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Running(Event):
    """A step was sent to the server; it may be the first of several steps in one message."""

    step: Step


@dataclass(frozen=True, slots=True)
class Ran(Event):
    """A statement ran; `line` is its line in the file, `statement` the start of its text, without a password.

    Only reported with the setting `log_level` "debug". A later statement of the same transaction may still fail.
    """

    step: Step
    line: int
    statement: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """A step was completed and recorded."""

    step: Step
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Blocked(Event):
    """The running statement waits for locks of other backends."""

    application: str
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class Advancing(Event):
    """The progress of a long statement, in blocks or rows; `total` is 0 if the server does not report it."""

    application: str
    what: str
    done: int
    total: int
    unit: str = "blocks"

    def __str__(self) -> str:
        command, separator, phase = self.what.partition(": ")
        amount = f" {self.done:,} {self.unit}" if self.done else ""
        if self.total:
            amount = f" {min(100 * self.done // self.total, 100)} % of {self.total:,} {self.unit}"
        return f"{command}{amount}{separator}{phase}"  # a narrow terminal cuts the phase


@dataclass(frozen=True, slots=True)
class Working(Event):
    """A step is still running, `seconds` after it started.

    `statement` is the number of the running statement, from 1, or 0 if it is not known; `statements` is how many the
    script has. `blockers` are the sessions for whose locks the statement waits, `progress` is how far it is.
    """

    step: Step
    seconds: int
    statement: int = 0
    statements: int = 0
    blockers: tuple[Blocker, ...] = ()
    progress: Advancing | None = None


@dataclass(frozen=True, slots=True)
class Retrying(Event):
    """A step was rolled back after a temporary error, and is retried after `pause` seconds."""

    step: Step
    reason: str
    blockers: tuple[Blocker, ...]
    pause: float


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    """A step, or a statement of it, failed; the run ends when those that run beside it have ended."""

    step: Step
    message: str


@dataclass(frozen=True, slots=True)
class Said(Event):
    """Information about a step: for example, that its script runs in several segments."""

    step: Step
    message: str


@dataclass(frozen=True, slots=True)
class PassedOver(Event):
    """A psql meta-command that only controls psql was skipped; `command` includes its location."""

    step: Step
    command: str


# A loop raises thousands of notices, and a frozen one takes four times as long to create.
@dataclass(slots=True, unsafe_hash=True)
class Notice(Event):
    """A notice or warning of the server, as psql shows it; `has_next` is true if another one follows at once."""

    severity: str
    message: str
    has_next: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something outside the migrations failed; the run continues."""

    message: str


# They report a state, which the next event ends.
LIVE = (WaitingForServer, WaitingForLock, BackingUp, Running, Working)

_LEVELS: dict[type[Event], str] = {
    WaitingForServer: "warning",
    WaitingForLock: "warning",
    Blocked: "warning",
    Retrying: "warning",
    StepFailed: "warning",
    Warned: "warning",
    BackingUp: "debug",
    Began: "debug",
    Running: "debug",
    Ran: "debug",
    PassedOver: "debug",
    Advancing: "debug",
}


def level_of(event: Event) -> str:
    """Returns the log level of an event: warning, info or debug."""
    if isinstance(event, Notice):
        return "warning" if event.severity == "WARNING" else "info"
    if isinstance(event, BackingUp) and event.seconds:
        return "info"
    return _LEVELS.get(type(event), "info")
