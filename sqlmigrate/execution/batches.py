"""Chooses the steps that travel in one message, and builds the next message while the server runs one."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import SqlMigrateError
from sqlmigrate.execution.envelope import MESSAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlmigrate.execution.envelope import Envelope
    from sqlmigrate.execution.message import Message
    from sqlmigrate.execution.prepared import PreparedStep

# The number of migrations in one message: at first, at most, and the duration of a message in seconds above which the
# next message has fewer. The client cannot report any migration of a message before the server has answered it all.
_MIN, _MAX, _SECONDS = 64, 256, 2


class Batch(NamedTuple):
    """Ordinary steps, from a position in the plan, and their messages."""

    position: int
    steps: list[PreparedStep]
    messages: Iterable[Message]


class Batches:
    """The batches of a plan, up to the step before the position `end`.

    With `skips_resets`, the session is not reset after steps that cannot change it.
    """

    def __init__(self, prepared: Sequence[PreparedStep], envelope: Envelope) -> None:
        self._prepared = prepared
        self._envelope = envelope
        self._count = _MIN
        self._ahead: Batch | None = None
        self.skips_resets = False
        self.end = len(prepared)

    def at(self, position: int) -> Batch:
        """Returns the batch that begins at a position; it is empty if the step there is not ordinary."""
        ahead, self._ahead = self._ahead, None
        return ahead if ahead is not None and ahead.position == position else self._chosen(position)

    def look_ahead(self, position: int) -> None:
        """Builds the messages of the batch at a position, if it is not built yet."""
        if self._ahead is None and position < self.end:
            batch = self._chosen(position)
            with suppress(SqlMigrateError):  # raised when it is the batch's turn
                self._ahead = batch._replace(messages=list(batch.messages))

    def adapt(self, seconds: float) -> None:
        """Chooses the number of steps in the next messages by the duration of one."""
        self._count = min(self._count * 2, _MAX) if seconds < _SECONDS else max(self._count // 2, 1)

    def _chosen(self, position: int) -> Batch:
        steps: list[PreparedStep] = []
        size = 0
        for step in islice(self._prepared, position, min(position + self._count, self.end)):
            size += step.script.segments[0].size if step.ordinary else MESSAGE_SIZE
            if size >= MESSAGE_SIZE:
                break
            step.keeps_session = self.skips_resets and step.is_plain
            steps.append(step)
        return Batch(position, steps, self._envelope.messages(steps))
