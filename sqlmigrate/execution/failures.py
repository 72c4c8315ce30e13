"""Records the failure of a step, and describes what is committed and what a rerun will do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlmigrate.errors import (
    ConnectionLost,
    DatabaseError,
    LockLost,
    MigrationFailed,
    RecordFailed,
    SqlMigrateError,
)
from sqlmigrate.events import Warned
from sqlmigrate.execution.diagnosis import explain_record_failure
from sqlmigrate.model import Action
from sqlmigrate.server.connection import RUN_AGAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.envelope import Envelope
    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.model import Migration, Step
    from sqlmigrate.target import Locked

LOCAL_ONLY = (
    "the last migration is committed on this server, but may not be on the synchronous standby:"
    " check the standby; a rerun does not repeat what is committed"
)


class Failures:
    """Turns the error that ended a run into a `MigrationFailed`, and records it in the history."""

    def __init__(self, locked: Locked, guard: str, envelope: Envelope, on_event: Callable[[Event], None]) -> None:
        self._connection = locked.connection
        self._session = locked.session
        self._records = locked.history.records
        self._table = locked.history.table
        self._guard = guard
        self._envelope = envelope
        self._on_event = on_event

    def recorded(
        self, step: PreparedStep, error: SqlMigrateError | KeyboardInterrupt, done: Sequence[Step]
    ) -> MigrationFailed:
        """Records the failure if the connection is not lost, and returns the error to raise.

        Args:
            step: The step that failed.
            error: The cause.
            done: The steps that this run finished before.
        """
        if isinstance(error, RecordFailed):
            explain_record_failure(error, step, self._table)
        message = error.message if isinstance(error, SqlMigrateError) else "interrupted"
        location = error.location if isinstance(error, SqlMigrateError) else None
        if not self._connection.lost:
            self._record(step, message)
        what = "rollback of " if step.step.action is Action.ROLL_BACK else ""
        failed = MigrationFailed(
            f"{what}{step.step.migration.id} failed: {message}",
            step.step,
            [finished for finished in done if finished.action is not Action.HOOK],
            location,
            self._hint(step, error, done),
        )
        failed.exit_code = error.exit_code if isinstance(error, SqlMigrateError) else 130
        return failed

    def run_hook(self, hook: Migration, failed: MigrationFailed) -> None:
        """Runs the hook `after_error`; its own failure is only reported, so that the caller raises the first error."""
        try:
            message = self._envelope.after_error(hook, failed)
            self._connection.run(message.text)
            self._session.clean()
        except SqlMigrateError as error:
            self._on_event(Warned(f"{hook.up} failed: {error.message}"))

    def _record(self, step: PreparedStep, message: str) -> None:
        duration = round((time.monotonic() - step.started) * 1000) if step.started else 0
        try:
            self._connection.run(
                self._records.step_failure(step.step, step.description, message, duration, self._guard)
            )
        except (DatabaseError, LockLost):
            if self._connection.in_transaction:
                self._connection.run("rollback")

    def _hint(self, step: PreparedStep, error: SqlMigrateError | KeyboardInterrupt, done: Sequence[Step]) -> str:
        hint = error.hint if isinstance(error, SqlMigrateError) else ""
        if self._connection.lost and step.step.action is Action.ROLL_BACK:  # a second `--steps 1` is one more
            return "the last rollback may be committed: check `sqlmigrate status` before you run the command again"
        if self._connection.lost:
            return f"the last migration may be committed; {hint if isinstance(error, ConnectionLost) else RUN_AGAIN}"
        outcome = _outcome(step, done)
        return f"{hint}\n{outcome}" if hint else outcome


def _outcome(step: PreparedStep, done: Sequence[Step]) -> str:
    """Describes what is committed of a failed step."""
    script = step.script
    committed = step.segment.first if step.next < len(script.segments) else script.statements
    if step.step.action is Action.HOOK and any(finished.action is not Action.HOOK for finished in done):
        return "the migrations are applied; a rerun does not run the hook: fix it, and run it with psql"
    if step.begun:
        others = "some of the others" if step.other_states else "the next statement"
        return (
            f"{committed} of {script.statements} statements are committed, {others} may be; a rerun checks the catalog"
        )
    if committed:
        return f"{committed} of {script.statements} statements are committed; a rerun continues after them"
    if step.step.action is Action.ROLL_BACK:
        return f"the rollback was undone completely: {step.step.migration.id} is still applied"
    return "the migration was rolled back completely"
