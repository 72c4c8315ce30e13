"""What a run tells while it happens, for whoever listens. Data only; `render` makes text of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.model import Blocker, Holder, Step


@dataclass(frozen=True, slots=True)
class Event:
    """The root of all events."""


@dataclass(frozen=True, slots=True)
class WaitingForLock(Event):
    """Another run has the migration lock; its holder is None where it went away in this moment."""

    holder: Holder | None


@dataclass(frozen=True, slots=True)
class BackingUp(Event):
    """pg_dump is started, under the lock and before the first step."""

    directory: str


@dataclass(frozen=True, slots=True)
class BackedUp(Event):
    """The backup is made and was read back; `restore` is the command that goes back to it, `size` is in bytes."""

    path: str
    restore: str
    size: int


@dataclass(frozen=True, slots=True)
class Began(Event):
    """A run begins, under the lock; `run_id` is what the log calls it, `backend_pid` the server's process."""

    run_id: str
    backend_pid: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Running(Event):
    """A step was sent to the server; several may travel together, and this is the first of them."""

    step: Step


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """A step is done and recorded."""

    step: Step
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Blocked(Event):
    """What runs waits for others."""

    application: str
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class Advancing(Event):
    """How far the server is with a long statement; `total` is 0 where it does not say."""

    application: str
    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Retrying(Event):
    """A step was rolled back for a passing reason and is tried again after a pause, in seconds."""

    step: Step
    reason: str
    blockers: tuple[Blocker, ...]
    pause: float


@dataclass(frozen=True, slots=True)
class Said(Event):
    """Something to know that stops nothing: a script is run in parts, or was begun again."""

    step: Step
    message: str


@dataclass(frozen=True, slots=True)
class PassedOver(Event):
    """A command of psql's that only steers psql, with its place."""

    step: Step
    command: str


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """What the server said aside, as psql shows it."""

    severity: str
    message: str


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something beside the run went wrong; the run itself goes on."""

    message: str


_LEVELS: dict[type[Event], str] = {
    WaitingForLock: "warning",
    Blocked: "warning",
    Retrying: "warning",
    Warned: "warning",
    BackingUp: "debug",
    Began: "debug",
    Running: "debug",
    PassedOver: "debug",
    Advancing: "debug",
}


def level_of(event: Event) -> str:
    """How much an event matters: warning, info or debug."""
    if isinstance(event, Notice):
        return "warning" if event.severity == "WARNING" else "info"
    return _LEVELS.get(type(event), "info")
