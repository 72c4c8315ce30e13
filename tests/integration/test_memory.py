"""How much memory a run needs: of a file as much as its longest statement takes, four times; of COPY data nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.project import Project

# Runs a command and prints the most memory that it had, in KiB.
MEASURED = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
MEASURED += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
MEBIBYTE = 1024  # in KiB


def _memory(project: Project) -> int:
    result = project.run([sys.executable, "-c", MEASURED, *project.command("migrate")])
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[-1])


@pytest.mark.parametrize(
    ("sql", "most"),
    [
        (lambda size: f"create table t (a text); insert into t values ('{'x' * size}');", 5),
        (lambda size: "create table t (a text);\n" + f"insert into t values ('{'x' * 1000}');\n" * (size // 1000), 0.5),
        (
            lambda size: "create table t (a text);\ncopy t from stdin;\n" + f"{'x' * 999}\n" * (size // 1000) + "\\.\n",
            0.5,
        ),
    ],
    ids=["one statement", "many statements", "COPY data"],
)
def test_a_statement_needs_at_most_five_times_its_size(
    project: Project, sql: Callable[[int], str], most: float
) -> None:
    size = 16
    project.add(1, sql(1000))
    small = _memory(project)
    project.add(2, sql(size * MEBIBYTE * 1024).replace("create table t", "create table if not exists t"))

    assert _memory(project) - small <= most * size * MEBIBYTE
