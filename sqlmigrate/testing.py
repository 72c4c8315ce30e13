"""The pytest plugin: a server, a migrated database for each test, and snapshots of schemas.

pytest loads this module in every run, so everything but pytest is imported lazily, by the fixture that needs it.

The databases are cloned from a template database. The template is migrated once for each state of the migration files,
and kept on the server.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlmigrate.catalog.snapshot import Snapshot
    from sqlmigrate.config.settings import Settings
    from sqlmigrate.server.connection import Connection

_TEMPLATE = "sqlmigrate_template_"
_TEST = "sqlmigrate_test_"
_KEPT = 3  # templates of a directory: after a change of branches the previous template can be used again
_TEMPLATE_LOCK = 0x73716C6D74706C74
_OLD = (
    "select datname from pg_catalog.pg_database where datistemplate and pg_catalog.starts_with(datname, '{prefix}')"
    " order by oid desc offset {kept}"
)
_LEFTOVERS = "select datname from pg_catalog.pg_database where pg_catalog.starts_with(datname, '{prefix}')"


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the server.

    SQLMIGRATE_TEST_SERVER selects the server: `embedded` (the default), `embedded:PATH`, `container`, or a URL. The
    embedded server stores its data in PATH or in pytest's cache directory; the workers of pytest-xdist share it. With
    `container`, each worker starts its own container from the image POSTGRES_IMAGE.
    """
    choice = os.environ.get("SQLMIGRATE_TEST_SERVER", "embedded")
    kind, _, path = choice.partition(":")
    serve = {"embedded": lambda: _embedded(path or _in_cache(request.config)), "container": _container}
    with contextlib.ExitStack() as stack:
        with _reported():
            url = stack.enter_context(serve.get(kind, lambda: _given(choice))())
        yield url


@pytest.fixture(scope="session")
def migration_settings() -> Mapping[str, Any]:
    """Settings that override the environment and the configuration file; redefine it, for example, to set `dir`."""
    return {}


@pytest.fixture(scope="session")
def _clones(
    request: pytest.FixtureRequest, postgres_server: str, migration_settings: Mapping[str, Any]
) -> Iterator[_Clones]:
    from sqlmigrate.server.connection import connect

    with contextlib.ExitStack() as stack:
        with _reported():
            settings = _settings(request.config.rootpath, postgres_server, migration_settings)
            connection = stack.enter_context(contextlib.closing(connect(postgres_server, "sqlmigrate testing")))
            clones = _Clones(connection, postgres_server, _template(connection, postgres_server, settings))
        yield clones
        clones.drop_last()


@pytest.fixture
def migrated_database(_clones: _Clones) -> str:
    """The URL of a new database with all migrations, for this test only; the next test drops it."""
    return _url(_clones.server, _clones.make())


def snapshot(url: str, history_table: str = "public.migrations") -> Snapshot:
    """Returns the schema of a database as a value, without the history tables.

    Two databases have the same schema if their snapshots are equal; `digest` is short, and `as_json()` can be stored.
    """
    from sqlmigrate.catalog.reading import read
    from sqlmigrate.history.tables import parse_table_name, tables_of
    from sqlmigrate.server.connection import connect
    from sqlmigrate.server.conninfo import make_conninfo

    connection = connect(make_conninfo(url), "sqlmigrate testing")
    try:
        return read(connection, tables_of(parse_table_name(history_table))[1:])
    finally:
        connection.close()


def assert_roundtrip(*directories: str, postgres: int = 99) -> None:
    """Fails if a down file does not restore what was before its up file; see `sqlmigrate validate --roundtrip`.

    Args:
        directories: The migrations directories; by default those of the settings.
        postgres: The major version of the embedded server, or the newest that is installed.
    """
    import click

    from sqlmigrate.config.settings import load_for_files
    from sqlmigrate.migrator import Migrator
    from sqlmigrate.render import roundtrip

    with _reported():
        result = Migrator(load_for_files({"dir": directories}, os.environ)).round_trip(postgres)
    if result.faults:
        pytest.fail(click.unstyle(roundtrip.text(result)), pytrace=False)


def assert_no_drift(url: str, *ignored: str) -> None:
    """Fails if a database differs from what the applied migrations make; see `sqlmigrate drift`.

    The directories and the history table are those of the settings.

    Args:
        url: The database.
        ignored: Shell patterns for differences to ignore, such as `index public.tmp_*`.
    """
    import click

    from sqlmigrate.config.settings import load
    from sqlmigrate.migrator import Migrator
    from sqlmigrate.render import differences

    with _reported():
        found = Migrator(load({"database_url": url}, os.environ)).drift(ignored)
    if found.differences:
        pytest.fail(click.unstyle(differences.text(found)), pytrace=False)


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Reports an error without pytest's traceback, which shows arguments: the URL of the server has a password."""
    from sqlmigrate.errors import SqlMigrateError

    try:
        yield
    except SqlMigrateError as error:
        hints = (f"  → {hint}" for hint in error.hint.splitlines())
        pytest.fail("\n".join([f"{type(error).__name__}: {error}", *hints]), pytrace=False)


class _Clones:
    """Creates databases from a template.

    Their names contain the key of an advisory lock that the connection holds. If the lock is free, the run was killed,
    and the next run drops its databases.
    """

    def __init__(self, connection: Connection, server: str, template: str) -> None:
        self.server = server
        self._connection = connection
        self._template = template
        self._numbers = itertools.count(1)
        self._last = ""
        self._key = random.getrandbits(62)
        _try_lock(connection, self._key)
        for name, key in _leftovers(connection):
            if key != self._key and _try_lock(connection, key):
                _drop(connection, name)
                connection.rows(f"select pg_catalog.pg_advisory_unlock({key})")

    def make(self) -> str:
        self.drop_last()
        self._last = f"{_TEST}{self._key}_{next(self._numbers)}"
        self._connection.run(f"create database {self._last} template {self._template}")
        return self._last

    def drop_last(self) -> None:
        """Runs before the next test: right after its own test, the server would wait 100 ms for closing connections."""
        if self._last:
            _drop(self._connection, self._last)


def _in_cache(config: pytest.Config) -> str:
    cache = config.cache.mkdir("sqlmigrate") if config.cache else config.rootpath / ".sqlmigrate"
    return str(cache / "postgres")


@contextlib.contextmanager
def _embedded(path: str) -> Iterator[str]:
    from sqlmigrate.server import embedded
    from sqlmigrate.server.connection import connect

    url = embedded.start(path)
    connection = connect(url, "sqlmigrate testing")
    # These databases need not survive a power failure, and with fsync creating them takes several times as long.
    connection.run("alter system set fsync = off")
    connection.rows("select pg_catalog.pg_reload_conf()")
    connection.close()
    try:
        yield url
    finally:
        embedded.stop(path)


@contextlib.contextmanager
def _given(url: str) -> Iterator[str]:
    from sqlmigrate.errors import ConfigurationError
    from sqlmigrate.server.conninfo import make_conninfo

    try:
        make_conninfo(url)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"SQLMIGRATE_TEST_SERVER is not embedded, embedded:PATH, container or a URL: {error.message}"
        ) from error
    yield url


@contextlib.contextmanager
def _container() -> Iterator[str]:
    from sqlmigrate.errors import ConfigurationError

    try:
        from testcontainers.community.postgres import PostgresContainer
    except ImportError as error:
        raise ConfigurationError("testcontainers is not installed", hint="pip install 'sqlmigrate[testing]'") from error
    with PostgresContainer(os.environ.get("POSTGRES_IMAGE", "postgres:18"), driver=None) as running:
        yield str(running.get_connection_url())


def _settings(root: Path, server: str, overrides: Mapping[str, Any]) -> Settings:
    """Returns only the settings that determine the schema: a test needs no backup and no notification."""
    from sqlmigrate.config.settings import Settings, load

    with contextlib.chdir(root):
        settings = load({**overrides, "database_url": server}, os.environ)
        directories = tuple(os.path.abspath(directory) for directory in settings.dir)
    return Settings(dir=directories, history_table=settings.history_table)


def _template(connection: Connection, server: str, settings: Settings) -> str:
    """Returns the name of the template. If it does not exist, one process at a time creates it."""
    prefix, name = _names(settings)
    if not _exists(connection, name):
        connection.rows(f"select pg_catalog.pg_advisory_lock({_TEMPLATE_LOCK})")
        try:
            if not _exists(connection, name):
                _make_template(connection, name, replace(settings, database=_url(server, name)))
                _drop_old(connection, prefix)
        finally:
            connection.rows(f"select pg_catalog.pg_advisory_unlock({_TEMPLATE_LOCK})")
    return name


def _names(settings: Settings) -> tuple[str, str]:
    """Returns the prefix of the names of a project's templates, and the name for the current migration files."""
    from sqlmigrate.files import source
    from sqlmigrate.version import __version__

    files = source.find(settings.dir)
    scripts = [*files.migrations, *files.hooks.present]
    state = [__version__, settings.history_table, *(f"{script.id} {script.checksum}" for script in scripts)]
    prefix = f"{_TEMPLATE}{_digest(settings.dir)}_"
    return prefix, prefix + _digest(state)


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def _exists(connection: Connection, name: str) -> bool:
    """Whether the template exists and is complete: its creation ends with `is_template`."""
    return bool(connection.rows(f"select 1 from pg_catalog.pg_database where datistemplate and datname = '{name}'"))


def _make_template(connection: Connection, name: str, settings: Settings) -> None:
    from sqlmigrate.migrator import Migrator

    _drop(connection, name)
    connection.run(f"create database {name}")
    Migrator(settings).migrate()
    connection.run(f"alter database {name} is_template true")


def _drop_old(connection: Connection, prefix: str) -> None:
    for (name,) in connection.rows(_OLD.format(prefix=prefix, kept=_KEPT)):
        connection.run(f"alter database {name} is_template false")
        _drop(connection, name)


def _drop(connection: Connection, name: str) -> None:
    connection.run(f"drop database if exists {name} with (force)")


def _leftovers(connection: Connection) -> list[tuple[str, int]]:
    """Returns the databases of tests, with the keys of their locks."""
    names = [name for (name,) in connection.rows(_LEFTOVERS.format(prefix=_TEST))]
    return [(name, int(name.removeprefix(_TEST).split("_")[0])) for name in names]


def _try_lock(connection: Connection, key: int) -> bool:
    return bool(connection.rows(f"select pg_catalog.pg_try_advisory_lock({key})")[0][0])


def _url(server: str, name: str) -> str:
    """Returns the server with another database; a URL stays a URL, since other libraries accept nothing else."""
    from urllib.parse import urlsplit

    from sqlmigrate.server.conninfo import make_conninfo

    parts = urlsplit(server)
    return parts._replace(path=f"/{name}").geturl() if parts.scheme else make_conninfo(server, dbname=name)
