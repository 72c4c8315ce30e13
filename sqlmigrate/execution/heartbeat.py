"""Reports once a second which step is running, for how long, and which statement of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlmigrate.events import Working
from sqlmigrate.server.program import program_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.server.monitor import Look


class Heartbeat:
    """Turns what the monitor saw into events. Without a monitor, it knows only the first step of a message."""

    def __init__(self, on_event: Callable[[Event], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_event = on_event
        self._clock = clock
        self._batch: dict[str, PreparedStep] = {}
        self._first: PreparedStep | None = None
        self._started = 0.0
        self._reported: tuple[str, int] = ("", 0)

    def begin(self, batch: Sequence[PreparedStep]) -> None:
        """Notes that these steps are sent; a step that is sent again goes on."""
        if batch[0] is not self._first:
            self._started = self._clock()
        self._first = batch[0]
        self._batch = {program_name(step.step.migration.id): step for step in batch}

    def beat(self, look: Look | None = None) -> None:
        """Reports the running step if another second of it has passed."""
        step = self._batch.get(look.name, self._first) if look else self._first
        if step is None:
            return
        seconds = int(self._clock() - max(self._started, look.latest if look else 0))
        identity = (step.step.migration.id, seconds)
        if seconds > 0 and identity != self._reported:
            self._reported = identity
            self._on_event(_working(step, seconds, look))


def _working(step: PreparedStep, seconds: int, look: Look | None) -> Working:
    statement = look.statement if look and look.name == program_name(step.step.migration.id) else 0
    if step.next < len(step.script.segments) and step.segment.statements == 1:
        statement = step.segment.end
    blockers = look.blockers if look else ()
    progress = next(iter(look.progress), None) if look else None
    return Working(step.step, seconds, statement, step.script.statements, blockers, progress)
