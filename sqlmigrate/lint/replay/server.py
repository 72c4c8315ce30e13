"""`--replay`: runs files on an embedded PostgreSQL, which reports what each statement does to existing tables.

The files run with all privileges of the embedded server.
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
from sqlmigrate.locks.effects import Doing
from sqlmigrate.model import Location, ServerReport
from sqlmigrate.server.observer import Observer
from sqlmigrate.server.session import client_state
from sqlmigrate.sql.place import locate
from sqlmigrate.sql.scanner import statements
from sqlmigrate.sql.sqlstate import DUPLICATE_OBJECT, UNDEFINED_OBJECT, needs_other_segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlmigrate.server.connection import Connection
    from sqlmigrate.sql.item import Item
    from sqlmigrate.sql.segments import Piece, Segment

_DONE = {Doing.REWRITES: "rewrites", Doing.SCANS: "scans", Doing.BUILDS: "builds", Doing.CHECKS: "scans"}
# Objects of the whole server remain when the files run again.
_GLOBAL = re.compile(
    r"(?:alter\s+system|(?:create|drop|alter)\s+(?:database|tablespace|subscription))\b", re.IGNORECASE
)
_CREATE_ROLE = re.compile(r"create\s+(?:role|user|group)\b(?!\s+mapping)", re.IGNORECASE)
_NO_ROLE = re.compile(r'role "(.+)" does not exist')
_SET = re.compile(r"set\b(?!\s+constraints)", re.IGNORECASE)
_LISTEN = "set client_min_messages = debug1; set statement_timeout = '30s'"


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
        role = _NO_ROLE.search(report.message) if report.sqlstate == UNDEFINED_OBJECT else None
        there = report.sqlstate == DUPLICATE_OBJECT and _CREATE_ROLE.match(item.text)
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

    def _send(self, item: Item, copy: Piece | None) -> bytes | None:
        if _GLOBAL.match(item.text):
            return None
        self._connection.run(_LISTEN)
        blocks = list(self._opened.rows(copy)) if copy else []
        *_, tag = (None, *(result.command for result in self._connection.transmit(item.text, lambda _: blocks)))
        return tag

    def _start(self, item: Item) -> Location:
        return locate(self._path, item.text, 0, item.line, item.column)

    def _failed(self, item: Item, error: StatementFailed) -> Observation:
        at = locate(self._path, item.text, (error.report.position or 1) - 1, item.line, item.column)
        return Observation(self._start(item), failed=error.report, failed_at=at)


class _Observed(_FileRun):
    """Runs one file and observes the effects of its statements."""

    def __init__(self, connection: Connection, path: str) -> None:
        super().__init__(connection, path)
        self._observer = Observer(connection)

    def _segment(self, segment: Segment) -> Iterator[Observation]:
        self._observer.end()
        return super()._segment(segment)

    def _alone(self, item: Item, copy: Piece | None) -> Observation:
        self._observer.end()
        return super()._alone(item, copy)

    def _sent(self, item: Item, copy: Piece | None) -> Observation:
        if _SET.match(item.text):
            return super()._sent(item, copy)
        try:
            effects = self._observer.observe(lambda: self._send(item, copy))
        except StatementFailed as error:
            return self._failed(item, error)
        barred = self._observer.barred()
        seen = (
            Effect(_DONE[work.doing], work.subject.plain) for work in effects.efforts if work.subject.name in barred
        )
        return Observation(self._start(item), tuple(dict.fromkeys(seen)))
