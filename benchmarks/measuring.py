"""Creates databases and migrations for the benchmarks, and times whole processes."""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.servers import ROOT, Server, execute

MIGRATION = """create table t{n} (
    id         bigint      generated always as identity primary key,
    name       text        not null,
    created_at timestamptz not null default now()
);
create index t{n}_name_idx on t{n} (name);
comment on table t{n} is 'The table of migration {n}';
"""
NUMBERS = itertools.count()
BIN = Path(sys.executable).parent
SQLMIGRATE: list[str | Path] = [BIN / "sqlmigrate"]


# For a trial: BENCH_PAIRS=1 BENCH_SCALE=0.05 .venv/bin/python -m benchmarks migrate
PAIRS = int(os.environ.get("BENCH_PAIRS", "7"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))


class Timing(NamedTuple):
    """The wall-clock seconds of a process, and its peak memory in MB."""

    seconds: float
    memory: int


def scaled(count: int) -> int:
    return max(round(count * SCALE), 1)


def create_database(server: Server) -> str:
    """Creates a database and returns its connection string, which is also in DATABASE_URL.

    No database is dropped before the end: after thousands of files were deleted, ext4 creates new files slowly for
    minutes, and a table with its indexes needs six files.
    """
    name = f"bench_{next(NUMBERS)}"
    execute(server.conninfo, f"create database {name}", "checkpoint")
    os.environ["DATABASE_URL"] = server.database(name)
    return os.environ["DATABASE_URL"]


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


def timed(command: Sequence[str | Path], code: int = 0) -> Timing:
    """Runs a process that must exit with that code."""
    launch = [sys.executable, "-IS", ROOT / "benchmarks" / "launch.py", *command]
    process = subprocess.run(launch, check=True, capture_output=True, text=True, errors="replace")
    status, seconds, memory = process.stdout.split()
    assert int(status) == code, process.stderr
    return Timing(float(seconds), int(memory))


def compare(title: str, rounds: int, ours: Callable[[], Timing], theirs: Callable[[], Timing]) -> None:
    """Runs both alternately, so that a slower machine slows both, and prints the medians and their ratio."""
    show(title, [(ours(), theirs()) for _ in range(rounds)])


def show(title: str, pairs: Sequence[tuple[Timing, Timing]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    our_seconds, their_seconds = median(ours), median(theirs)
    ratio, memory = our_seconds / their_seconds, max(timing.memory for timing in ours)
    print(f"{title:<52} {our_seconds:8.3f} s {their_seconds:8.3f} s   ratio {ratio:5.2f}   {memory:4d} MB", flush=True)


def median(timings: Iterable[Timing]) -> float:
    return statistics.median(timing.seconds for timing in timings)
