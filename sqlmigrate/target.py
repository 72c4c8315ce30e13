"""One database to migrate: how to connect to it, its history, and its migration lock."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.config.password import password_for
from sqlmigrate.errors import ConnectionFailed, RecordFailed, SqlMigrateError, StatementFailed
from sqlmigrate.history.history import History
from sqlmigrate.history.tables import parse_table_name
from sqlmigrate.server.connection import connect
from sqlmigrate.server.conninfo import has_password, is_up, make_conninfo, place_in, server_of
from sqlmigrate.server.network import SAME_SERVER, WATCHER
from sqlmigrate.sql.sqlstate import NOT_PERMITTED, READ_ONLY, REJECTED_VALUE
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.model import Applied, Holder
    from sqlmigrate.server.connection import Connection, Row
    from sqlmigrate.server.lock import Lock
    from sqlmigrate.server.monitor import Monitor
    from sqlmigrate.server.session import Session

# The lock and the session are imported where they are used, so that commands that only read start quickly.

_CONNECT_PAUSE = 0.5  # seconds


class Opened(NamedTuple):
    """An open connection to the target, and its history, which has been surveyed."""

    connection: Connection
    history: History


class Locked(NamedTuple):
    """A connection to the target that holds the migration lock; `rows` is the history as read under the lock."""

    connection: Connection
    history: History
    session: Session
    lock: Lock
    rows: list[Applied]


def connect_beside(parameters: Mapping[str, str], application_name: str, **parts: str) -> Connection:
    """Opens another connection to the server of a connection, even if the settings list several hosts.

    Raises:
        ConnectionFailed: The server rejects the connection.
    """
    return connect(make_conninfo("", **{**parameters, **SAME_SERVER, **parts}), application_name)


class _Watch:
    """Reports what blocks the queries of a connection. Makes its monitor when a query waits, and never before."""

    def __init__(self, make_monitor: Callable[[], Monitor]) -> None:
        self._make_monitor = make_monitor
        self._monitor: Monitor | None = None

    def __call__(self) -> None:
        self._monitor = self._monitor or self._make_monitor()
        self._monitor.tick()

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.close()


class Target:
    """A database as the settings describe it. The constructor does no I/O."""

    def __init__(self, settings: Settings, on_event: Callable[[Event], None]) -> None:
        self._settings = settings
        self._on_event = on_event
        self.table = parse_table_name(settings.history_table)

    def connect(self, application_name: str, **parts: str) -> Connection:
        """Opens a connection, and starts the embedded server if it is the target.

        Args:
            application_name: The name that pg_stat_activity shows.
            parts: libpq parameters; they take precedence over the settings.

        Raises:
            ConnectionFailed: The server cannot be reached, or rejects the connection.
            ConfigurationError: The password cannot be read.
        """
        return connect(make_conninfo(self._conninfo(), **parts), application_name)

    def _connect_when_up(self) -> Connection:
        """Connects, and retries for `connect_wait` as long as the server is not up."""
        started, reported = time.monotonic(), ("", 0)
        while True:
            waited = time.monotonic() - started
            was_up = waited >= self._settings.connect_wait / 1000 or is_up(self._conninfo())
            try:
                return self.connect("sqlmigrate")
            except ConnectionFailed as error:
                if was_up:
                    raise
                from sqlmigrate.events import WaitingForServer

                if (error.message, int(waited)) != reported:
                    reported = error.message, int(waited)
                    self._on_event(WaitingForServer(error.message.partition(": ")[2], int(waited)))
            time.sleep(_CONNECT_PAUSE)

    def create_database(self) -> str:
        """Creates the database if it does not exist; returns its name, or an empty string if it exists.

        Raises:
            ConnectionFailed: The database cannot be connected to for another reason, or cannot be created.
        """
        try:
            self._connect_when_up().close()
        except ConnectionFailed as failure:
            from sqlmigrate.server.conninfo import database_in
            from sqlmigrate.server.creation import create_missing
            from sqlmigrate.server.unreachable import MISSING_DATABASE

            if failure.hint != MISSING_DATABASE:
                raise
            name = database_in(self._conninfo())
            if create_missing(lambda other: self.connect("sqlmigrate", dbname=other), name, failure):
                from sqlmigrate.events import Notice

                self._on_event(Notice("NOTICE", f'created database "{name}"'))
                return name
        return ""

    def _conninfo(self) -> str:
        settings, parts = self._settings, dict(self._settings.connection_parts)
        if settings.database.startswith("embedded:"):
            from sqlmigrate.server import embedded

            path = settings.database.removeprefix("embedded:")
            url = embedded.keep(path).url if settings.keep_running else embedded.start(path)
            return make_conninfo(url, **parts)
        conninfo = make_conninfo(settings.database, **parts)
        password = password_for(settings, in_url=has_password(conninfo))
        return conninfo if password is None else make_conninfo(conninfo, password=password)

    @property
    def place(self) -> tuple[str, str]:
        """The server as HOST:PORT, and the name of the database, as in the settings; no connection is opened."""
        url = "dbname=postgres" if self._settings.database.startswith("embedded:") else self._settings.database
        parameters = place_in(url, **dict(self._settings.connection_parts))
        return server_of(parameters), parameters["dbname"] or parameters["user"]

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """Opens a connection and surveys the history; the connection is closed at the end of the block."""
        connection = self._connect_when_up()
        watch = connection.on_tick = _Watch(lambda: self.monitor(connection, connection.backend_pid))
        try:
            history = History(connection, self.table, __version__, lambda: self._keeps_session(connection))
            history.survey()
            yield Opened(connection, history)
        except SqlMigrateError as error:
            self.explain(error, connection)
            raise
        finally:
            watch.close()
            connection.close()

    def monitor(self, connection: Connection, pid: int, committed_steps: str = "") -> Monitor:
        """Returns a monitor of a backend on the server of a connection; it has no connection yet."""
        from sqlmigrate.server.monitor import Monitor

        parameters = connection.parameters
        open_connection = partial(connect_beside, parameters, "sqlmigrate monitor", **WATCHER)
        return Monitor(open_connection, pid, self._on_event, committed_steps)

    def explain(self, error: SqlMigrateError, connection: Connection) -> None:
        """Adds to an error of the server the hint for which the database must be asked."""
        cause = error.__cause__ or error
        if isinstance(cause, StatementFailed):
            error.hint = "\n".join(filter(None, [self._advice(cause, connection), error.hint]))

    def _advice(self, cause: StatementFailed, connection: Connection) -> str:
        is_record = isinstance(cause, RecordFailed)
        if cause.report.sqlstate == READ_ONLY:
            from sqlmigrate.server import read_only

            return read_only.advice(connection)
        if cause.report.sqlstate == NOT_PERMITTED and (is_record or cause.location is None):
            from sqlmigrate.history import grants

            return grants.advice(connection, self.table, cause.report.message, by_script=is_record)
        return ""

    def _keeps_session(self, connection: Connection) -> bool:
        from sqlmigrate.server.pooler import keeps_session

        return keeps_session(connection, lambda: self.connect("sqlmigrate"))

    def observed(self, opened: Opened) -> tuple[list[Applied], Holder | None]:
        """Returns the rows of the history, and if one is unfinished, the backend that holds the migration lock."""
        rows = opened.history.rows()
        if all(row.success for row in rows):
            return rows, None
        holder = self.holder(opened)
        return (rows, holder) if holder else (opened.history.rows(), None)  # the run may have ended in between

    def holder(self, opened: Opened) -> Holder | None:
        """Returns the backend that holds the migration lock."""
        from sqlmigrate.server import lock

        return lock.holder(opened.connection, self.lock_key)

    @contextmanager
    def locked(self) -> Iterator[Locked]:
        """Opens a connection and acquires the migration lock.

        Raises:
            LockNotAvailable: Another run held the lock for all of `lock_wait`.
        """
        with self.opened() as opened, self.lock(opened) as locked:
            yield locked

    @contextmanager
    def lock(self, opened: Opened) -> Iterator[Locked]:
        """Acquires the migration lock on an open connection; the lock is released when the connection is closed.

        Raises:
            LockNotAvailable: Another run held the lock for all of `lock_wait`.
        """
        from sqlmigrate.events import Notice, WaitingForLock
        from sqlmigrate.server.lock import Lock
        from sqlmigrate.server.session import Session

        connection, history = opened
        session = Session(connection, pooled=history.pooled)
        keeper = connect_beside(connection.parameters, "sqlmigrate lock") if history.pooled else None
        lock = Lock(connection, self.lock_key, keeper)

        def acquire() -> list[list[Row]]:
            wait = self._settings.lock_wait / 1000
            return lock.acquire(
                wait, lambda *state: self._on_event(WaitingForLock(*state)), session.start, history.query_under_lock
            )

        try:
            try:
                results = acquire()
            except StatementFailed as error:
                if error.report.sqlstate != REJECTED_VALUE:
                    raise
                connection.run("rollback")
                session = Session(connection, pooled=history.pooled, checks_client=False)
                results = acquire()
            rows = history.rows_in(results)
            if restarted_at := history.check_log(results):
                message = f"the identity column of {history.tables.log} was behind its rows, and continues after {{}}"
                self._on_event(Notice("WARNING", message.format(restarted_at)))
            yield Locked(connection, history, session, lock, rows)
        finally:
            if keeper is not None:
                keeper.close()

    @property
    def lock_key(self) -> int:
        """The key of the migration lock."""
        from sqlmigrate.server.lock import key_of

        return key_of(str(self.table))
