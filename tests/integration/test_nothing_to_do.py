"""What a command costs that has nothing to do: it is started often. Everything is counted, nothing is timed."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.project import Project

COMMANDS = ("migrate", "check", "status")
# Modules of which a command that has nothing to do needs none.
LATE = (
    "sqlmigrate.cli.logs",
    "sqlmigrate.events",
    "sqlmigrate.execution.executor",
    "sqlmigrate.history.records",
    "sqlmigrate.planning.activity",
    "sqlmigrate.server.monitor",
    "sqlmigrate.server.session",
    "sqlmigrate.sql.scanner",
    "sqlmigrate.sql.script",
)
# Counts what the command opens and lists, in a process of its own: an audit hook cannot be removed.
COUNT = (
    f"LATE = {LATE}"
    """
import collections, gc, json, sys
import click, psycopg
counts = collections.Counter()
def count(event, arguments):
    if event in ("open", "os.scandir") and str(arguments[0]).startswith(sys.argv[1]):
        counts[event] += 1
sys.addaudithook(count)
from sqlmigrate.server import network
network._TICK = 60  # on a busy machine, an answer that takes longer loads the monitor
from sqlmigrate.cli import main
try:
    main(sys.argv[2:], standalone_mode=False)
except SystemExit as end:
    assert not end.code, end.code
counts["late"] = [name for name in LATE if name in sys.modules]
counts["frozen"] = gc.get_freeze_count() > 10_000
print(json.dumps(counts), file=sys.stderr)
"""
)


def _counted(project: Project, command: str) -> dict[str, Any]:
    for number in range(1, 21):
        project.add(number, f"create table t{number} (a int);", "drop table t{number};")
    project.migrator().migrate()
    run = project.run([sys.executable, "-c", COUNT, str(project.directory), command])
    assert run.returncode == 0, run.stderr
    counts: dict[str, Any] = json.loads(run.stderr.splitlines()[-1])
    return counts


@pytest.mark.parametrize("command", COMMANDS)
def test_each_up_file_is_opened_once_and_no_module_of_a_run_is_loaded(project: Project, command: str) -> None:
    counts = _counted(project, command)

    assert counts["open"] == 20
    assert counts["os.scandir"] <= 2  # one more for the warnings of files that are not read
    assert counts["late"] == []
    assert counts["frozen"]
