"""Compares sqlmigrate with other migrators: the same migrations in the file form of each, beside psql."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from benchmarks.measuring import (
    MIGRATION,
    PAIRS,
    SQLMIGRATE,
    Timing,
    create_database,
    directory,
    median,
    scaled,
    timed,
    write_migrations,
)
from benchmarks.migrating import psql, write_forward_script
from tests.servers import LOCAL_BIN, ROOT, OwnServer, Server, execute

PEERS = ROOT / ".local" / "peers"


@dataclass(frozen=True)
class Peer:
    """A tool: the names and the text of its files, and its command for a directory, a port and a database."""

    name: str
    file_name: str
    text: str
    command: Callable[[Path, int, str], Sequence[str | Path]]


def _url(port: int, database: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/{database}?sslmode=disable"


def _flyway(path: Path, port: int, database: str) -> Sequence[str | Path]:
    url = f"jdbc:postgresql://127.0.0.1:{port}/{database}?sslmode=disable"
    return ["java", "-cp", f"{PEERS / 'flyway'}/*:{PEERS / 'flyway'}", "Migrate", url, "postgres", "", path]


OTHERS = (
    Peer(
        "goose",
        "{n:05d}_t{n}.sql",
        "-- +goose Up\n{text}",
        lambda path, port, database: [PEERS / "goose", "-dir", path, "postgres", _url(port, database), "up"],
    ),
    Peer(
        "dbmate",
        "2026010100{n:05d}_t{n}.sql",
        "-- migrate:up\n{text}\n-- migrate:down\n",
        lambda path, port, database: [
            *(PEERS / "dbmate", "--url", _url(port, database), "-d", path, "--no-dump-schema", "migrate")
        ],
    ),
    Peer(
        "golang-migrate",
        "{n:05d}_t{n}.up.sql",
        "{text}",
        lambda path, port, database: [PEERS / "migrate", "-path", path, "-database", _url(port, database), "up"],
    ),
    Peer(
        "tern",
        "{n:05d}_t{n}.sql",
        "{text}",
        lambda path, port, database: [PEERS / "tern", "migrate", "-m", path, "--conn-string", _url(port, database)],
    ),
    Peer("Flyway", "V{n}__t{n}.sql", "{text}", _flyway),
)


def peers(embedded: Server) -> None:
    """Prints a table of all tools; each round runs each tool once, in another order than the round before."""
    subprocess.run([ROOT / "benchmarks" / "peers" / "build.sh"], check=True)
    count = scaled(1000)
    with directory() as path, listening(embedded) as (server, port):
        tools = {"psql": psql_run(server, path, count), "sqlmigrate": our_run(server)}
        tools |= {peer.name: peer_run(peer, server, port, path / peer.name, count) for peer in OTHERS}
        timings: dict[str, list[Timing]] = {name: [] for name in tools}
        for number in range(PAIRS):
            turn = number % len(tools)
            for name in [*tools][turn:] + [*tools][:turn]:
                timings[name].append(tools[name]())
                check_tables(os.environ["DATABASE_URL"], count)
        fsync = execute(server.conninfo, "show fsync")[0][0]
        print_table(f"{count:,} migrations, PostgreSQL {server.version}, fsync {fsync}, {PAIRS} rounds", timings)


def psql_run(server: Server, path: Path, count: int) -> Callable[[], Timing]:
    script = write_forward_script(path, write_migrations(path, count))
    return lambda: timed(psql(server, create_database(server), "-f", script))


def our_run(server: Server) -> Callable[[], Timing]:
    def run() -> Timing:
        create_database(server)
        return timed([*SQLMIGRATE, "migrate"])

    return run


def peer_run(peer: Peer, server: Server, port: int, path: Path, count: int) -> Callable[[], Timing]:
    path.mkdir()
    for n in range(1, count + 1):
        (path / peer.file_name.format(n=n)).write_text(peer.text.format(text=MIGRATION.format(n=n)))

    def run() -> Timing:
        database = str(conninfo_to_dict(create_database(server))["dbname"])
        return timed(peer.command(path, port, database))

    return run


def check_tables(conninfo: str, count: int) -> None:
    """Checks that a tool has run all migrations."""
    assert execute(conninfo, r"select count(*) from pg_tables where tablename ~ '^t\d+$'") == [(count,)]


def print_table(title: str, timings: dict[str, list[Timing]]) -> None:
    print(f"{title}\n| tool | seconds | ratio to psql | peak memory |\n| --- | --- | --- | --- |")
    for name, runs in timings.items():
        ratio, memory = median(runs) / median(timings["psql"]), max(run.memory for run in runs)
        print(f"| {name} | {median(runs):.2f} | {ratio:.2f} | {memory} MB |", flush=True)


@contextmanager
def listening(embedded: Server) -> Iterator[tuple[Server, int]]:
    """Starts a durable server, Debian's if it is installed, that listens on a port: JDBC connects to no Unix socket."""
    programs, user = (LOCAL_BIN, "postgres") if LOCAL_BIN.exists() else (embedded.bin, "pgserver")
    directory = ROOT / ".local" / f"bench-peers-{os.getpid()}"
    directory.mkdir()
    port = _free_port()
    server = OwnServer(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", programs, directory, user)
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, user, user)
        server.run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -k {directory}"
        server.run("pg_ctl", "-w", "-l", str(directory / "log"), "-o", options, "start")
        try:
            yield server, port
        finally:
            server.stop("fast")
    finally:
        shutil.rmtree(directory)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
