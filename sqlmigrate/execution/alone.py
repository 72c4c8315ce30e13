"""Runs the statements that cannot run inside a transaction block, and records them before and after."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlmigrate.errors import SqlMigrateError, StatementFailed
from sqlmigrate.events import Said
from sqlmigrate.execution import recovery
from sqlmigrate.execution.diagnosis import failure_of
from sqlmigrate.execution.message import Message, Part
from sqlmigrate.files import source

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.events import Event
    from sqlmigrate.execution.diagnosis import Failure
    from sqlmigrate.execution.envelope import Envelope
    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.model import Progress
    from sqlmigrate.server.connection import Connection, Result
    from sqlmigrate.server.monitor import Monitor


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

    def is_done(self, step: PreparedStep) -> bool:
        """Whether an earlier run started the statement and the catalog shows that it did its work."""
        if not step.begun or not recovery.settled(self._connection, _message(step).text):
            return False
        self._on_event(Said(step.step, f"statement {step.segment.end}: the catalog shows that it is done"))
        return True

    def run(self, step: PreparedStep, on_start: Callable[[], None]) -> tuple[int, Failure | None]:
        """Runs the statement; returns its duration in milliseconds, or the failure.

        Raises:
            SqlMigrateError: IF NOT EXISTS found an invalid index.
        """
        message, was_begun = _message(step), step.begun
        self.record_progress(step, step.progress_begun, 0)
        step.begun = True
        on_start()
        self._monitor.begin()
        started = time.monotonic()
        try:
            self._connection.run(message.text)
        except StatementFailed as error:
            self._withdraw_start(step, message, error)
            return 0, failure_of(error, message, 0, [step])
        self._check_index(step, message, was_begun=was_begun)
        return round((time.monotonic() - started) * 1000), None

    def record_progress(self, step: PreparedStep, progress: Progress, elapsed_ms: int) -> None:
        """Records how far the script of a step is, in a transaction of its own."""
        self._transact(step, self._envelope.journal(step, progress, elapsed_ms))

    def record_session(self, step: PreparedStep) -> None:
        """Records the state of the session, which a rerun restores."""
        self._transact(step, self._envelope.session_state(step))

    def record_end(self, step: PreparedStep, elapsed_ms: int) -> Result:
        """Records the end of a step in a transaction of its own; returns the result that has its total duration."""
        return self._transact(step, self._envelope.end(step, elapsed_ms))[-2]

    def _withdraw_start(self, step: PreparedStep, message: Message, error: StatementFailed) -> None:
        """Records that a rejected statement did nothing, so that a rerun does not treat an older object as its work."""
        is_rejected = error.report.sqlstate in recovery.REFUSALS
        if is_rejected and not recovery.invalid_index(self._connection, message.text):
            self.record_progress(step, step.progress_begun._replace(begun=step.segment.first), 0)
            step.begun = False

    def _check_index(self, step: PreparedStep, message: Message, *, was_begun: bool) -> None:
        if index := recovery.invalid_index(self._connection, message.text):
            raise SqlMigrateError(
                f"index {index} exists but is invalid: an earlier build of the index was interrupted",
                source.with_line_text(message.blame(0, None).place(step.step.path)),
                f"run DROP INDEX CONCURRENTLY {index}, and run the command again",
            )
        if was_begun:
            recovery.drop_twin(self._connection, message.text)

    def _transact(self, step: PreparedStep, message: Message) -> list[Result]:
        results: list[Result] = []
        try:
            results.extend(self._connection.transmit(message.text))
        except StatementFailed as error:
            raise failure_of(error, message, len(results), [step]).error from None
        step.opened = True
        return results


def _message(step: PreparedStep) -> Message:
    piece = step.segment.pieces[0]
    return Message([Part(step.source.text(piece), 1, 0, piece)])
