"""Compares whole processes with psql and with bare scripts; see README.md in this directory."""

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
CHANGE = """
set local lock_timeout = '2s';
alter table t{before} add column note text;
alter table t{before} add column seen timestamptz default now();
alter table t{before} alter column name type varchar(200);
alter table t{before} add constraint t{before}_note_check check (length(note) < 500);
create index t{before}_note_idx on t{before} (note) where note is not null;
update t{before} set note = name where note is null;
comment on column t{before}.note is 'A remark that support wrote, at most 500 characters long.';
insert into t{before} (name, note) values
    ('first', 'What support wrote of it on the first day, when nobody knew yet what it was about.'),
    ('second', 'What support wrote of it on the second day, when everybody had an opinion.'),
    ('third', 'Nothing is known of this one; it was found in the books of the year before.');

create function touch_{n}() returns trigger language plpgsql as $$
declare
    total integer;
begin
    select count(*) into total from t{before} where created_at > now() - interval '1 hour';
    if total > 100 then
        raise exception 'too many rows for %', new.name using errcode = 'check_violation';
    end if;
    new.created_at := coalesce(new.created_at, now());
    return new;
end
$$;
create trigger touch before insert or update on t{n} for each row execute function touch_{n}();
"""
NUMBERS = itertools.count()
BIN = Path(sys.executable).parent
SQLMIGRATE: list[str | Path] = [BIN / "sqlmigrate"]
SQUAWK = "2.70.0"


def main() -> None:
    wanted = sys.argv[1:] or list(BENCHMARKS)
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has compiled byte code
    data = ROOT / ".local" / f"bench-postgres-{os.getpid()}"
    try:
        with embedded(data) as server:
            for name in wanted:
                BENCHMARKS[name](server)
    finally:
        shutil.rmtree(data, ignore_errors=True)


@contextmanager
def database(server: Server) -> Iterator[str]:
    """Creates a database; its connection string is also in DATABASE_URL.

    No database is dropped before the end: after thousands of files were deleted, ext4 creates new files slowly for
    minutes, and a table with its indexes needs six files.
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


def timed(command: list[str | Path], code: int = 0) -> tuple[float, int]:
    """Returns the wall-clock seconds and the peak memory in MB of a process that must exit with that code."""
    start_time = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == code, errors
    return time.perf_counter() - start_time, usage.ru_maxrss // 1024


def compare(
    title: str, rounds: int, ours: Callable[[], tuple[float, int]], theirs: Callable[[], tuple[float, int]]
) -> None:
    """Runs both alternately, so that a slower machine slows both, and prints the medians and their ratio."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    our_seconds, their_seconds = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(pair[0][0] / pair[1][0] for pair in pairs)
    memory = max(pair[0][1] for pair in pairs)
    print(f"{title:<52} {our_seconds:8.3f} s {their_seconds:8.3f} s   ratio {ratio:5.2f}   {memory:4d} MB", flush=True)


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


def single_file(server: Server, title: str, write: Callable[[Path], None]) -> None:
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

    single_file(server, "1 GB of COPY: sqlmigrate, psql -1", write)


def inserts(server: Server) -> None:
    def write(file: Path, rows: int) -> None:
        with file.open("w") as out:
            out.write("create table big (id int, name text, at timestamptz);\n")
            n = 0
            while out.tell() < 200_000_000:
                values = ", ".join(f"({n + k}, 'name number {n + k}', '2026-01-01 00:00:00+00')" for k in range(rows))
                out.write(f"insert into big (id, name, at) values {values};\n")
                n += rows

    single_file(server, "200 MB of INSERT, one row per statement: sqlmigrate, psql -1", lambda file: write(file, 1))
    single_file(server, "200 MB of INSERT, 1,000 rows per statement: sqlmigrate, psql", lambda file: write(file, 1000))


def start(_: Server) -> None:
    click: list[str | Path] = [sys.executable, "-c", "import click"]
    for option in ("--version", "--help"):
        title = f"{option}: sqlmigrate, import click"
        compare(title, 21, partial(timed, [*SQLMIGRATE, option]), partial(timed, click))


def lint_time(_: Server) -> None:
    squawk = ROOT / ".local" / f"squawk-{SQUAWK}"
    if not squawk.exists():
        pip: list[str | Path] = [BIN / "uv", "pip", "install", "-q", "--target", squawk, f"squawk-cli=={SQUAWK}"]
        subprocess.run(pip, check=True)
    with directory() as path:
        files: list[str | Path] = [*write_files_to_lint(path, 1000)]
        size = sum(Path(file).stat().st_size for file in files)
        os.environ["XDG_CACHE_HOME"] = str(path / "cache")
        many = f"{size / 1e6:.1f} MB in 1,000 files"
        for title, some, rounds, memory in (
            (many, files, 7, "off"),
            (f"{many}, the second time", files, 7, "on"),
            ("one file", files[1:2], 21, "off"),
        ):
            os.environ["SQLMIGRATE_LINT_MEMORY"] = memory
            ours = partial(timed, [*SQLMIGRATE, "validate", *some], 1)
            theirs = partial(timed, [squawk / "bin" / "squawk", *some], 1)
            ours()
            compare(f"{title}: sqlmigrate, squawk", rounds, ours, theirs)


def write_files_to_lint(path: Path, count: int) -> list[Path]:
    """Writes files that each create a table, an index and a trigger, and change the table of the previous file."""
    files = write_migrations(path, count)
    for n, file in enumerate(files, 1):
        file.write_text(file.read_text() + CHANGE.format(n=n, before=max(n - 1, 1)))
    return files


BENCHMARKS = {
    "start": start,
    "nothing_to_do": nothing_to_do,
    "migrate": migrate,
    "inserts": inserts,
    "copy": copy,
    "lint": lint,
    "lint_time": lint_time,
}

if __name__ == "__main__":
    print(f"{resource.getpagesize()} B pages, {os.cpu_count()} cores, Python {sys.version.split()[0]}, {time.ctime()}")
    main()
