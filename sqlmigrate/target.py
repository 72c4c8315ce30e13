"""One database to migrate: the ways to it, its history, and its lock."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlmigrate.config.password import password_for
from sqlmigrate.history.history import History
from sqlmigrate.history.tables import parse_table_name
from sqlmigrate.server.connection import connect, has_password, make_conninfo, place_in
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.model import Applied
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.server.lock import Lock
    from sqlmigrate.server.session import Session

# The lock and the session are imported where they are used: what only reads is kept quick to start.


class Target:
    """Does nothing until it is asked for a connection."""

    def __init__(self, settings: Settings, on_event: Callable[[Event], None]) -> None:
        self._settings = settings
        self._on_event = on_event
        self.table = parse_table_name(settings.history_table)

    def connect(self, application_name: str, **parts: str) -> Connection:
        """A connection; the embedded server is started where it is the target. `parts` are libpq's, and go first.

        Raises:
            ConnectionFailed
            ConfigurationError: the password is not to be had.
        """
        return connect(make_conninfo(self._conninfo(), **parts), application_name)

    def _conninfo(self) -> str:
        settings, parts = self._settings, dict(self._settings.connection_parts)
        if settings.database.startswith("embedded:"):
            from sqlmigrate.server import embedded

            return make_conninfo(embedded.start(settings.database.removeprefix("embedded:")), **parts)
        given = make_conninfo(settings.database, **parts)
        password = password_for(settings, in_url=has_password(given))
        return given if password is None else make_conninfo(given, password=password)

    @property
    def place(self) -> tuple[str, str]:
        """The server as HOST:PORT and the database's name, as the settings have them, whether they are there or not."""
        url = "dbname=postgres" if self._settings.database.startswith("embedded:") else self._settings.database
        said = place_in(url, **dict(self._settings.connection_parts))
        host = said["host"] or said["hostaddr"]
        if not host or host.startswith(("/", "@")):  # a socket's directory
            host = socket.gethostname()
        return f"{host}:{said['port'] or 5432}", said["dbname"] or said["user"]

    @contextmanager
    def opened(self) -> Iterator[tuple[Connection, History]]:
        """A connection, and the history as it is there; both for as long as the block lasts."""
        connection = self.connect("sqlmigrate")
        try:
            history = History(connection, self.table, __version__)
            history.survey()
            yield connection, history
        finally:
            connection.close()

    @contextmanager
    def locked(self) -> Iterator[tuple[Connection, Session, History, list[Applied]]]:
        """The same under the lock, with the rows as they are under it."""
        with self.opened() as (connection, history):
            session = self.session(connection, history)
            with self.lock(connection, history, session) as (_, rows):
                yield connection, session, history, rows

    def session(self, connection: Connection, history: History) -> Session:
        """The session's texts for a connection."""
        from sqlmigrate.server.session import Session

        return Session(connection, pooled=history.pooled)

    @contextmanager
    def lock(self, connection: Connection, history: History, session: Session) -> Iterator[tuple[Lock, list[Applied]]]:
        """The lock, and the rows as they are under it. It ends with the connection.

        Raises:
            LockNotAvailable: another run held it for all of `lock_wait`.
        """
        from sqlmigrate.events import WaitingForLock
        from sqlmigrate.server.lock import Lock

        keeper = self.connect("sqlmigrate lock") if history.pooled else None
        lock = Lock(connection, self.lock_key, keeper)
        wait = self._settings.lock_wait / 1000
        try:
            answers = lock.acquire(
                wait, lambda holder: self._on_event(WaitingForLock(holder)), session.start, history.query
            )
            yield lock, history.rows_in(answers)
        finally:
            if keeper is not None:
                keeper.close()

    @property
    def lock_key(self) -> int:
        """The key of the migration lock."""
        from sqlmigrate.server.lock import key_of

        return key_of(str(self.table))
