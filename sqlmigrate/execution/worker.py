"""A connection beside that of the run, with an executor of its own, which runs one task at a time in a thread."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import DatabaseError, SqlMigrateError
from sqlmigrate.execution.alone import message_of
from sqlmigrate.execution.batches import Batches
from sqlmigrate.execution.executor import Executor
from sqlmigrate.execution.failures import LOCAL_ONLY
from sqlmigrate.server.lock import SharedLock
from sqlmigrate.server.monitor import Monitor
from sqlmigrate.server.network import WATCHER
from sqlmigrate.server.program import program_name
from sqlmigrate.target import Locked, connect_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from queue import SimpleQueue

    from sqlmigrate.events import Event
    from sqlmigrate.execution.envelope import Limits
    from sqlmigrate.execution.prepared import PreparedStep


_END = 5  # seconds to wait for the thread of a worker


class Stopped(BaseException):
    """The run ends while a worker is still busy. No handler of errors may catch it."""


class Ended(NamedTuple):
    """The end of a worker's task, with its error, if any, and the monotonic time."""

    worker: Worker
    error: BaseException | None
    at: float


class WorkerExecutor(Executor):
    """Runs steps, and statements of steps, of a run that another connection has started.

    Raises `Stopped` soon after `stop` is set.
    """

    def __init__(
        self,
        locked: Locked,
        monitor: Monitor,
        limits: Limits,
        on_event: Callable[[Event], None],
        stop: threading.Event,
    ) -> None:
        super().__init__(locked, monitor, limits, on_event)
        self._stop = stop
        self._guard = locked.lock.guard()
        self._connection.on_notices = self._take_notices

    def run_step(self, step: PreparedStep) -> None:
        """Runs one step, and records it."""
        self._connection.on_tick = lambda: self._tick_of(step)
        self._batches = Batches([step], self._envelope)
        finished = len(self.done)
        while len(self.done) == finished:
            self._check()
            self._advance([step], 0)
        self._report_finished()

    def run_statement(self, step: PreparedStep, settings: Mapping[str, str]) -> None:
        """Runs the next segment of a step, one statement outside a transaction block; the caller records it."""
        self._connection.on_tick = lambda: self._tick_of(step)
        self._check()
        self._heartbeat.begin([step])
        name = program_name(step.step.migration.id, step.segment.end, step.script.statements)
        setup = [self._session.restored(settings), self._envelope.prepared(step)]
        self._connection.run(f"{''.join(setup)}set application_name = {self._connection.literal(name)}")
        self._connection.run(f"select {self._guard}")
        self._monitor.begin()
        started = time.monotonic()
        self._connection.run(message_of(step).text)
        self._report_alone(step, round((time.monotonic() - started) * 1000))

    def clean_up(self) -> None:
        """Resets the session for the next task."""
        self._connection.on_tick = lambda: None
        with suppress(DatabaseError):
            self._connection.settle()
            self._session.clean()

    def _tick_of(self, step: PreparedStep) -> None:
        self._check()
        self._tick([step])

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._check()


class Worker:
    """A worker of a run. The constructor connects.

    Raises:
        ConnectionFailed: The server rejects the connection.
    """

    def __init__(self, main: Locked, limits: Limits, queue: SimpleQueue[Event | Ended], stop: threading.Event) -> None:
        self._queue = queue
        parameters = main.connection.parameters
        self._connection = connection = connect_beside(parameters, "sqlmigrate")
        try:
            session = main.session.beside(connection)
            lock, history = SharedLock(connection, main.lock), main.history.beside(connection)
        except BaseException:
            connection.close()
            raise
        self._monitor = Monitor(
            lambda: connect_beside(parameters, "sqlmigrate monitor", **WATCHER),
            lock.pid,
            queue.put,
        )
        locked = Locked(connection, history, session, lock, main.rows)
        self._executor = WorkerExecutor(locked, self._monitor, limits, queue.put, stop)
        self._thread: threading.Thread | None = None
        self.ended: Ended | None = None

    def start(self, task: Callable[[WorkerExecutor], None]) -> None:
        """Runs a task in a thread, which reports its end to the queue; `ended` is the end of the last task."""
        self.ended = None
        self._thread = threading.Thread(target=self._run, args=(task,), daemon=True)
        self._thread.start()

    def _run(self, task: Callable[[WorkerExecutor], None]) -> None:
        error: BaseException | None = None
        try:
            task(self._executor)
        except BaseException as caught:  # noqa: BLE001  # the main thread raises it
            error = caught
        at = time.monotonic()
        if self._monitor.awaits_standby and isinstance(error, SqlMigrateError):
            error.hint = "\n".join(filter(None, [LOCAL_ONLY, error.hint]))
        try:
            if not self._connection.lost:
                self._executor.clean_up()
        finally:
            self.ended = Ended(self, error, at)
            self._queue.put(self.ended)

    @property
    def is_busy(self) -> bool:
        """Whether a task is running."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_lost(self) -> bool:
        """Whether the connection was lost."""
        return self._connection.lost

    def close(self) -> None:
        """Closes the connection; the statement of a thread that is still busy is cancelled by the server."""
        if self._thread is not None:
            self._thread.join(_END)
        self._monitor.close()
        self._connection.close()
