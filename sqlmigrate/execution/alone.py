"""Runs the statements that cannot run inside a transaction block, and records them before and after."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from sqlmigrate.errors import SqlMigrateError, StatementFailed
from sqlmigrate.events import Said
from sqlmigrate.execution import recovery
from sqlmigrate.execution.catalog import several, state_before
from sqlmigrate.execution.diagnosis import failure_of
from sqlmigrate.execution.message import Message, Part
from sqlmigrate.files import source
from sqlmigrate.sql.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.events import Event
    from sqlmigrate.execution.diagnosis import Failure
    from sqlmigrate.execution.envelope import Envelope
    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.model import Location, Progress
    from sqlmigrate.server.connection import Connection, Result
    from sqlmigrate.server.monitor import Monitor

_ADVICE = "rename or drop what is in the way if it is not needed, and run the command again"


class Alone:
    """Runs the next segment of a step if this is one statement outside a transaction block.

    The history shows that the statement may have been started before it is sent, and that it is done afterwards. After
    a crash in between, the catalog shows whether the statement did its work.
    """

    def __init__(
        self, connection: Connection, envelope: Envelope, monitor: Monitor, on_event: Callable[[Event], None]
    ) -> None:
        self._connection = connection
        self._envelope = envelope
        self._monitor = monitor
        self._on_event = on_event
        self._remarks: tuple[str, ...] = ()

    def is_done(self, step: PreparedStep) -> bool:
        """Whether an earlier run started the statement and the catalog shows that it did its work.

        Raises:
            SqlMigrateError: The statement would drop something else now, or a leftover could not be dropped.
        """
        message = message_of(step)
        _choose_state(step, message.text.strip())
        if not step.begun:
            return False
        self._monitor.begin()
        try:
            is_done, self._remarks = recovery.judge(self._connection, message.text.strip(), step.begun_state)
        except SqlMigrateError as error:
            error.location = error.location or place_of(step, message)
            raise
        proof = ("the catalog shows that it is done",) if is_done else ()
        for remark in (*self._remarks, *proof):
            self._on_event(Said(step.step, f"statement {step.segment.end}: {remark}"))
        return is_done

    def clean_up(self, step: PreparedStep) -> None:
        """Judges the statements that an earlier run started side by side and that the script does not contain now."""
        later = [_tokens(message_of(step, number).text) for number in _alone(step)]
        for state in [state for state in step.other_states if _tokens(json.loads(state)["statement"]) not in later]:
            step.other_states.remove(state)
            for remark in recovery.judge(self._connection, "", state)[1]:
                self._on_event(Said(step.step, remark))

    def run(self, step: PreparedStep, on_start: Callable[[], None]) -> tuple[int, Failure | None]:
        """Runs the statement; returns its duration in milliseconds, or the failure.

        Raises:
            SqlMigrateError: IF NOT EXISTS found an invalid index, or the server would read the statement differently.
        """
        message, remarks = message_of(step), self._remarks
        self._remarks = ()
        self._envelope.check_settings(message, [step])
        state = state_before(message.text.strip(), self._connection.literal)
        step.begun_state = self._journal(step, step.progress_begun, 0, state)
        step.begun = True
        on_start()
        self._monitor.begin()
        started = time.monotonic()
        try:
            self._connection.run(message.text)
        except StatementFailed as error:
            self._withdraw_start(step, error)
            error.hint = "\n".join(filter(None, [*remarks, error.hint, _ADVICE if remarks else ""]))
            return 0, failure_of(error, message, 0, [step])
        self.check_index(step.begun_state, place_of(step, message))
        return round((time.monotonic() - started) * 1000), None

    def record_progress(self, step: PreparedStep, progress: Progress, elapsed_ms: int) -> None:
        """Records how far the script of a step is, in a transaction of its own."""
        self._journal(step, progress, elapsed_ms)

    def _journal(self, step: PreparedStep, progress: Progress, elapsed_ms: int, state: str = "''") -> str:
        """Records how far the script is, with the states of statements that may have been started; returns the first.

        `state` is an SQL expression: see `catalog.state_before`.
        """
        if not step.other_states:
            journal = self._envelope.journal(step, progress, elapsed_ms, state)
            return (self._transact(step, journal)[-2].value or b"").decode()
        states = [state, *map(self._connection.literal, step.other_states)]
        journal = self._envelope.journal(step, progress, elapsed_ms, several(states))
        return str(json.loads(self._transact(step, journal)[-2].value or b'[""]')[0])

    def record_session(self, step: PreparedStep) -> str:
        """Records the state of the session, which a rerun restores, and returns it."""
        return (self._transact(step, self._envelope.session_state(step))[1].value or b"").decode()

    def record_end(self, step: PreparedStep, elapsed_ms: int) -> Result:
        """Records the end of a step in a transaction of its own; returns the result that has its total duration."""
        return self._transact(step, self._envelope.end(step, elapsed_ms))[-2]

    def _withdraw_start(self, step: PreparedStep, error: StatementFailed) -> None:
        """Records that a rejected statement did nothing, so that a rerun does not treat an older object as its work."""
        is_rejected = error.report.sqlstate in recovery.REFUSALS
        if is_rejected and not recovery.left_index(self._connection, step.begun_state):
            self.record_progress(step, step.progress_begun._replace(begun=step.segment.first), 0)
            step.begun = False

    def check_index(self, begun_state: str, place: Location) -> None:
        """Checks that IF NOT EXISTS has not kept an invalid index.

        Raises:
            SqlMigrateError: It has.
        """
        if index := recovery.kept_index(self._connection, begun_state):
            raise SqlMigrateError(
                f"index {index} exists but is invalid: an earlier build of the index was interrupted",
                place,
                f"run DROP INDEX CONCURRENTLY {index}, and run the command again",
            )

    def _transact(self, step: PreparedStep, message: Message) -> list[Result]:
        results: list[Result] = []
        try:
            results.extend(self._connection.transmit(message.text))
        except StatementFailed as error:
            raise failure_of(error, message, len(results), [step]).error from None
        step.opened = True
        return results


def place_of(step: PreparedStep, message: Message) -> Location:
    """Returns the location of the only statement of a message."""
    return source.with_line_text(message.blame(0, None).place(step.step.path))


def _alone(step: PreparedStep) -> list[int]:
    numbers = range(step.next, len(step.script.segments))
    return [number for number in numbers if not step.script.segments[number].transactional]


def _choose_state(step: PreparedStep, statement: str) -> None:
    """Takes the state before the next statement from those that were started side by side."""
    for state in step.other_states:
        if _tokens(json.loads(state)["statement"]) == _tokens(statement):
            step.other_states.remove(state)
            step.begun, step.begun_state = True, state
            return


def _tokens(statement: str) -> list[str]:
    return list(tokens(statement.rstrip("; \t\r\n")))


def message_of(step: PreparedStep, number: int | None = None) -> Message:
    """Returns the statement of a segment outside a transaction block: of the next one, or of the one with a number."""
    piece = step.script.segments[step.next if number is None else number].pieces[0]
    return Message([Part(step.source.text(piece), 1, 0, piece)])
