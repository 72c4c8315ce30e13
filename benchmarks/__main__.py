"""Compares whole processes with psql and with bare scripts; see README.md in this directory."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.cpu import BARE, NO_OPS, growth, milliseconds
from benchmarks.linters import lint
from benchmarks.measuring import BIN, SQLMIGRATE, Timing, compare, create_database, directory, timed, write_migrations
from benchmarks.migrating import migrate, psql
from benchmarks.parallel import parallel
from benchmarks.peers import peers
from tests.servers import ROOT, Server, embedded

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
SQUAWK = "2.70.0"


def main() -> None:
    wanted = sys.argv[1:] or [name for name in BENCHMARKS if name != "peers"]  # which builds other tools
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has compiled byte code
    data = ROOT / ".local" / f"bench-postgres-{os.getpid()}"
    try:
        with embedded(data) as server:
            for name in wanted:
                BENCHMARKS[name](server)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def nothing_to_do(server: Server) -> None:
    for count in (1000, 10_000):
        with directory() as path:
            create_database(server)
            write_migrations(path, count)
            timed([*SQLMIGRATE, "migrate"])
            bare: list[str | Path] = [sys.executable, BARE, path / "migrations"]
            for command in NO_OPS:
                title = f"no-op {command}, {count:,} files: sqlmigrate, bare script"
                compare(title, 15, partial(timed, [*SQLMIGRATE, command]), partial(timed, bare))


def single_file(server: Server, title: str, write: Callable[[Path], None]) -> None:
    with directory() as path:
        file = path / "migrations" / "V1.0.0-001__data.up.sql"
        write(file)

        def ours() -> Timing:
            create_database(server)
            return timed([*SQLMIGRATE, "migrate"])

        def theirs() -> Timing:
            return timed(psql(server, create_database(server), "-1", "-f", file))

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
    "milliseconds": milliseconds,
    "growth": growth,
    "migrate": migrate,
    "peers": peers,
    "parallel": parallel,
    "inserts": inserts,
    "copy": copy,
    "lint": lint,
    "lint_time": lint_time,
}

if __name__ == "__main__":
    print(f"{resource.getpagesize()} B pages, {os.cpu_count()} cores, Python {sys.version.split()[0]}, {time.ctime()}")
    main()
