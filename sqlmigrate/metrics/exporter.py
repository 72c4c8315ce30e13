"""The metrics' ways out: text, a file, a Pushgateway, an HTTP server."""

from __future__ import annotations

import re
import socket
import threading
import time
from http.client import HTTPException
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sqlmigrate.errors import ConfigurationError, ConnectionLost, DatabaseError, SqlMigrateError
from sqlmigrate.events import Warned
from sqlmigrate.files import atomic, source
from sqlmigrate.history import log
from sqlmigrate.history.history import History
from sqlmigrate.metrics import families
from sqlmigrate.planning import planner
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client import Metric

    from sqlmigrate.events import Event
    from sqlmigrate.history.log import Reading
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.target import Target

# A scrape ends within Prometheus' ten seconds, whatever the database does. `statement_timeout` is the reading's own.
_LIBPQ = {"connect_timeout": "3", "tcp_user_timeout": "5000"}
_PATIENCE = 5  # seconds that a scrape waits for those before it
_PAUSE = 1  # seconds after a failure in which the database is not asked again
_PUSH_TIMEOUT = 5
_CLIENT_TIMEOUT = 10
_ADDRESS = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]]*)):([0-9]{1,5})")


class Exporter:
    """One database's metrics, read anew for each look, over one connection that is kept until `close`."""

    def __init__(self, target: Target, directories: Sequence[str], on_event: Callable[[Event], None]) -> None:
        self._target = target
        self._directories = directories
        self._on_event = on_event
        self._lock = threading.Lock()
        self._opened: tuple[Connection, History] | None = None
        self._database = ""
        self._silent_until: float | None = None

    def read(self) -> list[Metric]:
        """The metrics as they are now.

        Raises:
            DatabaseError: they can't be read.
            ConfigurationError: there is no directory of migrations, or the extra is not installed.
        """
        found = source.find(self._directories)
        reading = self._reading()
        pending = planner.plan_apply(planner.statuses(found.migrations, reading.rows)).steps
        return families.labelled(families.families(reading, len(pending)), self._labels)

    def collect(self) -> list[Metric]:
        """The same for a server, from any thread: where nothing can be read, that is what it says."""
        if not self._lock.acquire(timeout=_PATIENCE):
            return self._down()
        try:
            return self._read_or_say()
        finally:
            self._lock.release()

    def write(self, path: str) -> None:
        """Puts the metrics in the place of a file at once, for node_exporter; without a database says that.

        Raises:
            DatabaseError: they can't be read; the file says so.
        """
        try:
            _save(path, self.read())
        except DatabaseError:
            _save(path, self._down())
            raise

    def push(self, url: str, *, left_out: Sequence[str] = ()) -> None:
        """Hands the metrics to a Pushgateway, as those of the job `sqlmigrate`, of this server and this database.

        Args:
            url: the gateway's.
            left_out: metrics that are not to stand there until the next push.

        Raises:
            DatabaseError: they can't be read.
            SqlMigrateError: the gateway does not take them.
        """
        read = families.Collected([one for one in self.read() if one.name not in left_out])
        group = {"instance": self._target.place[0], **self._labels}
        where = url.rpartition("@")[2]
        try:
            where, handler = _gateway(url)
            send = families.client("exposition").push_to_gateway
            _in_time(lambda: send(where, "sqlmigrate", read, group, timeout=_PUSH_TIMEOUT, handler=handler))
        except (OSError, ValueError, HTTPException) as error:
            raise SqlMigrateError(f"the metrics were not pushed to {where}: {error}") from None

    def serve(self, address: str, on_start: Callable[[str], None]) -> None:
        """Answers scrapes until an exception, such as a signal's, comes by; `on_start` hears the URL.

        Raises:
            ConfigurationError: nobody can listen there, or there is no directory of migrations.
        """
        source.find(self._directories)
        host, port = _host_and_port(address)
        kind = _Server6 if ":" in host else _Server
        app = families.client("exposition").make_wsgi_app(_registry(self))
        try:
            server = make_server(host, port, app, kind, _Handler)
        except OSError as error:
            raise ConfigurationError(f"nobody can listen on {address}: {error.strerror}") from error
        # The main thread hears signals, and must not hear one in the middle of an answer.
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            on_start(f"http://{f'[{host}]' if ':' in host else host or 'localhost'}:{server.server_port}/metrics")
            threading.Event().wait()
        finally:
            server.shutdown()
            server.server_close()

    def close(self) -> None:
        """Closes the connection, where nobody reads from it."""
        if self._lock.acquire(timeout=1):
            self._drop()
            self._lock.release()

    @property
    def _labels(self) -> dict[str, str]:
        return {"database": self._database or self._target.place[1], "history_table": str(self._target.table)}

    def _down(self) -> list[Metric]:
        return families.labelled(families.up(is_up=False), self._labels)

    def _reading(self) -> Reading:
        """A connection that was kept may have been ended meanwhile, as by `idle_session_timeout`: that is no outage."""
        was_kept = self._opened is not None
        try:
            return self._look()
        except ConnectionLost:
            if not was_kept:
                raise
            return self._look()

    def _look(self) -> Reading:
        if self._opened is None:
            connection = self._target.connect("sqlmigrate exporter", **_LIBPQ)
            self._opened = connection, History(connection, self._target.table, __version__)
            self._database = connection.database  # which a service file may have named
        try:
            return log.reading(*self._opened, self._target.lock_key)
        except SqlMigrateError:
            self._drop()
            raise

    def _read_or_say(self) -> list[Metric]:
        if self._silent_until is not None and time.monotonic() < self._silent_until:
            return self._down()
        try:
            read = self.read()
        except SqlMigrateError as error:
            if self._silent_until is None:
                self._on_event(Warned(f"no metrics: {error.message}"))
            self._silent_until = time.monotonic() + _PAUSE
            return self._down()
        if self._silent_until is not None:
            self._on_event(Warned("metrics are there again"))
            self._silent_until = None
        return read

    def _drop(self) -> None:
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or said nothing for too long, is no fault of ours."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_TIMEOUT

    def log_message(self, *_: Any) -> None:
        """A line a scrape would bury what matters."""


def _registry(collector: Exporter) -> Any:
    registry = families.client("registry").CollectorRegistry(support_collectors_without_names=True)
    registry.register(collector)
    return registry


def _save(path: str, read: list[Metric]) -> None:
    try:
        atomic.save(path, families.exposition(read), 0o644)
    except OSError as error:
        raise SqlMigrateError(f"{path} can't be written: {error.strerror}") from error


def _host_and_port(address: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[3]) > 65535:
        raise ConfigurationError(f"{address!r} is not an address", hint="write HOST:PORT, or :9187 for all addresses")
    return match[1] or match[2], int(match[3])


def _in_time(push: Callable[[], None]) -> None:
    """In a thread, since no timeout of a socket's covers the look for a name, or an answer that comes byte by byte."""
    failed: list[Exception] = []

    def attempt() -> None:
        try:
            push()
        except (OSError, ValueError, HTTPException) as error:
            failed.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(_PUSH_TIMEOUT)
    if failed:
        raise failed[0]
    if thread.is_alive():
        raise TimeoutError(f"no answer in {_PUSH_TIMEOUT} s")


def _gateway(url: str) -> tuple[str, Any]:
    """Where to push, without name and password, and a handler that knows them."""
    exposition = families.client("exposition")
    parts = urlsplit(url if "//" in url else f"http://{url}")
    if parts.scheme not in ("http", "https"):
        raise ValueError("it is no http:// or https:// URL")
    where = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def handler(**request: Any) -> Any:
        return exposition.basic_auth_handler(
            **request, username=unquote(parts.username or "") or None, password=unquote(parts.password or "")
        )

    return where, handler
