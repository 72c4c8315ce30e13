"""Runs a plan, segment by segment, and records it."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING

from sqlmigrate.errors import DatabaseError, LockLost, MigrationFailed, SqlMigrateError, StatementFailed
from sqlmigrate.events import Began, Finished, Notice, PassedOver, Retrying, Running, Said
from sqlmigrate.execution import recovery
from sqlmigrate.execution.diagnosis import Failure, advice, failure_of, new_cuts
from sqlmigrate.execution.envelope import MESSAGE_SIZE, Envelope
from sqlmigrate.execution.message import Message, Part
from sqlmigrate.files import source
from sqlmigrate.model import Action
from sqlmigrate.server.lock import Lock
from sqlmigrate.sql.sqlstate import PASSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.envelope import Limits
    from sqlmigrate.execution.prepared import Work
    from sqlmigrate.history.records import Records
    from sqlmigrate.model import Migration, Progress, Step
    from sqlmigrate.server.connection import Connection, Result
    from sqlmigrate.server.monitor import Monitor
    from sqlmigrate.server.session import Session

# How many migrations travel in one message, at first and at most, and how long a message may take before its
# successors carry fewer: nothing of a message can be shown before the server has answered all of it.
_BATCH_MIN, _BATCH_MAX, _BATCH_SECONDS = 64, 256, 2


class Executor:
    """Runs steps on one connection, under a lock that is held. `done` grows as steps are finished."""

    def __init__(
        self,
        connection: Connection,
        session: Session,
        records: Records,
        lock: Lock,
        monitor: Monitor,
        limits: Limits,
        on_event: Callable[[Event], None],
    ) -> None:
        self._connection = connection
        self._session = session
        self._records = records
        self._lock_pid = lock.pid
        self._guard = lock.guard()
        self._envelope = Envelope(connection, session, records, self._guard, limits)
        self._monitor = monitor
        self._limits = limits
        self._on_event = on_event
        self._count = _BATCH_MIN
        self._told: set[str] = set()
        self._running: Work | None = None
        self.done: list[Step] = []

    def run(self, work: Sequence[Work], after_error: Migration | None = None) -> None:
        """Runs all of it, in order; the hook, where there is one, behind a failure.

        Raises:
            MigrationFailed: with what was done before it; the failure is recorded.
            ConnectionLost: the connection went away; the history says what is committed.
        """
        self._connection.on_tick = lambda: self._tick(work)
        self._connection.on_notice = lambda severity, message: self._on_event(Notice(severity, message))
        steps = tuple(one.step for one in work)
        self._connection.run(self._records.run_start(steps, self._lock_pid))
        self._on_event(Began(self._records.run_id, self._connection.backend_pid, steps))
        for one in work:
            for command in one.script.steering:
                self._on_event(PassedOver(one.step, command))
        position = 0
        while position < len(work):
            batch = self._batch(work[position:])
            try:
                position += self._run_batch(batch) if batch else self._run_segments(work[position])
            except (SqlMigrateError, KeyboardInterrupt) as error:
                self._catch_up(work)
                if len(self.done) == len(work):
                    raise  # it came when all was done
                cause = (isinstance(error, StatementFailed) and Lock.lost(error)) or error
                failed = self._recorded(work[len(self.done)], cause)
                if after_error is not None:
                    self._run_after_error(after_error, failed)
                raise failed from cause

    def _batch(self, work: Sequence[Work]) -> list[Work]:
        """The ordinary steps that travel in the next message."""
        batch: list[Work] = []
        size = 0
        for one in work:
            size += one.script.segments[0].size if one.ordinary else MESSAGE_SIZE
            if size >= MESSAGE_SIZE or len(batch) == self._count:
                break
            batch.append(one)
        return batch

    def _run_batch(self, batch: list[Work]) -> int:
        began = time.monotonic()
        committed, failure = self._attempt(batch)
        if failure is None:
            quick = time.monotonic() - began < _BATCH_SECONDS
            self._count = min(self._count * 2, _BATCH_MAX) if quick else max(self._count // 2, 1)
        elif failure.unit > committed:
            # The server reads a whole message before it runs any of it: nothing of it ran, and those before the fault
            # still can. One of them may have been opened by an earlier message.
            if self._connection.in_transaction:
                self._connection.run("rollback")
            return committed + self._run_batch(batch[committed : failure.unit])
        else:
            self._settle(batch[failure.unit], failure)
        return committed

    def _run_segments(self, work: Work) -> int:
        """Runs a script of several segments, or one that is done in part, to its end."""
        if len(work.script.segments) > 1:
            self._on_event(Said(work.step, f"runs in {len(work.script.segments)} parts, each recorded on its own"))
        self._connection.run(self._envelope.prepared(work))
        for setting in work.script.session:
            self._connection.run(setting)
        if not work.script.segments:
            self._record_end(work, 0)
        while work.next < len(work.script.segments):
            if not work.segment.transactional:
                self._run_alone(work)
                continue
            _, failure = self._attempt([work])
            if failure is not None:
                self._settle(work, failure)
            else:
                work.next += 1
        return 1

    def _attempt(self, batch: Sequence[Work]) -> tuple[int, Failure | None]:
        """Sends the next segment of each; how many are committed, and what stopped the rest."""
        committed = 0
        self._begin(batch)
        for message in self._envelope.messages(batch):
            count, previous = 0, None
            self._monitor.begin()
            try:
                for result in self._connection.transmit(message.text, self._rows_of(message, batch)):
                    count += 1
                    if result.command_status == b"COMMIT":
                        self._committed(batch[committed], _duration(previous))
                        committed += 1
                    previous = result
            except StatementFailed as error:
                return committed, failure_of(error, message, count, batch)
        return committed, None

    def _rows_of(self, message: Message, batch: Sequence[Work]) -> Callable[[int], Iterable[bytes]]:
        def rows(count: int) -> Iterable[bytes]:
            part, _ = message.at_result(count)
            rows = part.piece.rows if part.piece else None
            return batch[part.unit].source.blocks(*rows) if rows else ()

        return rows

    def _run_alone(self, work: Work) -> None:
        """Runs a statement that can't be in a transaction, journalled before and after."""
        piece = work.segment.pieces[0]
        message = Message([Part(work.source.text(piece), 1, 0, piece)])
        again = work.begun
        if again and recovery.settled(self._connection, message.text):
            self._on_event(Said(work.step, f"statement {work.segment.end}: the catalog says that it is done"))
            self._end_alone(work, 0)
            return
        self._journal(work, work.progress_begun, 0)
        work.begun = True
        self._begin([work])
        self._monitor.begin()
        began = time.monotonic()
        try:
            self._connection.run(message.text)
        except StatementFailed as error:
            self._take_back_begun(work, message, error)
            self._settle(work, failure_of(error, message, 0, [work]))
            return
        self._check_index(work, message, again=again)
        self._end_alone(work, round((time.monotonic() - began) * 1000))

    def _take_back_begun(self, work: Work, message: Message, error: StatementFailed) -> None:
        """A refused statement did nothing: what was there before it must not be taken for its work by a rerun."""
        refused = error.report.sqlstate in recovery.REFUSALS
        if refused and not recovery.invalid_index(self._connection, message.text):
            self._journal(work, work.progress_begun._replace(begun=work.segment.first), 0)
            work.begun = False

    def _check_index(self, work: Work, message: Message, *, again: bool) -> None:
        if index := recovery.invalid_index(self._connection, message.text):
            raise SqlMigrateError(
                f"the index {index} is there, but INVALID: an earlier build of it was broken off",
                source.with_line_text(message.blame(0, None).place(work.step.path)),
                f"DROP INDEX CONCURRENTLY {index}, and run again",
            )
        if again:
            recovery.drop_twin(self._connection, message.text)

    def _end_alone(self, work: Work, elapsed_ms: int) -> None:
        if work.on_last_segment:
            self._record_end(work, elapsed_ms)
        else:
            self._journal(work, work.progress, elapsed_ms)
        work.begun = False
        work.next += 1

    def _journal(self, work: Work, progress: Progress, elapsed_ms: int) -> None:
        self._transact(work, self._envelope.journal(work, progress, elapsed_ms))

    def _record_end(self, work: Work, elapsed_ms: int) -> None:
        results = self._transact(work, self._envelope.end(work, elapsed_ms))
        self._committed(work, _duration(results[-2]))

    def _transact(self, work: Work, message: Message) -> list[Result]:
        """A transaction of our own, with the hooks that belong in it."""
        results: list[Result] = []
        try:
            results.extend(self._connection.transmit(message.text))
        except StatementFailed as error:
            raise failure_of(error, message, len(results), [work]).error from None
        work.opened = True
        return results

    def _begin(self, batch: Sequence[Work]) -> None:
        """Those behind the first begin later, which the record of a failure takes into account."""
        if batch[0] is not self._running:
            self._running = batch[0]
            self._on_event(Running(batch[0].step))
        for work in batch:
            work.started = work.started or time.monotonic()

    def _committed(self, work: Work, duration_ms: int) -> None:
        work.opened = True
        if work.on_last_segment:
            self.done.append(work.step)
            self._tell(work.step, duration_ms)

    def _tell(self, step: Step, duration_ms: int) -> None:
        if step.migration.id not in self._told:
            self._told.add(step.migration.id)
            self._on_event(Finished(step, duration_ms))

    def _tick(self, work: Sequence[Work]) -> None:
        """Tells of what is committed while the rest of its message still runs."""
        self._monitor.tick()
        for one in work[len(self._told) :]:
            if one.step.migration.id in self._monitor.finished:
                self._tell(one.step, self._monitor.finished[one.step.migration.id])

    def _settle(self, work: Work, failure: Failure) -> None:
        """Gets ready to try again what can go better the next time, and raises what can't."""
        if self._connection.in_transaction:
            self._connection.run("rollback")
        error = failure.error
        if Lock.lost(error):
            raise error
        passing = error.report.sqlstate in PASSING
        retries = work.script.directives.get("lock-retries", self._limits.lock_retries)
        if passing and work.tries < retries:
            self._pause(work, error)
        elif cuts := new_cuts(work, failure):
            self._on_event(Said(work.step, f"{error.location}: {error.message}; run again in parts"))
            work.script, work.cuts, work.next = source.read(work.step.path, cuts), cuts, 0
        else:
            blockers = [f"blocked by {blocker}" for blocker in self._monitor.blockers if passing]
            error.hint = "\n".join(filter(None, [*blockers, error.hint or advice(error.report)]))
            raise error

    def _pause(self, work: Work, error: StatementFailed) -> None:
        work.tries += 1
        pause = min(0.25 * 2**work.tries, 10) * random.uniform(0.5, 1.0)  # jitter
        self._on_event(Retrying(work.step, error.report.message, self._monitor.blockers, pause))
        time.sleep(pause)

    def _catch_up(self, work: Sequence[Work]) -> None:
        """Ends what is open, and counts what was committed unheard: an interruption may come before the answer."""
        known = set(self._told)
        with suppress(DatabaseError):
            self._connection.settle()
            self._session.clean()
            known.update(dict(self._connection.rows(self._records.committed_steps)))
        self.done += [one.step for one in takewhile(lambda one: one.step.migration.id in known, work[len(self.done) :])]

    def _recorded(self, work: Work, error: SqlMigrateError | KeyboardInterrupt) -> MigrationFailed:
        """The failure, recorded where the server still answers, as the error that the run ends with."""
        message = error.message if isinstance(error, SqlMigrateError) else "interrupted"
        location = error.location if isinstance(error, SqlMigrateError) else None
        duration = round((time.monotonic() - work.started) * 1000) if work.started else 0
        if not self._connection.lost:
            self._record_failure(work, message, duration)
        failed = MigrationFailed(
            f"{work.step.migration.id} failed: {message}",
            work.step,
            [step for step in self.done if step.action is not Action.HOOK],
            location,
            self._outlook(work, error),
        )
        failed.exit_code = error.exit_code if isinstance(error, SqlMigrateError) else 130
        return failed

    def _record_failure(self, work: Work, message: str, duration_ms: int) -> None:
        try:
            self._connection.run(
                self._records.step_failure(work.step, work.description, message, duration_ms, self._guard)
            )
        except (DatabaseError, LockLost):
            if self._connection.in_transaction:
                self._connection.run("rollback")

    def _run_after_error(self, hook: Migration, failed: MigrationFailed) -> None:
        """Whatever becomes of the hook, the error that it was called for stays."""
        try:
            message = self._envelope.after_error(hook, failed)
            self._connection.run(message.text)
            self._session.clean()
        except SqlMigrateError as error:
            self._on_event(Notice("WARNING", f"{hook.up} failed: {error.message}"))

    def _outlook(self, work: Work, error: SqlMigrateError | KeyboardInterrupt) -> str:
        if self._connection.lost and isinstance(error, SqlMigrateError):
            return error.hint
        done = work.segment.first if work.next < len(work.script.segments) else work.script.statements
        if work.step.action is Action.HOOK and any(step.action is not Action.HOOK for step in self.done):
            state = "the migrations are applied; the hook does not run again by itself: mend it, and run it with psql"
        elif work.begun:
            state = (
                f"{done} of its {work.script.statements} statements are committed, the next may be; a rerun finds out"
            )
        elif done:
            state = f"{done} of its {work.script.statements} statements are committed; a rerun goes on behind them"
        else:
            state = "it was rolled back whole; nothing of it is left"
        hint = error.hint if isinstance(error, SqlMigrateError) else ""
        return f"{hint}\n{state}" if hint else state


def _duration(record: Result | None) -> int:
    """What the record of a step returns, in milliseconds; that of a part of a step is of no interest."""
    value = record.get_value(0, 0) if record is not None and record.ntuples else None
    return int(value) if value is not None and value.isdigit() else 0
