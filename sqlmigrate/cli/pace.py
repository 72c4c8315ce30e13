"""Chooses the events of a long wait that are written as lines: at growing intervals, not each second."""

from __future__ import annotations

from sqlmigrate.events import BackingUp, Blocked, Event, WaitingForLock, WaitingForServer, Working

# CI services end a job that prints nothing for about 10 minutes.
_MOMENTS = (1, 2, 5, 10, 30, 60, 120)
_LAST_INTERVAL = 300


class Pace:
    """The rhythm of one output: the first event of a wait is due, then those at 1, 2, 5, 10, 30 and 60 s, and so on."""

    def __init__(self) -> None:
        self._subject: object = None
        self._next = 0
        self._steps: dict[object, tuple[int, int]] = {}  # the last seconds, and the next ones
        self._blocked: object = None

    def is_due(self, event: Event) -> bool:
        """Whether to write the event; an event that does not repeat itself is always due."""
        if isinstance(event, Blocked):
            blockers = {(blocker.pid, blocker.prepared) for blocker in event.blockers}
            before, self._blocked = self._blocked, (event.application, blockers)
            return self._blocked != before
        if not isinstance(event, Working | WaitingForLock | WaitingForServer | BackingUp):
            return True
        subject = _subject(event)
        if isinstance(event, Working):  # several steps may run at the same time
            return self._is_step_due(subject, event.seconds)
        if subject == self._subject and event.seconds < self._next:
            return False
        self._subject, self._next = subject, _after(event.seconds)
        return True

    def _is_step_due(self, subject: object, seconds: int) -> bool:
        last, due = self._steps.get(subject, (0, 0))
        is_due = seconds >= due or seconds < last  # it has started again
        self._steps[subject] = seconds, _after(seconds) if is_due else due
        return is_due


def _after(seconds: int) -> int:
    """Returns the next moment at which a line is due."""
    later = (moment for moment in _MOMENTS if moment > seconds)
    return next(later, (seconds // _LAST_INTERVAL + 1) * _LAST_INTERVAL)


def _subject(event: Event) -> object:
    """Returns what the event is about; another holder of the lock is worth a line of its own."""
    match event:
        case Working(step):
            return step.migration.id
        case WaitingForLock(holder):
            return holder.pid if holder else None
        case WaitingForServer(reason):
            return reason
    return type(event)
