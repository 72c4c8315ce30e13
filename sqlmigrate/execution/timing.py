"""The duration of each statement of a message, by the server's clock: the server sends all results together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.events import Ran
from sqlmigrate.sql.text import Sql

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.message import Message, Part
    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.model import Step
    from sqlmigrate.server.connection import Result

_CLOCK = "select extract(epoch from pg_catalog.clock_timestamp())"
END = Sql(f"{_CLOCK};\n", 1)
# SET TRANSACTION must come before any query, and SELECT is one.
_NEEDS_NO_QUERY = re.compile(r"\b(?:isolation|snapshot|deferrable)\b", re.IGNORECASE)
_SECRET = re.compile(r"\bpassword\b.*", re.IGNORECASE | re.DOTALL)
_LONGEST = 100


def mark(name: str) -> str:
    """Returns the statement that reads the clock; it also sets application_name to a literal, if one is given."""
    setting = f" from pg_catalog.set_config('application_name', {name}, true)" if name else ""
    return f"{_CLOCK}{setting};"


def is_timed(step: PreparedStep, part: Part) -> bool:
    """Returns whether the statements of a part can be timed: each must have an offset in it."""
    has_starts = part.piece is not None and len(part.piece.starts) == part.piece.statements
    is_first = part.piece is not None and part.piece == step.segment.pieces[0]
    return has_starts and not (is_first and _NEEDS_NO_QUERY.search(part.text))


class _Started(NamedTuple):
    step: Step
    line: int
    statement: str
    seconds: float


class StatementTimes:
    """Reports each statement of a batch when the result of the next clock arrives."""

    def __init__(self, batch: Sequence[PreparedStep], on_event: Callable[[Event], None]) -> None:
        self._batch = batch
        self._on_event = on_event
        self._running: _Started | None = None

    def take(self, message: Message, count: int, result: Result) -> None:
        """Takes the result that follows `count` others of a message."""
        part, number = message.at_result(count)
        is_mark = bool(part.marks) and part.text.startswith(_CLOCK, part.marks[0][0])
        if not (part.text == END.text or (is_mark and number % 2 == 0)):
            return
        seconds = float(result.value or 0)
        if self._running is not None:
            step, line, statement, began = self._running
            self._on_event(Ran(step, line, statement, round((seconds - began) * 1000)))
        self._running = self._started(part, number // 2, seconds) if is_mark else None

    def _started(self, part: Part, number: int, seconds: float) -> _Started | None:
        if part.piece is None or number >= len(part.piece.starts):
            return None
        text = part.plain
        start, end = [*part.piece.starts, len(text)][number : number + 2]
        line = part.piece.line + text.count("\n", 0, start)
        return _Started(self._batch[part.unit].step, line, shown(text[start:end]), seconds)


def shown(statement: str) -> str:
    """Returns the start of a statement on one line, without a password."""
    text = _SECRET.sub("password …", " ".join(statement[: 10 * _LONGEST].split())).rstrip("; ")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
