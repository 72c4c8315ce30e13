"""A read-only server: a standby, or default_transaction_read_only."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.project import Project
from tests.servers import Server, execute, local

READING = ("status", "check", "validate", "info", "history", "metrics", "plan --out plan.json", "lock-status")
HINT = "connect to the primary (libpq: target_session_attrs=read-write)"


def test_a_read_only_server_is_reported(project: Project) -> None:
    name = project.value("select current_database()")
    project.query(f"alter database {name} set default_transaction_read_only = on")
    project.add(1, "create table t (a int);")
    before = project.cli("migrate")
    execute(project.server.conninfo, f"alter database {name} reset default_transaction_read_only")
    assert project.cli("migrate").returncode == 0
    project.query(f"alter database {name} set default_transaction_read_only = on")
    project.add(2, "create table t2 (a int);")
    behind = project.cli("migrate")

    for run in (before, behind):
        assert run.returncode == 1
        assert HINT in run.stderr
        assert "grant CREATE" not in run.stderr
    assert project.cli("check").returncode == 3


def test_a_standby_is_only_read_and_its_plan_is_valid_after_promotion(server: Server, tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    with local(server.bin) as own:
        project = Project(own, own.database("postgres"), tmp_path)
        project.add(1, "create table t (a int);")
        assert project.cli("migrate").returncode == 0
        project.add(2, "create table t2 (a int);")
        own.stop("fast")
        signal = own.directory / "data" / "standby.signal"
        signal.touch()
        shutil.chown(signal, signal.parent.owner(), signal.parent.group())
        own.start()

        reading = [project.cli(*command.split()).returncode for command in READING]
        run = project.cli("migrate")
        own.run("pg_ctl", "-w", "promote")
        after = project.cli("migrate", "--plan", "plan.json")

        assert reading == [0, 3, 0, 0, 0, 0, 0, 0]
        assert (run.returncode, HINT in run.stderr) == (1, True)
        assert (after.returncode, after.stdout) == (0, "1 migration applied\n")
