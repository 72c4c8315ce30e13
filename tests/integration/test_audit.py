"""`history` and `cleanup`: reading the log, and deleting old entries."""

from __future__ import annotations

import json
import re
import signal
from contextlib import suppress
from datetime import datetime, timedelta

import psycopg
import pytest

from sqlmigrate import Version
from sqlmigrate.errors import SqlMigrateError
from sqlmigrate.history.tables import FORMATS
from tests.faults.waiting import running, until, until_asleep
from tests.project import Project
from tests.prometheus import COUNTERS, Samples, read

ONE, TWO = Version(1, 0, 0, 1), Version(1, 0, 0, 2)
NAMES = {"history": "migrations", "log": "migrations_log", "runs": "migrations_runs", "totals": "migrations_totals"}


def fill(project: Project) -> None:
    """Applies one migration, fails one, and rolls one back."""
    project.add(1, "create table a ()", "drop table a", name="make_a")
    project.migrator().migrate()
    project.add(2, "create table b ();\nselect 1/0", name="make_b")
    with suppress(SqlMigrateError):
        project.migrator().migrate()
    project.migrator().rollback(steps=1)


def age(project: Project, days: int, condition: str = "true") -> None:
    for table, column in (("log", "logged_at"), ("runs", "ended_at")):
        where = condition if table == "log" else "ended_at is not null"
        project.query(f"update migrations_{table} set {column} = {column} - interval '{days} days' where {where}")


def settled(project: Project) -> Samples:
    """Returns the metrics once the lock is free: the server releases the lock of a closed connection with a delay."""
    assert project.has_free_lock()
    return read(project)


def break_off(project: Project) -> None:
    """Kills a run during its second migration."""
    project.add(1, "create table a ()")
    project.add(2, "select pg_sleep(60)")
    with running(project, "migrate", SQLMIGRATE_LOCK_WAIT="10s") as process:
        until_asleep(project)
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(project.has_free_lock)


def shown(project: Project, *arguments: str) -> list[tuple[str, str, str]]:
    run = project.cli("history", *arguments, "--format", "json")
    assert run.returncode == 0, run.stderr
    return [(entry["action"], entry["version"], entry["outcome"]) for entry in json.loads(run.stdout)["history"]]


ALL = [("apply", "v1.0.0-001", "success"), ("apply", "v1.0.0-002", "failure"), ("rollback", "v1.0.0-001", "success")]


def test_history_shows_who_did_what_newest_last(project: Project) -> None:
    fill(project)
    lines = project.cli("history").stdout.splitlines()
    assert [line.split()[3:7] for line in lines[1:3]] == [
        ["apply", "v1.0.0-001", "make_a", "success"],
        ["apply", "v1.0.0-002", "make_b", "failure"],
    ]
    assert lines[3] == "    division by zero"
    assert lines[4].split()[3:6] == ["rollback", "v1.0.0-001", "make_a"]
    user = project.value("select session_user")
    assert all(
        re.search(rf"s {{2,}}{user} \(", line) for line in lines if "v1.0.0" in line
    )  # ms, or s on a busy machine
    assert shown(project) == ALL


def test_history_filters_by_version_time_and_limit(project: Project) -> None:
    fill(project)
    age(project, 10, "version = 'v1.0.0-002'")
    later = project.value("select max(logged_at) from migrations_log where action = 'rollback'")
    assert shown(project, "--version", "1.0.0-2") == ALL[1:2]
    assert shown(project, "--limit", "1") == ALL[2:]
    assert shown(project, "--since", "7d") == [ALL[0], ALL[2]]
    assert shown(project, "--since", "11d") == [ALL[1], ALL[0], ALL[2]]
    assert shown(project, "--since", f"{datetime.now().astimezone() - timedelta(days=1):%Y-%m-%d}") == [ALL[0], ALL[2]]
    assert shown(project, "--since", later.isoformat()) == ALL[2:]
    assert shown(project, "--since", (later + timedelta(microseconds=1)).isoformat()) == []
    assert shown(project, "--since", "12h", "--version", "v1.0.0-001", "--limit", "5") == [ALL[0], ALL[2]]


def test_history_of_an_empty_database_is_empty(project: Project) -> None:
    assert project.cli("history").stdout == "no entries\n"
    assert project.cli("cleanup", "--keep-days", "1").stdout == "deleted 0 log entries and 0 runs\n"
    would = project.cli("cleanup", "--keep-days", "1", "--dry-run").stdout
    assert would == "would delete 0 log entries and 0 runs\n"
    assert project.value("select to_regclass('migrations')") is None


@pytest.mark.parametrize("when", ["yesterday", "7", "2026-13-01", "999999999d", ""])
def test_an_invalid_time_is_refused(project: Project, when: str) -> None:
    run = project.cli("history", "--since", when)
    assert run.returncode == 2
    assert "is neither a time nor an age" in run.stderr


def test_history_shows_a_run_that_was_broken_off_before_it_is_logged(project: Project) -> None:
    break_off(project)
    expected = [("apply", "v1.0.0-001", "success"), ("apply", "v1.0.0-002", "failure")]
    assert shown(project) == expected
    assert "interrupted" in project.cli("history", "--version", "v1.0.0-002").stdout
    assert project.value("select count(*) from migrations_log") == 1
    project.add(2, "select 1")
    project.migrator().migrate()
    assert shown(project) == [*expected, ("apply", "v1.0.0-002", "success")]


def test_history_does_not_show_a_running_run_as_interrupted(project: Project) -> None:
    project.add(1, "select pg_sleep(60)")
    with running(project, "migrate"):
        until_asleep(project)
        assert shown(project) == []


def test_history_reads_a_table_of_format_1(project: Project) -> None:
    first_format(project)
    assert shown(project) == [("apply", "v1.0.0-001", "success")]
    assert project.cli("cleanup", "--keep-days", "5", "--dry-run").stdout.startswith("would delete 1 log entry and 0")
    assert project.cli("cleanup", "--keep-days", "5").stdout.startswith("deleted 1 log entry and 0")
    assert shown(project) == [("cleanup", "", "success")]


def first_format(project: Project) -> None:
    project.query(FORMATS[0].format(**NAMES))
    project.query(
        "insert into migrations_log (logged_at, run_id, action, version, name, checksum, outcome, os_user, host,"
        " tool_version)"
        " values (now() - interval '9 days', 'r', 'apply', 'v1.0.0-001', 'a', 'c', 'success', 'u', 'h', '0')"
    )


def test_cleanup_deletes_old_entries_and_keeps_state_and_counters(project: Project) -> None:
    fill(project)
    project.add(2, "create table b ()", name="make_b")
    project.migrator().migrate()
    age(project, 40)
    project.add(3, "create table c ()")
    project.migrator().migrate()
    rows, before = project.query("select * from migrations order by version"), settled(project)

    dry = project.cli("cleanup", "--keep-days", "30", "--dry-run")
    assert dry.stdout == "would delete 5 log entries and 4 runs\n"
    assert project.cli("cleanup", "--keep-days", "30").stdout == dry.stdout.replace("would delete", "deleted")

    assert project.query("select * from migrations order by version") == rows
    assert settled(project) == before
    assert shown(project) == [("apply", "v1.0.0-003", "success"), ("cleanup", "", "success")]
    assert project.value("select count(*) from migrations_runs") == 1
    assert project.migrator().migrate().steps == ()


def test_repeated_cleanups_add_up(project: Project) -> None:
    project.add(1, "create table a ()", "drop table a")
    for turn in range(1, 4):
        project.migrator().migrate()
        project.query(f"update migrations_log set duration_ms = {turn}00 where action = 'apply'")
        project.migrator().rollback(steps=1)
        age(project, 2)
        before = settled(project)
        project.migrator().cleanup(1)
        assert settled(project) == before
        assert [before[name] for name in COUNTERS] == [turn, 0, turn]
        assert before["migration_duration_seconds v1.0.0-001 success"] == turn / 10
    assert before["migration_duration_histogram_seconds_sum success"] >= 0.6


def test_cleanup_keeps_the_entries_of_a_run_that_was_interrupted(project: Project) -> None:
    break_off(project)
    age(project, 9)
    project.query("update migrations_runs set began_at = began_at - interval '9 days'")
    assert project.migrator().cleanup(1) == (0, 0)
    assert shown(project)[1] == ("apply", "v1.0.0-002", "failure")


def test_cleanup_waits_for_the_lock(project: Project) -> None:
    fill(project)
    project.add(2, "select pg_sleep(60)", name="make_b")
    with running(project, "migrate"):
        until_asleep(project)
        run = project.cli("cleanup", "--keep-days", "1", SQLMIGRATE_LOCK_WAIT="100ms")
    assert run.returncode == 4
    assert "migration lock" in run.stderr


def test_a_failed_cleanup_changes_nothing(project: Project) -> None:
    fill(project)
    age(project, 9)
    project.query("alter table migrations_totals add check (entries > 100)")
    with pytest.raises(SqlMigrateError):
        project.migrator().cleanup(1)
    assert shown(project) == ALL


def test_a_reader_sees_the_log_before_or_after_a_cleanup(project: Project) -> None:
    fill(project)
    age(project, 9)
    before = settled(project)
    with psycopg.connect(project.database) as blocker:
        blocker.execute("lock table migrations_runs in share mode")
        with running(project, "cleanup", "--keep-days", "1"):
            until(lambda: project.backends("wait_event_type = 'Lock'"))
            assert {**read(project), "migration_lock_held": 0.0} == before
            blocker.rollback()
            until(lambda: not project.value("select count(*) from migrations_log where action = 'apply'"))
            assert {**read(project), "migration_lock_held": 0.0} == before
