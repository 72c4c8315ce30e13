"""What the column TOOK measures: the attempt that succeeded, with its waits, and nothing before it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
import pytest

from sqlmigrate.events import Blocked, Retrying, WaitingForLock
from sqlmigrate.server.lock import key_of
from tests.polling import until
from tests.project import Project

T = TypeVar("T")


def took(project: Project) -> float:
    return float(project.value("select duration_ms from migrations")) / 1000


def timed(action: Callable[[], T]) -> tuple[float, T]:
    began = time.monotonic()
    result = action()
    return time.monotonic() - began, result


def seen(project: Project, kind: type) -> int:
    return sum(isinstance(event, kind) for event in project.events)


def test_what_ran_no_script_has_no_duration(project: Project) -> None:
    project.add(1, "create table a ()", "drop table a")
    project.add(2, "select 1")
    project.cli("baseline", "--version", "v1.0.0-001")
    project.cli("migrate")
    project.cli("plan", "--rollback", "--version", "v1.0.0-001", "--out", "plan.json")
    project.query(
        "insert into migrations_log (run_id, action, version, name, checksum, outcome, os_user, host, tool_version)"
        " select 'x', action, 'v1.0.0-002', '', checksum, 'failure', '', '', ''"
        " from (values ('apply', ''), ('rollback', ''), ('unlock', ''), ('repair', 'c'), ('approve', 'd'))"
        " v (action, checksum)"
    )

    status = {line.split()[0]: line for line in project.cli("status").stdout.splitlines() if line.startswith("v")}
    assert status["v1.0.0-001"].rstrip().endswith("  –")
    assert status["v1.0.0-002"].rstrip().endswith(" ms")
    entries = [line.split() for line in project.cli("history").stdout.splitlines()[1:] if line.startswith("20")]
    shown = [(words[3], "–" in words) for words in entries]
    assert shown == [
        ("baseline", True), ("apply", False), ("apply", True), ("rollback", True), ("unlock", True), ("repair", True),
        ("approve", True),
    ]  # fmt: skip
    info = project.cli("info").stdout
    assert info.count(" ms") == 2
    assert "0 ms" not in info.partition("v1.0.0-002")[0]
    assert all(
        entry["duration_ms"] >= 0 for entry in json.loads(project.cli("history", "--format", "json").stdout)["history"]
    )
    project.cli("history", "--html", "history.html")
    assert (project.root / "history.html").read_text().count('<td class="took">–</td>') == 6


def test_a_wait_for_a_table_lock_within_the_attempt_that_succeeds_is_included(project: Project) -> None:
    project.query("create table t (a int)")
    project.add(1, "-- sqlmigrate: lock-timeout=1min\nalter table t add column b int;")
    with psycopg.connect(project.database) as other:
        other.execute("lock table t")
        run = threading.Thread(target=project.migrator().migrate)
        run.start()
        until(lambda: seen(project, Blocked))
        blocked_at = time.monotonic()
        time.sleep(0.5)
        waited = time.monotonic() - blocked_at
        other.rollback()
        run.join(60)

    assert took(project) >= waited


@pytest.mark.parametrize("statements", ["alter table t add column b int;", "vacuum; alter table t add column b int;"])
def test_attempts_that_ended_in_a_lock_timeout_are_left_out(project: Project, statements: str) -> None:
    project.query("create table t (a int)")
    project.add(1, f"-- sqlmigrate: lock-timeout=400ms\n-- sqlmigrate: lock-retries=100\n{statements}")

    def release(other: psycopg.Connection[tuple[object, ...]]) -> None:
        until(lambda: seen(project, Retrying) >= 3)
        other.rollback()

    with psycopg.connect(project.database) as other:
        other.execute("lock table t" if "vacuum" not in statements else "lock table t in share mode")
        thread = threading.Thread(target=release, args=[other])
        thread.start()
        total, _ = timed(project.migrator().migrate)
        thread.join(60)

    pauses = sum(event.pause for event in project.events if isinstance(event, Retrying))
    assert took(project) < total - 3 * 0.4 - pauses


def test_the_wait_for_the_migration_lock_is_left_out(project: Project) -> None:
    project.add(1, "select 1;")
    with psycopg.connect(project.database, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", [key_of("public.migrations")])

        def release() -> None:
            until(lambda: seen(project, WaitingForLock) >= 3)
            other.close()

        thread = threading.Thread(target=release)
        thread.start()
        total, run = timed(project.migrator().migrate)
        thread.join(60)

    assert took(project) < total - 2
    assert run.summary is not None
    assert run.summary.duration_ms / 1000 < total - 2
