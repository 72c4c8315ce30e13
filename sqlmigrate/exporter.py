"""The metrics' ways out: text, a file, a Pushgateway, an HTTP server."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sqlmigrate import __version__, audit, metrics, planner, source
from sqlmigrate.errors import ConfigurationError, DatabaseError, SqlMigrateError
from sqlmigrate.events import Warned
from sqlmigrate.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client import Metric

    from sqlmigrate.database import Connection
    from sqlmigrate.events import Event
    from sqlmigrate.target import Target

# A scrape ends within Prometheus' ten seconds, whatever the database does. `statement_timeout` is the reading's own.
_LIBPQ = {"connect_timeout": "3", "tcp_user_timeout": "5000"}
_PATIENCE = 5  # seconds that a scrape waits for those before it
_PAUSE = 1  # seconds after a failure in which the database is not asked again
_PUSH_TIMEOUT = 5
_CLIENT_TIMEOUT = 10


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
        if self._opened is None:
            connection = self._target.connect("sqlmigrate exporter", **_LIBPQ)
            self._opened = connection, History(connection, self._target.table, __version__)
        try:
            reading = audit.reading(*self._opened, self._target.lock_key)
        except SqlMigrateError:
            self._drop()
            raise
        self._database = reading.database
        pending = planner.plan_apply(planner.standings(found.migrations, reading.rows)).steps
        return metrics.families(reading, len(pending))

    def collect(self) -> list[Metric]:
        """The same for a server, from any thread: where nothing can be read, that is what it says."""
        if not self._lock.acquire(timeout=_PATIENCE):
            return metrics.up(is_up=False)
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
            _replace(path, self.read())
        except DatabaseError:
            _replace(path, metrics.up(is_up=False))
            raise

    def push(self, url: str) -> None:
        """Hands the metrics to a Pushgateway, as those of the job `sqlmigrate` and of this database.

        Raises:
            DatabaseError: they can't be read.
            SqlMigrateError: the gateway does not take them.
        """
        read = metrics.Collected(self.read())
        where = url.rpartition("@")[2]
        try:
            where, handler = _gateway(url)
            metrics.client("exposition").push_to_gateway(
                where, "sqlmigrate", read, {"database": self._database}, timeout=_PUSH_TIMEOUT, handler=handler
            )
        except (OSError, ValueError) as error:
            raise SqlMigrateError(f"the metrics were not pushed to {where}: {error}") from None

    def serve(self, address: str, on_start: Callable[[str], None]) -> None:
        """Answers scrapes until an exception, such as a signal's, comes by; `on_start` hears the URL.

        Raises:
            ConfigurationError: nobody can listen there, or there is no directory of migrations.
        """
        source.find(self._directories)
        host, port = _host_and_port(address)
        kind = _Server6 if ":" in host else _Server
        app = metrics.client("exposition").make_wsgi_app(_registry(self))
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

    def _read_or_say(self) -> list[Metric]:
        if self._silent_until is not None and time.monotonic() < self._silent_until:
            return metrics.up(is_up=False)
        try:
            read = self.read()
        except SqlMigrateError as error:
            if self._silent_until is None:
                self._on_event(Warned(f"no metrics: {error.message}"))
            self._silent_until = time.monotonic() + _PAUSE
            return metrics.up(is_up=False)
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

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its parent's name
        """A line a scrape would bury what matters."""


def _registry(collector: Exporter) -> Any:
    registry = metrics.client("registry").CollectorRegistry(support_collectors_without_names=True)
    registry.register(collector)
    return registry


def _replace(path: str, read: list[Metric]) -> None:
    text = metrics.exposition(read)
    name = ""
    try:
        # node_exporter reads what ends in .prom: this does not, until it is whole.
        file, name = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=f".{os.path.basename(path)}.")
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            os.fchmod(opened.fileno(), 0o644)
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(name, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(name)
        raise SqlMigrateError(f"{path} can't be written: {error.strerror}") from error


def _host_and_port(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"{address!r} is not an address", hint="write HOST:PORT, or :9187 for all addresses")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _gateway(url: str) -> tuple[str, Any]:
    """Where to push, without name and password, and a handler that knows them."""
    exposition = metrics.client("exposition")
    parts = urlsplit(url if "//" in url else f"http://{url}")
    where = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def handler(**request: Any) -> Any:
        return exposition.basic_auth_handler(
            **request, username=unquote(parts.username or "") or None, password=unquote(parts.password or "")
        )

    return where, handler
