"""Measures whole processes against psql and against bare scripts; see README.md beside this file."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.linters import lint
from tests.servers import ROOT, Server, embedded

MIGRATION = """create table t{n} (
    id         bigint      generated always as identity primary key,
    name       text        not null,
    created_at timestamptz not null default now()
);
create index t{n}_name_idx on t{n} (name);
comment on table t{n} is 'The table of migration {n}';
"""
NUMBERS = itertools.count()
SQLMIGRATE: list[str | Path] = [Path(sys.executable).parent / "sqlmigrate"]


def main() -> None:
    wanted = sys.argv[1:] or list(BENCHMARKS)
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its byte code
    data = ROOT / ".local" / f"bench-postgres-{os.getpid()}"
    try:
        with embedded(data) as server:
            for name in wanted:
                BENCHMARKS[name](server)
    finally:
        shutil.rmtree(data, ignore_errors=True)


@contextmanager
def database(server: Server) -> Iterator[str]:
    """A fresh database; its connection string is also in DATABASE_URL.

    None is dropped before all is measured: for minutes after thousands of files are deleted, ext4 is slow to create new
    ones, and a table with its indexes is six of them.
    """
    name = f"bench_{next(NUMBERS)}"
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        connection.execute("checkpoint")
    os.environ["DATABASE_URL"] = make_conninfo(server.conninfo, dbname=name)
    yield os.environ["DATABASE_URL"]


@contextmanager
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sqlmigrate-bench-") as name:
        path = Path(name)
        os.environ["SQLMIGRATE_DIR"] = str(path / "migrations")
        (path / "migrations").mkdir()
        yield path


def write_migrations(path: Path, count: int) -> list[Path]:
    files = [path / "migrations" / f"V1.0.0-{n:05d}__t{n}.up.sql" for n in range(1, count + 1)]
    for n, file in enumerate(files, 1):
        file.write_text(MIGRATION.format(n=n))
    return files


def timed(command: list[str | Path]) -> tuple[float, int]:
    """Wall seconds, and the peak memory in MB of the process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said
    return time.perf_counter() - began, usage.ru_maxrss // 1024


def compare(
    title: str, rounds: int, ours: Callable[[], tuple[float, int]], theirs: Callable[[], tuple[float, int]]
) -> None:
    """Runs both in turn, so that a machine that slows down slows both, and prints medians and their ratio."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    mine, other = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(pair[0][0] / pair[1][0] for pair in pairs)
    memory = max(pair[0][1] for pair in pairs)
    print(f"{title:<52} {mine:8.3f} s {other:8.3f} s   ratio {ratio:5.2f}   {memory:4d} MB", flush=True)


def migrate(server: Server) -> None:
    with directory() as path:
        files = write_migrations(path, 1000)
        script = path / "all.psql"
        script.write_text("".join(f"begin;\n\\i {file}\ncommit;\n" for file in files))

        def ours() -> tuple[float, int]:
            with database(server):
                return timed([*SQLMIGRATE, "migrate"])

        def theirs() -> tuple[float, int]:
            with database(server) as conninfo:
                return timed([server.bin / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-f", script])

        compare("1,000 migrations: sqlmigrate, psql", 5, ours, theirs)


def nothing_to_do(server: Server) -> None:
    for count in (1000, 10_000):
        with directory() as path, database(server):
            write_migrations(path, count)
            timed([*SQLMIGRATE, "migrate"])
            bare: list[str | Path] = [sys.executable, ROOT / "benchmarks" / "bare.py", path / "migrations"]
            for command in ("migrate", "check"):
                title = f"no-op {command}, {count:,} files: sqlmigrate, bare script"
                compare(title, 15, partial(timed, [*SQLMIGRATE, command]), partial(timed, bare))


def one_file(server: Server, title: str, write: Callable[[Path], None]) -> None:
    with directory() as path:
        file = path / "migrations" / "V1.0.0-001__data.up.sql"
        write(file)

        def ours() -> tuple[float, int]:
            with database(server):
                return timed([*SQLMIGRATE, "migrate"])

        def theirs() -> tuple[float, int]:
            with database(server) as conninfo:
                return timed([server.bin / "psql", "-Xq1", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-f", file])

        compare(title, 3, ours, theirs)


def copy(server: Server) -> None:
    def write(file: Path) -> None:
        line = "".join(f"{n}\tname number {n}\t2026-01-01 00:00:00+00\n" for n in range(20_000))
        with file.open("w") as out:
            out.write("create table big (id int, name text, at timestamptz);\ncopy big from stdin;\n")
            while out.tell() < 1_000_000_000:
                out.write(line)
            out.write("\\.\n")

    one_file(server, "1 GB of COPY: sqlmigrate, psql -1", write)


def inserts(server: Server) -> None:
    def write(file: Path, rows: int) -> None:
        with file.open("w") as out:
            out.write("create table big (id int, name text, at timestamptz);\n")
            n = 0
            while out.tell() < 200_000_000:
                values = ", ".join(f"({n + k}, 'name number {n + k}', '2026-01-01 00:00:00+00')" for k in range(rows))
                out.write(f"insert into big (id, name, at) values {values};\n")
                n += rows

    one_file(server, "200 MB of INSERT, a row each: sqlmigrate, psql -1", lambda file: write(file, 1))
    one_file(server, "200 MB of INSERT, 1,000 rows each: sqlmigrate, psql", lambda file: write(file, 1000))


def start(_: Server) -> None:
    click: list[str | Path] = [sys.executable, "-c", "import click"]
    for option in ("--version", "--help"):
        title = f"{option}: sqlmigrate, import click"
        compare(title, 21, partial(timed, [*SQLMIGRATE, option]), partial(timed, click))


BENCHMARKS = {
    "start": start,
    "nothing_to_do": nothing_to_do,
    "migrate": migrate,
    "inserts": inserts,
    "copy": copy,
    "lint": lint,
}

if __name__ == "__main__":
    print(f"{resource.getpagesize()} B pages, {os.cpu_count()} cores, Python {sys.version.split()[0]}, {time.ctime()}")
    main()
