"""Compares a live database with what the files make: the migrations that its history contains, on a scratch server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.catalog import comparable as compared
from sqlmigrate.catalog.differences import compare
from sqlmigrate.catalog.reading import SnapshotReader
from sqlmigrate.history.tables import tables_of
from sqlmigrate.lint.cache import Cache, digest, fingerprint
from sqlmigrate.model import Problem, ProblemLevel, State
from sqlmigrate.planning import planner
from sqlmigrate.scratch import probing
from sqlmigrate.scratch.replay import keys_of, replayed
from sqlmigrate.server.scratch import nearest, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.catalog.differences import Difference
    from sqlmigrate.catalog.snapshot import Snapshot
    from sqlmigrate.config.settings import Settings
    from sqlmigrate.files.source import MigrationFiles
    from sqlmigrate.model import MigrationStatus
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.target import Target

_CACHE = Cache("drift", 20)
_RESERVED = {"template0", "template1"}


class Drift(NamedTuple):
    """The differences between a database and its files; `postgres` are the major versions of both servers.

    `problems` are warnings: what the comparison could not take into account.
    """

    differences: tuple[Difference, ...]
    expected: Snapshot
    problems: tuple[Problem, ...]
    migrations: int
    postgres: tuple[int, int]


def drift(target: Target, settings: Settings, files: MigrationFiles, ignored: Sequence[str] = ()) -> Drift:
    """Compares the database with what the applied migrations make.

    Args:
        target: the live database, which is only read.
        settings: only `dir` and `history_table` count.
        files: the migration files; those that are not applied are left out.
        ignored: shell patterns for differences to ignore, as `KIND IDENTITY`.

    Raises:
        ConfigurationError: the embedded server is not installed.
        PlanRefused, MigrationFailed: the files fail on the scratch server.
    """
    left_out = tables_of(target.table)[1:]
    with target.opened() as (connection, history):
        rows = [row for row in history.rows() if row.success]
        live = SnapshotReader(connection, left_out).read()
        database = connection.database
    statuses = planner.statuses(files.migrations, rows)
    applied = files._replace(migrations=[each.migration for each in statuses if each.migration and each.applied])
    role = compared.owner_of(live) or "postgres"
    made = _Made(settings, applied, live, "scratch" if database in _RESERVED else database, role, left_out)
    expected = made.expected()
    found = compare(compared.comparable(expected, live.major), compared.comparable(live, expected.major))
    differences = made.differing(list(compared.relevant(found, expected, ignored)), expected)
    problems = tuple(problem for status in statuses for problem in _problems(status))
    return Drift(tuple(differences), expected, problems, len(applied.migrations), (expected.major, live.major))


class _Made:
    """What the files make, from the cache or from the scratch server, which is started only if it is needed."""

    def __init__(
        self,
        settings: Settings,
        files: MigrationFiles,
        live: Snapshot,
        database: str,
        role: str,
        left_out: Sequence[str],
    ) -> None:
        self._settings = settings
        self._files = files
        self._live = live
        self._database = database
        self._role = role
        self._left_out = left_out
        self._major = nearest(live.major)
        self._key = digest(fingerprint(), *keys_of(settings, files, database, role)[-1:], str(self._major))

    def expected(self) -> Snapshot:
        content = _CACHE.read(self._key)
        if isinstance(content, dict):
            return compared.restored(content, content["major"])
        with self._opened() as (_, reader):
            snapshot = reader.read()
        _CACHE.write(self._key, compared.stored(snapshot))
        return snapshot

    def differing(self, found: list[Difference], expected: Snapshot) -> list[Difference]:
        if not any(map(probing.is_worded, found)):
            return found
        with self._opened() as (connection, reader):
            return list(probing.differing(found, expected, self._live, connection, reader))

    @contextmanager
    def _opened(self) -> Iterator[tuple[Connection, SnapshotReader]]:
        replay = replayed(self._settings, self._files, self._live.major, self._database, self._role)
        with replay as made, opened(made.settings.database) as connection:
            yield connection, SnapshotReader(connection, self._left_out)


def _problems(status: MigrationStatus) -> Iterator[Problem]:
    """Yields a warning for a migration that is applied, but whose file is not what was applied."""
    if status.state is State.CHANGED:
        message = f"{status.id} was changed after it was applied: what the old file made is not known"
    elif status.state is State.MISSING:
        message = f"{status.id} is applied, but its file does not exist: what it made is not known"
    else:
        return
    yield Problem("drift-unknown", message, level=ProblemLevel.WARNING)
