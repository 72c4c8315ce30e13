"""Exports the metrics: to a file, to a Pushgateway, and over HTTP."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import SplitResult, unquote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sqlmigrate.errors import ConfigurationError, ConnectionLost, DatabaseError, SqlMigrateError
from sqlmigrate.events import Warned
from sqlmigrate.files import atomic, source
from sqlmigrate.history import log
from sqlmigrate.history.history import History
from sqlmigrate.metrics import families
from sqlmigrate.planning import planner
from sqlmigrate.server.network import WATCHER
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client import Metric

    from sqlmigrate.events import Event
    from sqlmigrate.history.log import Reading
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.target import Target

# A scrape ends within the ten seconds of Prometheus, whatever the database does: the connection is a `WATCHER`, and
# `log.reading` sets statement_timeout.
_SCRAPE_WAIT = 5  # seconds that a scrape waits for earlier scrapes
_PAUSE = 1  # seconds after a failure before the next query
_PUSH_TIMEOUT = 5
_PUSH_HINT = "write http://USER:PASSWORD@HOST:PORT, with %40 for @, %2F for /, %3F for ? and %23 for # in the password"
_CLIENT_TIMEOUT = 10
_MAX_CLIENTS = 64
_ADDRESS = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]]*)):([0-9]{1,5})")


class Exporter:
    """The metrics of one database; each scrape reads them over one connection, which stays open until `close`."""

    def __init__(self, target: Target, directories: Sequence[str], on_event: Callable[[Event], None]) -> None:
        self._target = target
        self._directories = directories
        self._on_event = on_event
        self._lock = threading.Lock()
        self._opened: tuple[Connection, History] | None = None
        self._database = ""
        self._paused_until: float | None = None

    def read(self) -> list[Metric]:
        """Reads the metrics.

        Raises:
            DatabaseError: the metrics cannot be read.
            ConfigurationError: a directory of migrations does not exist, or prometheus_client is not installed.
        """
        files = source.find(self._directories)
        reading = self._reading()
        pending = planner.plan_apply(planner.statuses(files.migrations, reading.rows)).steps
        return families.labelled(families.families(reading, len(pending)), self._labels)

    def collect(self) -> list[Metric]:
        """Reads the metrics for the HTTP server, from any thread; if that fails, returns `migration_up` 0."""
        if not self._lock.acquire(timeout=_SCRAPE_WAIT):
            return self._down()
        try:
            return self._read_or_warn()
        finally:
            self._lock.release()

    def write(self, path: str) -> None:
        """Replaces a file of node_exporter's textfile collector with the metrics, atomically.

        Raises:
            DatabaseError: the metrics cannot be read; the file then contains `migration_up` 0.
        """
        try:
            _save(path, self.read())
        except DatabaseError:
            _save(path, self._down())
            raise

    def push(self, url: str, *, omitted: Sequence[str] = ()) -> None:
        """Pushes the metrics to a Pushgateway, as job `sqlmigrate`, grouped by server and database.

        Args:
            url: the URL of the gateway.
            omitted: metrics that would be out of date until the next push.

        Raises:
            DatabaseError: the metrics cannot be read.
            SqlMigrateError: the gateway does not accept the metrics.
        """
        collected = families.Collected([metric for metric in self.read() if metric.name not in omitted])
        group = {"instance": self._target.place[0], **self._labels}
        where, _ = _gateway_parts(url)
        try:
            address, handler = _gateway(url)
            send = families.client("exposition").push_to_gateway
            _in_time(lambda: send(address, "sqlmigrate", collected, group, timeout=_PUSH_TIMEOUT, handler=handler))
        except OSError as error:
            reason = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
            raise SqlMigrateError(f"could not push the metrics to {where}: {reason}") from None
        except (ValueError, HTTPException) as error:  # their messages may contain the path, and a token in it
            raise SqlMigrateError(f"could not push the metrics to {where}: {type(error).__name__}") from None

    def serve(self, address: str, on_start: Callable[[str], None]) -> None:
        """Serves scrapes until an exception ends it, such as that of a signal; calls `on_start` with the URL.

        Raises:
            ConfigurationError: it cannot listen on the address, or a directory of migrations does not exist.
        """
        source.find(self._directories)
        host, port = _host_and_port(address)
        server_class = _HTTPServer6 if ":" in host else _HTTPServer
        app = families.client("exposition").make_wsgi_app(_registry(self))
        try:
            server = make_server(host, port, app, server_class, _Handler)
        except OSError as error:
            raise ConfigurationError(f'could not listen on "{address}": {error.strerror}') from error
        # Python handles signals in the main thread, where they must not interrupt a response.
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            on_start(f"http://{f'[{host}]' if ':' in host else host or 'localhost'}:{server.server_port}/metrics")
            threading.Event().wait()
        finally:
            server.shutdown()
            server.server_close()

    def close(self) -> None:
        """Closes the connection, unless a scrape still reads from it."""
        if self._lock.acquire(timeout=1):
            self._drop()
            self._lock.release()

    @property
    def _labels(self) -> dict[str, str]:
        return {"database": self._database or self._target.place[1], "history_table": str(self._target.table)}

    def _down(self) -> list[Metric]:
        return families.labelled(families.up(is_up=False), self._labels)

    def _reading(self) -> Reading:
        """Reads the database; connects again if the server closed the idle connection (`idle_session_timeout`)."""
        was_connected = self._opened is not None
        try:
            return self._read_database()
        except ConnectionLost:
            if not was_connected:
                raise
            return self._read_database()

    def _read_database(self) -> Reading:
        if self._opened is None:
            connection = self._target.connect("sqlmigrate exporter", **WATCHER)
            self._opened = connection, History(connection, self._target.table, __version__)
            self._database = connection.database  # its name may come from a service file
        try:
            return log.reading(*self._opened, self._target.lock_key)
        except SqlMigrateError as error:
            self._target.explain(error, self._opened[0])
            self._drop()
            raise

    def _read_or_warn(self) -> list[Metric]:
        if self._paused_until is not None and time.monotonic() < self._paused_until:
            return self._down()
        try:
            metrics = self.read()
        except SqlMigrateError as error:
            if self._paused_until is None:
                self._on_event(Warned(f"could not read the metrics: {error.message}"))
            self._paused_until = time.monotonic() + _PAUSE
            return self._down()
        if self._paused_until is not None:
            self._on_event(Warned("the metrics can be read again"))
            self._paused_until = None
        return metrics

    def _drop(self) -> None:
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None


class _HTTPServer(ThreadingMixIn, WSGIServer):
    """Serves each connection in a thread; closes those whose request is late, and the oldest if there are too many."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._slots = threading.BoundedSemaphore(_MAX_CLIENTS)
        self._awaited: dict[Any, float] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread; with too many, the connection that waits longest for its request makes room."""
        if not self._slots.acquire(blocking=False):
            self._hang_up(next(iter(list(self._awaited)), request))
            if not self._slots.acquire(timeout=1):
                self.shutdown_request(request)
                return
        self._awaited[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves a connection, and frees its slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.arrived(request)
            self._slots.release()

    def service_actions(self) -> None:
        """Closes connections whose request takes too long: a socket's timeout starts again with each byte."""
        for request, began in list(self._awaited.items()):
            if time.monotonic() - began > _CLIENT_TIMEOUT:
                self._hang_up(request)

    def arrived(self, request: Any) -> None:
        """Notes that the request of a connection is complete."""
        self._awaited.pop(request, None)

    def _hang_up(self, request: Any) -> None:
        self.arrived(request)
        with suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores clients that closed the connection or timed out."""


class _HTTPServer6(_HTTPServer):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_TIMEOUT
    server: _HTTPServer

    def parse_request(self) -> bool:
        """Reads the headers, after which the client has no more to send."""
        is_valid = super().parse_request()
        self.server.arrived(self.connection)
        return is_valid

    def log_message(self, *_: object) -> None:
        """Logs nothing: one line per scrape would hide the warnings."""


def _registry(collector: Exporter) -> Any:
    registry = families.client("registry").CollectorRegistry(support_collectors_without_names=True)
    registry.register(collector)
    return registry


def _save(path: str, metrics: list[Metric]) -> None:
    try:
        atomic.save(path, families.exposition(metrics), 0o644)
    except OSError as error:
        raise SqlMigrateError(f'could not write file "{path}": {error.strerror}') from error


def _host_and_port(address: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[3]) > 65535:
        raise ConfigurationError(f'invalid address "{address}"', hint="write HOST:PORT, or :10187 for all addresses")
    return match[1] or match[2], int(match[3])


def _in_time(push: Callable[[], None]) -> None:
    """Pushes in a thread: socket timeouts cover neither name resolution nor a response that arrives byte by byte."""
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            push()
        except (OSError, ValueError, HTTPException) as error:
            errors.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(_PUSH_TIMEOUT)
    if errors:
        raise errors[0]
    if thread.is_alive():
        raise TimeoutError(f"no response within {_PUSH_TIMEOUT} s")


def _gateway_parts(url: str) -> tuple[str, SplitResult]:
    """Returns scheme, host and port without the path, which may contain a token; and the parts of the URL.

    Raises:
        SqlMigrateError: the URL is not usable, or a part of the password may be taken for another part of the URL.
    """
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        _ = parts.port
    except ValueError:
        raise SqlMigrateError("could not push the metrics: invalid URL", hint=_PUSH_HINT) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SqlMigrateError("could not push the metrics: invalid URL", hint=_PUSH_HINT)
    if "@" in f"{parts.path}{parts.query}{parts.fragment}" or parts.netloc.count("@") > 1:
        raise SqlMigrateError(
            "could not push the metrics: the user or password in the URL contains a character that must be escaped",
            hint=_PUSH_HINT,
        )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts


def _gateway(url: str) -> tuple[str, Callable[..., Any]]:
    """Returns the URL without user and password, and a handler that sends them."""
    exposition = families.client("exposition")
    _, parts = _gateway_parts(url)
    where = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def handler(**request: Any) -> Any:
        return exposition.basic_auth_handler(
            **request, username=unquote(parts.username or "") or None, password=unquote(parts.password or "")
        )

    return where, handler
