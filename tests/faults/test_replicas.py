"""Many at once: replicas that start together, other people's locks, the migration lock."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.faults import mix
from tests.faults.waiting import LIMIT, OURS, backends, ended, running, until, until_asleep
from tests.project import Project

LOG = logging.getLogger(__name__)


def run_at_once(project: Project, count: int) -> list[str]:
    """Runs `migrate` so many times at once; what each said on stderr. All of them end well."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        processes = [stack.enter_context(running(project, "migrate")) for _ in range(count)]
        said = [stderr for _, stderr in pool.map(lambda process: process.communicate(timeout=300), processes)]
    assert [process.returncode for process in processes] == [0] * count, said
    return said


def successes(project: Project) -> dict[str, int]:
    rows = project.query("select version, count(*) from migrations_log where outcome = 'success' group by 1")
    return {row[0]: row[1] for row in rows}


def test_eight_replicas_apply_each_migration_once(mixed: Project) -> None:
    run_at_once(mixed, 8)

    assert successes(mixed) == {script.version: 1 for script in mix.MIX}
    assert mix.disagreements(mixed) == []
    assert backends(mixed) == []


@pytest.mark.parametrize("rows", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_three_replicas_build_indexes_concurrently_without_a_deadlock(project: Project, rows: int) -> None:
    project.query(
        f"create table t as select n as id, n % 1000 as a, md5(n::text) as b from generate_series(1, {rows}) n"
    )
    project.add(1, "create index concurrently t_id on t (id);\ncreate index concurrently t_a on t (a);")
    project.add(2, "create unique index concurrently t_b on t (b, id);")

    said = run_at_once(project, 3)

    assert not [stderr for stderr in said if "deadlock" in stderr]
    assert successes(project) == {"v1.0.0-001": 1, "v1.0.0-002": 1}
    assert project.query(
        "select indexrelid::regclass::text, indisvalid from pg_index where indrelid = 't'::regclass order by 1"
    ) == [
        ("t_a", True),
        ("t_b", True),
        ("t_id", True),
    ]


def test_an_alter_table_retries_behind_a_long_reader_without_blocking_others(project: Project) -> None:
    """A query that arrives while it waits for its lock waits behind it, and goes on before the reader does."""
    project.query("create table t (id int)", "insert into t values (1)")
    project.add(1, "-- sqlmigrate: lock-timeout=1s\nalter table t add column b int;")
    waits = f"select count(*) from pg_locks join pg_stat_activity using (pid) where {OURS} and not granted"
    with psycopg.connect(project.database) as reader, running(project, "migrate") as process:
        reader.execute("select * from t")
        pid = reader.info.backend_pid
        for _ in range(2):
            until(lambda: project.value(waits))
            assert project.query(f"set statement_timeout = '{LIMIT}s'", "select id from t") == [(1,)]
        stderr, signs = "", (f"pid {pid} (", "canceling statement due to lock timeout")
        while not all(sign in stderr for sign in signs):
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line, stderr
            stderr += line
        reader.rollback()
        stderr += ended(process)

    assert process.returncode == 0, stderr
    assert project.value("select count(b) from t") == 0


@pytest.mark.parametrize(
    "script",
    [
        "create table a (id int); select pg_advisory_unlock_all();",
        "create table a (id int); select pg_advisory_unlock_all(); vacuum; create table b ();",
        "begin; create table a (id int); select pg_advisory_unlock_all(); commit; create table b ();",
    ],
)
def test_a_run_that_loses_the_lock_is_rolled_back(project: Project, script: str) -> None:
    project.add(1, "create table first ()")
    project.add(2, script)
    project.add(3, "create table last ()")

    run = project.cli("migrate")

    assert run.returncode == 1
    assert "v1.0.0-002 failed: the migration lock was lost while the migration ran" in run.stderr
    assert "pg_advisory_unlock_all()" in run.stderr
    assert successes(project) == {"v1.0.0-001": 1}
    assert ("v1.0.0-002", True) not in project.versions()
    assert project.value("select concat(to_regclass('a'), to_regclass('b'), to_regclass('last'))") == ""


def test_a_statement_outside_a_transaction_that_loses_the_lock_is_not_recorded_as_done(project: Project) -> None:
    project.add(
        1, "create procedure drop_lock() language plpgsql as $$ begin commit; perform pg_advisory_unlock_all(); end $$"
    )
    project.add(2, "call drop_lock();")

    run = project.cli("migrate")

    assert run.returncode == 1
    assert "the migration lock was lost" in run.stderr
    assert ("v1.0.0-002", True) not in project.versions()


def test_a_run_stops_waiting_when_another_holds_the_lock(project: Project) -> None:
    project.add(1, "select pg_sleep(3600)")
    with running(project, "migrate"):
        until_asleep(project)
        (holder,) = backends(project)

        run = project.cli("migrate", SQLMIGRATE_LOCK_WAIT="1s")

    assert run.returncode == 4
    assert "waiting for the migration lock" in run.stderr
    assert f"could not obtain the migration lock within 1 s: held by pid {holder} (" in run.stderr
    assert "sqlmigrate lock-status" in run.stderr


def test_force_unlock_terminates_only_the_holder(project: Project) -> None:
    project.add(1, "select pg_sleep(3600)")
    with running(project, "migrate") as first, psycopg.connect(project.database, autocommit=True) as bystander:
        until_asleep(project)
        (holder,) = backends(project)
        with running(project, "migrate") as second:
            until(lambda: len(backends(project)) == 2)
            status = project.cli("lock-status")
            refused = project.cli("force-unlock")
            unlocked = project.cli("force-unlock", "--yes")
            _, stderr = first.communicate(timeout=60)
            until(lambda: project.migrator().lock_holder())
            other = project.migrator().lock_holder()
        bystander.execute("select 1")

    assert status.returncode == 0
    assert f"pid          {holder}\n" in status.stdout
    assert refused.returncode == 2
    assert unlocked.returncode == 0, unlocked.stderr
    assert first.returncode == 1
    assert "the connection was lost" in stderr
    assert second.returncode == -9
    assert other is not None
    assert other.pid != holder
    assert project.query("select action, outcome from migrations_log where action = 'unlock'") == [
        ("unlock", "success")
    ]
    assert f"pid {holder}" in project.value("select error_msg from migrations_log where action = 'unlock'")
