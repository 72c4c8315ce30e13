"""Measures the CPU time of whole processes, user and system, which another busy process changes little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measuring import SQLMIGRATE, create_database, directory, timed, write_migrations
from tests.servers import ROOT, Server

BARE = ROOT / "benchmarks" / "bare.py"
NO_OPS = ("migrate", "check", "status")
# In an order in which all of them have work to do.
GROWING = (
    "generate more --dry-run",
    "renumber --dry-run",
    "plan",
    "migrate",
    "status",
    "check",
    "validate",
    "info",
    "history",
    "rollback --steps 1000000 --yes",
)


def milliseconds(server: Server) -> None:
    columns = []
    for count in (1000, 10_000):
        with directory() as path:
            create_database(server)
            write_migrations(path, count)
            timed([*SQLMIGRATE, "migrate"])
            programs: dict[str, list[str | Path]] = {"`bare.py`": [sys.executable, BARE, path / "migrations"]}
            columns.append(_column(programs | {f"`{name}`": [*SQLMIGRATE, name] for name in NO_OPS}))
    for name in columns[0]:
        print(f"| {name} | {' | '.join(f'{each[name]:.1f}' for each in columns)} |")


def _column(programs: Mapping[str, Sequence[str | Path]]) -> dict[str, float]:
    """Returns the milliseconds of each stage, and of each of these programs as a whole."""
    least: dict[str, float] = {}
    for _ in range(15):
        output, total, _ = _cpu([sys.executable, "-m", "benchmarks.no_op"])
        taken: dict[str, float] = json.loads(output)
        taken["Python ends"] = total - sum(taken.values())
        taken |= {name: _cpu(program)[1] for name, program in programs.items()}
        least = {name: min(value, least.get(name, value)) for name, value in taken.items()}
    return {name: seconds * 1000 for name, seconds in least.items()}


def _cpu(program: Sequence[str | Path]) -> tuple[str, float, int]:
    """Returns what a program writes to stderr, its seconds of CPU time, user and system, and its peak memory in MB."""
    # In a directory without a pyproject.toml, which would be parsed.
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/")
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, errors
    return errors, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def growth(server: Server) -> None:
    for count in (1000, 3000, 12_000, 30_000):
        with directory() as path:
            create_database(server)
            for n in range(1, count + 1):
                for direction in ("up", "down"):
                    (path / "migrations" / f"V1.0.0-{n:03d}__t{n}.{direction}.sql").write_text(f"select {n};\n")
            for command in GROWING:
                _, seconds, memory = _cpu([*SQLMIGRATE, *command.split()])
                print(f"{count:6} {command:<40} {seconds / count * 1e6:4.0f} µs a migration {memory:4} MB", flush=True)
