"""Runs a plan with several connections: waves of steps, and of statements of one step, side by side."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import (
    ConfigurationError,
    ConnectionFailed,
    DatabaseError,
    SignalReceived,
    SqlMigrateError,
    StatementFailed,
)
from sqlmigrate.events import StepFailed, Warned
from sqlmigrate.execution.diagnosis import Failure
from sqlmigrate.execution.division import Division
from sqlmigrate.execution.executor import Executor
from sqlmigrate.execution.resumption import settings_in
from sqlmigrate.execution.several import Several
from sqlmigrate.execution.worker import Ended, Stopped, Worker, WorkerExecutor
from sqlmigrate.model import Action, Progress
from sqlmigrate.server.lock import Lock
from sqlmigrate.sql.parser import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.envelope import Limits
    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.history.history import History
    from sqlmigrate.model import Migration, Step
    from sqlmigrate.server.monitor import Monitor
    from sqlmigrate.target import Locked

_TICK = 0.2  # seconds
_POOLED = "migrations cannot run side by side behind a transaction pooler"
_DIRECT = "connect to PostgreSQL directly, or omit --parallel (SQLMIGRATE_PARALLEL, MIGRATION_CONCURRENCY)"


def require_sessions(history: History) -> None:
    """Checks that migrations can run side by side.

    Raises:
        ConfigurationError: The connection goes through a transaction pooler, or the parser is not installed.
    """
    if history.pooled:
        raise ConfigurationError(_POOLED, hint=_DIRECT)
    parse("")


class Task(NamedTuple):
    """Work on a step for one connection; `announce` is called on the connection of the run right before."""

    step: Step
    run: Callable[[WorkerExecutor], None]
    announce: Callable[[], None]


class Workers:
    """The connections beside that of the run. `outcomes` are those of the last tasks, by their index."""

    def __init__(self, main: Locked, limits: Limits, count: int, on_event: Callable[[Event], None]) -> None:
        self._main = main
        self._limits = limits
        self._count = count
        self._on_event = on_event
        self._queue: SimpleQueue[Event | Ended] = SimpleQueue()
        self._stop = threading.Event()
        self._workers: list[Worker] = []
        self._tasks: Sequence[Task] = ()
        self.outcomes: dict[int, Ended] = {}

    @property
    def count(self) -> int:
        """The number of open connections."""
        return len(self._workers)

    def open(self) -> None:
        """Opens the connections, as many as the server accepts.

        The session of a worker starts as that of the run did: no migration has changed a default in between.
        """
        try:
            for _ in range(self._count):
                self._workers.append(Worker(self._main, self._limits, self._queue, self._stop))
        except ConnectionFailed as error:
            self._on_event(
                Warned(f"{len(self._workers)} of {self._count} connections could be opened: {error.message}")
            )

    def close(self) -> None:
        """Closes the connections."""
        self._stop.set()
        for worker in self._workers:
            worker.close()

    def run(self, tasks: Sequence[Task]) -> BaseException | None:
        """Runs tasks, in order, as many at a time as there are connections; after a failure, starts no other.

        Returns what interrupted them, such as a signal, after all of them have ended.
        """
        self.outcomes, self._tasks = {}, tasks
        waiting, idle = deque(enumerate(tasks)), deque(self._workers)
        busy: dict[Worker, int] = {}
        try:
            while waiting or busy:
                while waiting and idle and not self._has_failed:
                    number, task = waiting.popleft()
                    task.announce()
                    worker = idle.popleft()
                    busy[worker] = number
                    worker.start(task.run)
                if not busy:
                    return None
                self._take(busy, idle)
                self._main.connection.check()
        except BaseException as interruption:  # noqa: BLE001  # the caller raises it
            self._stop.set()
            while any(worker.is_busy for worker in busy):
                with suppress(Exception):
                    self._take(busy, idle)
            # A signal may have come between a worker's report and the line that takes it.
            self.outcomes |= {number: worker.ended for worker, number in busy.items() if worker.ended is not None}
            return interruption
        return None

    @property
    def _has_failed(self) -> bool:
        return any(outcome.error for outcome in self.outcomes.values())

    def _take(self, busy: dict[Worker, int], idle: deque[Worker]) -> None:
        """Takes what a worker reports next, if it comes soon."""
        try:
            taken = self._queue.get(timeout=_TICK)
        except Empty:
            return
        if not isinstance(taken, Ended):
            self._on_event(taken)
            return
        number = busy[taken.worker]
        self.outcomes[number] = taken
        del busy[taken.worker]
        if isinstance(taken.error, SqlMigrateError) and busy:
            self._on_event(StepFailed(self._tasks[number].step, taken.error.message))
        if not taken.worker.is_lost:
            idle.append(taken.worker)


class ParallelExecutor(Executor):
    """Runs steps as `Executor` does, but consecutive steps that do not depend on each other side by side."""

    def __init__(
        self,
        locked: Locked,
        monitor: Monitor,
        limits: Limits,
        on_event: Callable[[Event], None],
        connections: int,
    ) -> None:
        super().__init__(locked, monitor, limits, on_event)
        self._several = Several(self._connection, self._envelope, monitor, self._tell)
        self._tables = locked.history.tables
        self._workers = Workers(locked, limits, connections, self._tell)
        self._division: Division | None = None

    def run(self, prepared: Sequence[PreparedStep], after_error: Migration | None = None) -> None:
        """Runs all steps, those of a wave in any order; see `Executor.run`."""
        division = Division(self._connection, self._tables, prepared)
        try:
            if not division.is_serial:
                self._workers.open()
                self._division = division if self._workers.count else None
            super().run([*prepared], after_error)  # `_run_wave` changes the order
        finally:
            self._workers.close()

    def _advance(self, prepared: Sequence[PreparedStep], position: int) -> int:
        if self._division is None:
            return super()._advance(prepared, position)
        count, is_wave = self._division.next(position)
        if is_wave and isinstance(prepared, list):
            return self._run_wave(prepared, position, position + count)
        self._batches.end = position + count
        return super()._advance(prepared, position)

    def _run_wave(self, prepared: list[PreparedStep], position: int, end: int) -> int:
        self._report_finished()
        steps = prepared[position:end]
        ends_run = steps[-1].last
        _prepare_wave(steps)
        self._records.is_shared = True
        interruption = self._workers.run([self._task_of(step) for step in steps])
        finished, failed, waiting = self._sorted(steps)
        prepared[position:end] = [*finished, *(step for step, _ in failed), *waiting]
        self._reported.update(step.step.migration.id for step in finished)
        self.done += [step.step for step in finished]
        if interruption is not None or failed:
            raise self._first_error(failed, interruption)
        self._records.is_shared = False
        if ends_run:
            self._connection.run(f"begin;{self._records.run_end.text}commit;")
        return len(steps)

    def _task_of(self, step: PreparedStep) -> Task:
        return Task(step.step, lambda executor: executor.run_step(step), lambda: self._record_start(step))

    def _record_start(self, step: PreparedStep) -> None:
        """Records that a step is about to start: a newer one may be finished before it, or without it."""
        if not step.has_row:
            self._alone.record_progress(step, Progress(step.script.statements, 0, 0, ""), 0)
            step.has_row, step.opened = True, False

    def _sorted(
        self, steps: Sequence[PreparedStep]
    ) -> tuple[list[PreparedStep], list[tuple[PreparedStep, BaseException]], list[PreparedStep]]:
        """Returns the steps of a wave that are finished, those that failed, in this order, and those not started."""
        outcomes = [(step, self._workers.outcomes.get(number)) for number, step in enumerate(steps)]
        ended = sorted(((step, end) for step, end in outcomes if end is not None), key=lambda pair: pair[1].at)
        committed = self._committed_ids() if any(end.error for _, end in ended) else set()
        finished = [step for step, end in ended if end.error is None or step.step.migration.id in committed]
        failed = [(step, end) for step, end in ended if step not in finished]
        for step, end in failed:  # what it waited for the others is no part of its duration
            step.started += time.monotonic() - end.at if step.started else 0
        return (
            [step for step in steps if step in finished],
            [(step, end.error) for step, end in failed if end.error is not None],
            [step for step, end in outcomes if end is None],
        )

    def _committed_ids(self) -> set[str]:
        with suppress(DatabaseError):
            return {row[0] for row in self._connection.rows(self._records.committed_steps)}
        return set()

    def _first_error(
        self, failed: Sequence[tuple[PreparedStep, BaseException]], interruption: BaseException | None
    ) -> BaseException:
        """Records the failures of a wave but the first one, which the caller raises, and adds them to its hint."""
        cause = interruption.error if isinstance(interruption, SignalReceived) else interruption
        errors = [cause if cause and isinstance(error, Stopped) else error for _, error in failed]
        first = interruption or errors[0]
        for (step, _), error in [*zip(failed, errors, strict=True)][1:]:
            if isinstance(error, SqlMigrateError | KeyboardInterrupt):
                cause = (isinstance(error, StatementFailed) and Lock.lost(error)) or error
                also = self._failures.recorded(step, cause, self.done)
                if isinstance(first, SqlMigrateError):
                    first.hint = "\n".join(filter(None, [first.hint, also.message]))
        return first

    def _run_segment(self, step: PreparedStep) -> None:
        is_alone = not step.segment.transactional and step.step.action is not Action.HOOK  # no row has its session
        numbers = self._division.segments(step) if self._division is not None and is_alone else range(0)
        if len(numbers) > 1:
            self._run_group(step, numbers)
        else:
            super()._run_segment(step)

    def _run_group(self, step: PreparedStep, numbers: Sequence[int]) -> None:
        """Runs the statements of consecutive segments side by side, and records them together."""
        started = time.monotonic()
        states = self._several.start(step, numbers)
        is_changed = states and step.script.may_change_session
        settings = settings_in(self._alone.record_session(step)) if is_changed else {}
        step.begun = True
        self._begin_alone(step)
        copies = (replace(step, next=number) for number in states)
        interruption = self._workers.run([_statement(copy, settings) for copy in copies])
        if interruption is not None:
            raise interruption
        outcomes = {number: self._workers.outcomes.get(at) for at, number in enumerate(states)}
        errors = {number: _checked(end.error) for number, end in outcomes.items() if end is not None and end.error}
        elapsed_ms = round((time.monotonic() - started) * 1000)
        failure = self._several.end(step, states, errors, elapsed_ms)
        if isinstance(failure, Failure):
            self._settle(step, failure)
        elif failure is not None:
            raise failure
        else:
            step.next = numbers[-1]
            self._end_alone(step, elapsed_ms)


def _prepare_wave(steps: Sequence[PreparedStep]) -> None:
    """Changes what a step assumes about its predecessors; the last commit may be that of any step of the wave."""
    for step in steps:
        step.first, step.earlier_row = steps[0].first, steps[0].earlier_row
        step.last, step.durable = False, True


def _statement(step: PreparedStep, settings: Mapping[str, str]) -> Task:
    return Task(step.step, lambda executor: executor.run_statement(step, settings), lambda: None)


def _checked(error: BaseException) -> SqlMigrateError:
    """Returns the error of a statement; raises an error of the program."""
    if not isinstance(error, SqlMigrateError):
        raise error
    return error
