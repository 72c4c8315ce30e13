"""`--replay`: runs files on an embedded PostgreSQL, which reports what each statement does to existing tables.

The server reports rewrites, scans and index builds at client_min_messages = debug1, and pg_locks shows the locks. The
files run with all privileges of the embedded server.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmigrate.errors import StatementFailed
from sqlmigrate.files import source
from sqlmigrate.lint.replay.observation import Effect, Observation, recall, remember
from sqlmigrate.lint.replay.sandbox import Sandbox, keys
from sqlmigrate.model import Location, ServerReport
from sqlmigrate.server.session import client_state
from sqlmigrate.sql.place import locate
from sqlmigrate.sql.scanner import statements
from sqlmigrate.sql.sqlstate import needs_other_segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlmigrate.server.connection import Connection
    from sqlmigrate.sql.item import Item
    from sqlmigrate.sql.segments import Piece, Segment

_SAID = (
    ("rewrites", re.compile(r'rewriting table "(.+)"')),
    ("scans", re.compile(r'verifying table "(.+)"')),
    ("builds", re.compile(r'building index ".+" on table "(.+)"')),
)
_FOREIGN_KEY = re.compile(r'validating foreign key constraint "(.+)"')
# TRUNCATE rebuilds the indexes of an empty table.
_TRIFLING = re.compile(r"truncate\b", re.IGNORECASE)
# Objects of the whole server remain when the files run again.
_GLOBAL = re.compile(
    r"(?:alter\s+system|(?:create|drop|alter)\s+(?:database|tablespace|subscription))\b", re.IGNORECASE
)
_CREATE_ROLE = re.compile(r"create\s+(?:role|user|group)\b(?!\s+mapping)", re.IGNORECASE)
_NO_ROLE = re.compile(r'role "(.+)" does not exist')
_DUPLICATE = "42710"
_MISSING = "42704"
_SET = re.compile(r"set\b(?!\s+constraints)", re.IGNORECASE)
_LISTEN = "set client_min_messages = debug1; set statement_timeout = '30s'"
_RELATIONS = "select oid, relname from pg_catalog.pg_class where oid >= 16384 and relkind in ('r', 'p', 'm', 'f')"
_LOCKS = (
    "select relation from pg_catalog.pg_locks where pid = pg_catalog.pg_backend_pid()"
    " and locktype = 'relation' and mode in ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock',"
    " 'ShareLock')"
)
_TABLES = "select conrelid from pg_catalog.pg_constraint where contype = 'f' and conname = any(%(names)s)"


class _CannotReplay(Exception):
    """A migration before the file fails on the embedded server."""


class Replay:
    """Runs files; starts the server for the first file that is not in the cache."""

    def __init__(self) -> None:
        self._sandbox: Sandbox | None = None

    def observe(self, path: str, earlier: Sequence[str]) -> list[Observation]:
        """Returns the statements of a file, up to the first that fails; `earlier` are the files deployed before it.

        If an earlier file fails, the result is that failure.

        Raises:
            ConfigurationError: the extra is not installed.
            ConnectionFailed: the embedded server did not start.
        """
        if source.read(path).errors:  # the linter reports them without the server
            return []
        *made, key = keys([source.checksum(file) for file in (*earlier, path)])
        if (observed := recall(key, path)) is not None:
            return observed
        self._sandbox = self._sandbox or Sandbox()
        try:
            self._make(earlier, made)
        except _CannotReplay as error:
            start = Location(path, 1, 1)
            return [Observation(start, failed=ServerReport(f"an earlier migration fails: {error}", ""))]
        name = self._sandbox.begin(made[-1] if made else "")
        with self._sandbox.open(name) as connection:
            observed = list(_Observed(connection, path).statements())
        self._sandbox.discard(name)
        remember(key, observed)
        return observed

    def close(self) -> None:
        """Lets other processes use the server."""
        if self._sandbox is not None:
            self._sandbox.close()

    def _make(self, files: Sequence[str], made: Sequence[str]) -> None:
        """Creates the schema of the files unless it exists."""
        assert self._sandbox is not None  # noqa: S101  # `observe` made it
        done = self._sandbox.longest(made)
        if done == len(files):
            return
        name = self._sandbox.begin(made[done - 1] if done else "")
        with self._sandbox.open(name) as connection:
            for path in files[done:]:
                _FileRun(connection, path).through()
                connection.run("discard all")
        self._sandbox.keep(name, made[-1])


class _FileRun:
    """Runs one file on a connection."""

    def __init__(self, connection: Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self._script, self._opened = source.open_script(path, client=client_state(connection))
        if self._script.errors:
            problem = self._script.errors[0]
            raise _CannotReplay(f"{problem.location or path}: {problem.message}")

    def through(self) -> None:
        """Runs the whole file.

        Raises:
            _CannotReplay: a statement fails.
        """
        for observed in self.statements():
            if observed.failed is not None:
                raise _CannotReplay(f"{observed.place}: {observed.failed.message}")

    def statements(self) -> Iterator[Observation]:
        """Runs statement by statement, up to the first failure."""
        for segment in self._script.segments:
            for observed in self._segment(segment):
                yield observed
                if observed.failed is not None:
                    return

    def _segment(self, segment: Segment) -> Iterator[Observation]:
        if not segment.transactional:
            yield from (self._alone(item, copy) for item, copy in self._items(segment.pieces))
            return
        begin = segment.begin or "begin"
        self._connection.run(begin)
        for item, copy in self._items(segment.pieces):
            observed = self._within(item, copy)
            if observed.failed is not None and needs_other_segments(observed.failed):
                self._connection.run("commit")
                observed = self._alone(item, copy)
                self._connection.run(begin)
            yield observed
        try:
            self._connection.run("commit")
        except StatementFailed as error:  # a deferred constraint
            yield self._failed(item, error)

    def _items(self, pieces: Iterable[Piece]) -> Iterator[tuple[Item, Piece | None]]:
        """Yields the statements, the last one of each piece with the piece, which may have COPY data."""
        for piece in pieces:
            found = statements(self._opened.text(piece), piece.line, piece.column, escapes=piece.escapes)
            yield from ((item, piece if item is found[-1] else None) for item in found)

    def _alone(self, item: Item, copy: Piece | None) -> Observation:
        observed = _FileRun._sent(self, item, copy)  # its locks are gone, so that `_Observed` cannot observe them
        return replace(observed, alone=observed.failed is None)

    def _within(self, item: Item, copy: Piece | None) -> Observation:
        """Runs a statement in a transaction, and again if only a role was missing."""
        if _SET.match(item.text):  # some SET commands must be the first in their transaction
            return self._sent(item, copy)
        self._connection.run("savepoint sqlmigrate_replay")
        observed = self._sent(item, copy)
        while observed.failed is not None and self._provides_role(item, observed.failed):
            observed = Observation(self._start(item)) if _CREATE_ROLE.match(item.text) else self._sent(item, copy)
        if observed.failed is not None:
            self._connection.run("rollback to sqlmigrate_replay")
        with suppress(StatementFailed):  # a ROLLBACK in a block may have removed the savepoint
            self._connection.run("release sqlmigrate_replay")
        return observed

    def _provides_role(self, item: Item, report: ServerReport) -> bool:
        """Creates a missing role, or accepts an existing one of an earlier run; returns whether that was the error."""
        role = _NO_ROLE.search(report.message) if report.sqlstate == _MISSING else None
        there = report.sqlstate == _DUPLICATE and _CREATE_ROLE.match(item.text)
        if role or there:
            self._connection.run("rollback to sqlmigrate_replay")
        if role:
            name = role[1].replace('"', '""')
            self._connection.run(f'create role "{name}"')
            self._connection.run("savepoint sqlmigrate_replay")
        return bool(role or there)

    def _sent(self, item: Item, copy: Piece | None) -> Observation:
        try:
            self._send(item, copy)
        except StatementFailed as error:
            return self._failed(item, error)
        return Observation(self._start(item))

    def _send(self, item: Item, copy: Piece | None) -> None:
        if _GLOBAL.match(item.text):
            return
        self._connection.run(_LISTEN)
        blocks = list(self._opened.rows(copy)) if copy else []
        for _ in self._connection.transmit(item.text, lambda _: blocks):
            pass

    def _start(self, item: Item) -> Location:
        return locate(self._path, item.text, 0, item.line, item.column)

    def _failed(self, item: Item, error: StatementFailed) -> Observation:
        at = locate(self._path, item.text, (error.report.position or 1) - 1, item.line, item.column)
        return Observation(self._start(item), failed=error.report, failed_at=at)


class _Observed(_FileRun):
    """Runs one file and observes the effects of its statements."""

    def __init__(self, connection: Connection, path: str) -> None:
        super().__init__(connection, path)
        self._before: dict[int, str] = dict(connection.rows(_RELATIONS))
        self._said: list[str] = []
        connection.on_notices = self._hear

    def _hear(self, notices: Sequence[tuple[str, str]]) -> None:
        self._said += (message for severity, message in notices if severity == "DEBUG")

    def _sent(self, item: Item, copy: Piece | None) -> Observation:
        self._said.clear()
        observed = super()._sent(item, copy)
        if observed.failed is not None or _SET.match(item.text):
            return observed
        barred = {self._before[table] for (table,) in self._connection.rows(_LOCKS) if table in self._before}
        effects = (
            () if _TRIFLING.match(item.text) else tuple(effect for effect in self._effects() if effect.table in barred)
        )
        return Observation(self._start(item), effects)

    def _effects(self) -> Iterator[Effect]:
        said = list(dict.fromkeys(self._said))
        for message in said:
            for what, pattern in _SAID:
                if match := pattern.match(message):
                    yield Effect(what, match[1])
        keys = [match[1] for message in said if (match := _FOREIGN_KEY.match(message))]
        for (table,) in self._connection.rows(_TABLES, {"names": keys}) if keys else ():
            if table in self._before:
                yield Effect("scans", self._before[table])
