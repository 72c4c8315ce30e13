"""Runs the statements that cannot run inside a transaction block, and records them before and after."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlmigrate.errors import SqlMigrateError, StatementFailed
from sqlmigrate.events import Said
from sqlmigrate.execution import recovery
from sqlmigrate.execution.catalog import state_before
from sqlmigrate.execution.diagnosis import failure_of
from sqlmigrate.execution.message import Message, Part
from sqlmigrate.files import source

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
        if not step.begun:
            return False
        message = _message(step)
        self._monitor.begin()
        try:
            is_done, self._remarks = recovery.judge(self._connection, message.text.strip(), step.begun_state)
        except SqlMigrateError as error:
            error.location = error.location or _place(step, message)
            raise
        proof = ("the catalog shows that it is done",) if is_done else ()
        for remark in (*self._remarks, *proof):
            self._on_event(Said(step.step, f"statement {step.segment.end}: {remark}"))
        return is_done

    def run(self, step: PreparedStep, on_start: Callable[[], None]) -> tuple[int, Failure | None]:
        """Runs the statement; returns its duration in milliseconds, or the failure.

        Raises:
            SqlMigrateError: IF NOT EXISTS found an invalid index, or the server would read the statement differently.
        """
        message, remarks = _message(step), self._remarks
        self._remarks = ()
        self._envelope.check_settings(message, [step])
        state = state_before(message.text.strip(), self._connection.literal)
        journal = self._envelope.journal(step, step.progress_begun, 0, state)
        step.begun_state = (self._transact(step, journal)[-2].value or b"").decode()
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
        self._check_index(step, message)
        return round((time.monotonic() - started) * 1000), None

    def record_progress(self, step: PreparedStep, progress: Progress, elapsed_ms: int) -> None:
        """Records how far the script of a step is, in a transaction of its own."""
        self._transact(step, self._envelope.journal(step, progress, elapsed_ms))

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

    def _check_index(self, step: PreparedStep, message: Message) -> None:
        if index := recovery.kept_index(self._connection, step.begun_state):
            raise SqlMigrateError(
                f"index {index} exists but is invalid: an earlier build of the index was interrupted",
                _place(step, message),
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


def _place(step: PreparedStep, message: Message) -> Location:
    return source.with_line_text(message.blame(0, None).place(step.step.path))


def _message(step: PreparedStep) -> Message:
    piece = step.segment.pieces[0]
    return Message([Part(step.source.text(piece), 1, 0, piece)])
