"""A read-only server: a standby, or default_transaction_read_only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.project import Project
from tests.servers import Server, execute, local

READING = ("status", "check", "validate", "info", "history", "metrics", "plan --out plan.json", "lock-status")
HINT = "connect to the primary (libpq: target_session_attrs=read-write)"
DEFAULT_HINT = "default_transaction_read_only is on"
SCRIPT_HINT = "the script makes its transaction read-only"


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
        assert DEFAULT_HINT in run.stderr
        assert HINT not in run.stderr
        assert "grant CREATE" not in run.stderr
    assert project.cli("check").returncode == 3


@pytest.mark.parametrize("owner", ["database {0}", "role postgres in database {0}"])
@pytest.mark.parametrize(
    "command",
    [
        "migrate",
        "rollback --steps 1 --yes",
        "baseline --version v1.0.0-002",
        "cleanup --keep-days 1",
        "migrate --out-of-order",
    ],
)
def test_a_default_of_the_role_or_the_database_is_named(project: Project, owner: str, command: str) -> None:
    project.add(1, "create table t (a int);", "drop table t")
    project.migrator().migrate()
    project.add(2, "create table t2 (a int);")
    name = project.value("select current_database()")
    execute(project.server.conninfo, f"alter {owner.format(name)} set default_transaction_read_only = on")

    run = project.cli(*command.split())
    again = project.cli(*command.split(), PGOPTIONS="-cdefault_transaction_read_only=off")

    execute(project.server.conninfo, f"alter {owner.format(name)} reset default_transaction_read_only")
    assert (run.returncode, again.returncode) == (1, 0), (run.stderr, again.stderr)
    assert DEFAULT_HINT in run.stderr
    assert HINT not in run.stderr


@pytest.mark.parametrize(
    "script",
    [
        "set transaction read only;",
        "set transaction isolation level serializable, read only;",
        "set transaction_read_only = on; select 1;",
        "set local transaction_read_only to true;",
        "select set_config('transaction_read_only', 'on', true);",
        "do $$ begin perform set_config('transaction_read_only', 'on', false); end $$;",
        "set transaction read only; create table t ();",
        "set session characteristics as transaction read only; vacuum pg_am; select 1;",
        "set default_transaction_read_only = on; vacuum pg_am; create table t ();",
    ],
)
def test_a_script_that_makes_its_transaction_read_only_is_named(project: Project, script: str) -> None:
    project.add(1, "create table before ()")
    project.add(2, script)

    run = project.cli("migrate")

    assert run.returncode == 1
    assert SCRIPT_HINT in run.stderr
    assert HINT not in run.stderr
    assert DEFAULT_HINT not in run.stderr
    assert dict(project.versions())["v1.0.0-001"]


def test_a_statement_outside_a_transaction_is_recorded_in_a_read_only_session(project: Project) -> None:
    project.add(1, "set default_transaction_read_only = on; vacuum pg_am; vacuum pg_class;")

    run = project.cli("migrate")

    assert run.returncode == 0, run.stderr
    assert project.versions() == [("v1.0.0-001", True)]


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
        assert after.returncode == 0
        assert after.stdout.startswith("1 migration applied in ")
