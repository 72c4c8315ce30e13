"""Runs a plan, segment by segment, and records it."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

from sqlmigrate.errors import DatabaseError, SignalReceived, SqlMigrateError, StatementFailed
from sqlmigrate.events import Began, Finished, PassedOver, Ran, Retrying, Running, Said
from sqlmigrate.execution import resumption
from sqlmigrate.execution.alone import Alone
from sqlmigrate.execution.batches import Batch, Batches
from sqlmigrate.execution.diagnosis import Failure, advice, blocked_by, failure_of, new_cuts
from sqlmigrate.execution.envelope import Envelope, StringsChanged
from sqlmigrate.execution.failures import LOCAL_ONLY, Failures
from sqlmigrate.execution.heartbeat import Heartbeat
from sqlmigrate.execution.notices import Notices
from sqlmigrate.execution.prepared import observe_strings, with_cuts
from sqlmigrate.execution.timing import StatementTimes, shown
from sqlmigrate.files.source import OpenedScript
from sqlmigrate.model import Action
from sqlmigrate.server.lock import Lock
from sqlmigrate.server.session import has_escapes
from sqlmigrate.sql.sqlstate import CANCELLED, TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.envelope import Limits
    from sqlmigrate.execution.message import Message
    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.model import Applied, Migration, Step
    from sqlmigrate.server.connection import Result
    from sqlmigrate.server.monitor import Monitor
    from sqlmigrate.sql.session_objects import SessionObject
    from sqlmigrate.target import Locked


class Executor:
    """Runs steps on a connection that holds the migration lock. `done` lists the finished steps."""

    def __init__(self, locked: Locked, monitor: Monitor, limits: Limits, on_event: Callable[[Event], None]) -> None:
        self._connection = locked.connection
        self._session = locked.session
        self._records = locked.history.records
        self._rows = locked.rows
        self._pooled = locked.history.pooled
        self._lock_pid = locked.lock.pid
        guard = locked.lock.guard()
        self._envelope = Envelope(self._connection, self._session, self._records, guard, limits)
        self._alone = Alone(self._connection, self._envelope, monitor, self._tell)
        self._failures = Failures(locked, guard, self._envelope, self._tell)
        self._monitor = monitor
        self._heartbeat = Heartbeat(self._tell)
        self._limits = limits
        self._on_event = on_event
        self._notices = Notices(on_event)
        self._reported: set[str] = set()
        self._lost: set[tuple[str, SessionObject]] = set()  # said to be lost if the run is interrupted
        self._finished: list[tuple[Step, int]] = []  # to be reported while the server works
        self._look_ahead: Callable[[], None] = lambda: None
        self._running: PreparedStep | None = None
        self._sent = 0.0
        self.done: list[Step] = []

    def run(self, prepared: Sequence[PreparedStep], after_error: Migration | None = None) -> None:
        """Runs all steps, in order, and after a failure the hook `after_error`.

        Raises:
            MigrationFailed: A step failed; the error lists the steps that were finished before it.
        """
        self._batches = Batches(prepared, self._envelope)
        self._start(prepared)
        _choose_earlier_rows(prepared, self._rows)
        position = 0
        while position < len(prepared):
            try:
                position += self._advance(prepared, position)
            except (SqlMigrateError, KeyboardInterrupt) as caught:
                self._report_finished()
                self._notices.end(is_undone=False)
                error = caught.error if isinstance(caught, SignalReceived) else caught
                self._catch_up(prepared)
                if self._monitor.awaits_standby and isinstance(error, SqlMigrateError):
                    error.hint = "\n".join(filter(None, [LOCAL_ONLY, error.hint]))
                if len(self.done) == len(prepared):
                    raise  # the error arrived after the last commit
                cause = (isinstance(error, StatementFailed) and Lock.lost(error)) or error
                failed = self._failures.recorded(prepared[len(self.done)], cause, self.done)
                if after_error is not None:
                    self._failures.run_hook(after_error, failed)
                raise failed from cause
        self._report_finished()

    def _advance(self, prepared: Sequence[PreparedStep], position: int) -> int:
        """Runs the steps from a position on that can run next; returns how many of them are finished."""
        batch = self._batches.at(position)
        self._look_ahead = partial(self._batches.look_ahead, position + max(len(batch.steps), 1))
        return self._run_batch(batch) if batch.steps else self._run_segments(prepared[position])

    def _start(self, prepared: Sequence[PreparedStep]) -> None:
        self._connection.on_tick = lambda: self._tick(prepared)
        self._connection.on_notices = self._take_notices
        steps = tuple(step.step for step in prepared)
        # An event trigger may have changed the session while the tables of the history were created.
        reset = f"begin;\n{self._session.wipe.text}commit;{self._session.hides_code}"
        *_, hides_code = self._connection.transmit(self._records.run_start(steps, self._lock_pid) + reset)
        self._batches.skips_resets = hides_code.value == b"f"
        self._tell(Began(self._records.run_id, self._connection.backend_pid, steps))
        for step in prepared:
            for command in step.script.steering:
                self._tell(PassedOver(step.step, command))

    def _run_batch(self, batch: Batch) -> int:
        """Runs ordinary steps in one message; returns how many of them are committed."""
        started = time.monotonic()
        steps = batch.steps
        committed, failure = self._attempt(steps, batch.messages)
        if failure is None:
            self._batches.adapt(time.monotonic() - started)
            return committed
        self._session.clean()
        if self._session.may_have_changed(failure.error):
            self._batches.skips_resets = False
        elif self._ends_run(steps[failure.unit], failure.error):
            self._settle(steps[failure.unit], failure)
        elif steps[failure.unit].is_joined:
            self._envelope.joins_rollbacks = False  # each of the next steps has a transaction of its own
        elif failure.unit > committed or (failure.is_unplaced and len(steps) > committed + 1):
            # The server parses a message before it runs any of it, so a syntax error prevents the steps before it from
            # running: run these first.
            end = (committed + len(steps)) // 2 if failure.is_unplaced else failure.unit
            earlier = steps[committed:end]
            messages = self._envelope.messages(earlier)
            return committed + self._run_batch(Batch(batch.position + committed, earlier, messages))
        else:
            self._settle(steps[failure.unit], failure)
        return committed

    def _run_segments(self, step: PreparedStep) -> int:
        """Runs a script of several segments, or the rest of a script that is partly done; returns 1."""
        step.keeps_session = False
        if len(step.script.segments) > 1:
            self._tell(Said(step.step, f"runs in {len(step.script.segments)} segments; each is recorded separately"))
        self._connection.run(self._envelope.prepared(step))
        self._restore_session(step)
        if step.other_states:
            self._alone.clean_up(step)
        if not step.script.segments:
            self._record_end(step, 0)
        while step.next < len(step.script.segments):
            try:
                self._run_segment(step)
            except StringsChanged as error:
                escapes = has_escapes(self._connection)
                if self._connection.in_transaction:
                    self._connection.run("rollback")
                if error.location is None or not observe_strings(step, error.location, escapes=escapes):
                    raise
        return 1

    def _run_segment(self, step: PreparedStep) -> None:
        if not step.segment.transactional:
            self._run_alone(step)
            return
        _, failure = self._attempt([step], self._envelope.messages([step]))
        if failure is not None:
            self._settle(step, failure)
        else:
            self._end_segment(step)

    def _restore_session(self, step: PreparedStep) -> None:
        """Gives a script that is partly done the session that it had, as far as possible."""
        for setting in step.script.session:
            self._connection.run(setting)
        if (start := resumption.start_of(step.step)) is not None:
            for name, value in self._session.restart(start).items():
                self._tell(Said(step.step, f'{name} is "{value}" again, as when the migration was started'))
        if settings := resumption.settings_of(step.step):
            self._connection.run(self._session.restored(settings))
        for item in step.script.carried:
            self._say_lost(step, item)

    def _say_lost(self, step: PreparedStep, item: SessionObject) -> None:
        if (step.step.migration.id, item) not in self._lost:
            self._lost.add((step.step.migration.id, item))
            self._tell(Said(step.step, f"if the run is interrupted, a rerun cannot restore the {item}"))

    def _end_segment(self, step: PreparedStep) -> None:
        step.next += 1
        if step.next < len(step.script.segments) and step.script.may_change_session and not self._pooled:
            state = self._alone.record_session(step)
            opened = OpenedScript(step.script, step.source)
            for item in resumption.lost_later(state, opened, step.next):
                self._say_lost(step, item)

    def _attempt(self, steps: Sequence[PreparedStep], messages: Iterable[Message]) -> tuple[int, Failure | None]:
        """Sends the next segment of each step; returns how many are committed, and the failure of the next one."""
        durations: list[int] = []  # of the steps in the current transaction
        committed = 0
        self._begin(steps)
        times = StatementTimes(steps, self._tell) if self._limits.is_timed else None
        for message in messages:
            count = 0
            self._envelope.check_settings(message, steps)
            self._notices.follow(steps, committed + len(durations))
            self._monitor.begin()
            try:
                rows, use_wait = self._copy_data_of(message, steps), partial(self._use_wait, steps[0])
                for result in self._connection.transmit(message.text, rows, use_wait):
                    if times is not None:
                        times.take(message, count, result)
                    count += 1
                    if count in message.records:
                        durations.append(_duration(result))
                        self._notices.follow(steps, committed + len(durations))
                    if result.command == b"COMMIT":
                        for duration in durations:
                            self._committed(steps[committed], duration)
                            committed += 1
                        durations.clear()
            except StatementFailed as error:
                self._report_finished()
                self._notices.end(is_undone=True)
                return committed, failure_of(error, message, count, steps)
        return committed, None

    def _use_wait(self, step: PreparedStep) -> None:
        """Reports what is finished, and builds the next message, while the server runs one."""
        self._announce(step)
        self._look_ahead()

    def _copy_data_of(self, message: Message, batch: Sequence[PreparedStep]) -> Callable[[int], Iterable[bytes]]:
        def copy_data(count: int) -> Iterable[bytes]:
            part, _ = message.at_result(count)
            return batch[part.unit].source.rows(part.piece) if part.piece else ()

        return copy_data

    def _run_alone(self, step: PreparedStep) -> None:
        try:
            is_done = self._alone.is_done(step)
        except StatementFailed as error:
            self._settle(step, Failure(error, 0, -1))
            return
        if is_done:
            self._end_alone(step, 0)
            return
        elapsed_ms, failure = self._alone.run(step, lambda: self._begin_alone(step))
        if failure is not None:
            self._settle(step, failure)
        else:
            self._report_alone(step, elapsed_ms)
            self._end_alone(step, elapsed_ms)

    def _begin_alone(self, step: PreparedStep) -> None:
        self._begin([step])
        self._announce(step)

    def _report_alone(self, step: PreparedStep, elapsed_ms: int) -> None:
        if self._limits.is_timed:
            piece = step.segment.pieces[0]
            self._tell(Ran(step.step, piece.line, shown(step.source.text(piece).strip()), elapsed_ms))

    def _end_alone(self, step: PreparedStep, elapsed_ms: int) -> None:
        if step.on_last_segment:
            self._record_end(step, elapsed_ms)
        else:
            self._alone.record_progress(step, step.progress, elapsed_ms)
        step.begun = False
        self._end_segment(step)

    def _record_end(self, step: PreparedStep, elapsed_ms: int) -> None:
        self._committed(step, _duration(self._alone.record_end(step, elapsed_ms)))

    def _begin(self, batch: Sequence[PreparedStep]) -> None:
        """Notes that a message is sent; the later steps start later, which the record of a failure corrects."""
        self._heartbeat.begin(batch)
        self._sent = time.monotonic()
        for step in batch:
            step.started = step.started or self._sent

    def _announce(self, step: PreparedStep) -> None:
        """Reports what is finished, and the step that is running."""
        self._report_finished()
        if step is not self._running:
            self._running = step
            self._tell(Running(step.step))

    def _committed(self, step: PreparedStep, duration_ms: int) -> None:
        step.opened = True
        if step.on_last_segment:
            self.done.append(step.step)
            self._finished.append((step.step, duration_ms))

    def _tell(self, event: Event) -> None:
        """Reports an event, after the steps that were finished before it."""
        self._report_finished()
        self._on_event(event)

    def _take_notices(self, notices: Sequence[tuple[str, str]]) -> None:
        self._report_finished()
        self._notices.take(notices)

    def _report_finished(self) -> None:
        finished, self._finished = self._finished, []
        for step, duration_ms in finished:
            self._report(step, duration_ms)

    def _report(self, step: Step, duration_ms: int) -> None:
        if step.migration.id not in self._reported:
            self._reported.add(step.migration.id)
            self._notices.report_held(step.migration.id)
            self._on_event(Finished(step, duration_ms))

    def _tick(self, prepared: Sequence[PreparedStep]) -> None:
        """Reports the steps that are committed while the rest of their message is still running."""
        self._monitor.tick()
        for step in prepared[len(self._reported) :]:
            if step.step.migration.id in self._monitor.finished:
                self._report(step.step, self._monitor.finished[step.step.migration.id])
        self._heartbeat.beat(self._monitor.look)

    def _settle(self, step: PreparedStep, failure: Failure) -> None:
        """Prepares a retry if the failure is temporary or other segments can avoid it; raises the error otherwise."""
        if self._connection.in_transaction:
            self._connection.run("rollback")
        error = failure.error
        if Lock.lost(error):
            raise error
        is_temporary = error.report.sqlstate in TEMPORARY
        retries = step.script.directives.get("lock-retries", self._limits.lock_retries)
        if is_temporary and step.tries < retries:
            self._pause(step, error)
        elif cuts := new_cuts(step, failure):
            self._tell(
                Said(step.step, f"{error.location}: {error.message}; sqlmigrate runs the file again in segments")
            )
            with_cuts(step, cuts)
        else:
            blockers = blocked_by(self._monitor.blockers) if is_temporary else ()
            error.hint = "\n".join(
                filter(None, [*blockers, error.hint or advice(error, step, is_overdue=self._is_overdue(step))])
            )
            raise error

    def _ends_run(self, step: PreparedStep, error: StatementFailed) -> bool:
        """Whether the lock was lost or a person cancelled the statement, so that it must not run again."""
        is_cancelled = error.report.sqlstate == CANCELLED and not self._is_overdue(step)
        return is_cancelled or Lock.lost(error) is not None

    def _is_overdue(self, step: PreparedStep) -> bool:
        limit = int(step.script.directives.get("statement-timeout", self._limits.statement_timeout))
        return 0 < limit <= (time.monotonic() - self._sent) * 1000

    def _pause(self, step: PreparedStep, error: StatementFailed) -> None:
        step.tries += 1
        pause = min(0.25 * 2**step.tries, 10) * random.uniform(0.5, 1.0)  # jitter
        self._tell(Retrying(step.step, error.report.message, self._monitor.blockers, pause))
        self._sleep(pause)

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def _catch_up(self, prepared: Sequence[PreparedStep]) -> None:
        """Ends the open transaction, and reads which steps were committed whose result the client did not receive."""
        committed = set(self._reported)
        with suppress(DatabaseError):
            self._connection.settle()
            self._session.clean()
            committed.update(row[0] for row in self._connection.rows(self._records.committed_steps))
        rest = (step.step for step in prepared[len(self.done) :])
        self.done += takewhile(lambda step: step.migration.id in committed, rest)


def _choose_earlier_rows(prepared: Sequence[PreparedStep], rows: Sequence[Applied]) -> None:
    """Chooses for each step a row that exists before it and that no step of the run deletes."""
    ids = {step.step.migration.id for step in prepared}
    earlier = next((row.id for row in rows if row.success and row.id not in ids), "")
    for step in prepared:
        step.earlier_row = earlier
        if step.step.action is Action.APPLY:
            earlier = step.step.migration.id


def _duration(record: Result | None) -> int:
    """Returns the duration in milliseconds from the record of a step; 0 from the record of a segment."""
    value = record.value if record is not None else None
    return int(value) if value is not None and value.isdigit() else 0
