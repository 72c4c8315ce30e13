"""A command judges the history under the lock: while another run holds it, the history shows a moment in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
import pytest

from sqlmigrate.errors import PlanRefused, SqlMigrateError
from sqlmigrate.events import WaitingForLock
from tests.project import Project

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

UP = "create table t (a int);\ncreate index concurrently t_a on t (a);"
DOWN = "delete from t;\ndrop index concurrently t_a;\ndrop table t;"


@contextmanager
def running(work: Callable[[], Any]) -> Iterator[list[SqlMigrateError]]:
    """Runs work in a thread while the block runs, waits for its end, and yields a list that gets its error."""
    errors: list[SqlMigrateError] = []

    def run() -> None:
        try:
            work()
        except SqlMigrateError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield errors
    finally:
        thread.join(60)
        assert not thread.is_alive()


@contextmanager
def reading_table(project: Project) -> Iterator[Connection]:
    """Holds a transaction that DROP INDEX CONCURRENTLY waits for."""
    with psycopg.connect(project.database) as reader:
        reader.execute("select from t")
        yield reader


def wait_until(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    while not condition():
        waiting.wait(0.01)


def is_waiting(project: Project, verb: str = "drop") -> bool:
    return bool(project.backends(f"query ~* '^{verb} index' and wait_event_type = 'Lock'"))


@pytest.fixture
def rolled_back_halfway(project: Project) -> Iterator[tuple[Project, Connection]]:
    """A project with two migrations, whose second is being rolled back and waits for a reader in the middle."""
    project.add(1, "create table first (a int)", "drop table first")
    project.add(2, UP, DOWN)
    project.migrator().migrate()
    with reading_table(project) as reader, running(lambda: project.migrator().rollback(steps=1)) as errors:
        wait_until(lambda: is_waiting(project))
        assert project.value("select action from migrations where not success") == "rollback"
        yield project, reader
        reader.rollback()
    assert errors == []


def until_it_waits(project: Project, reader: Connection) -> None:
    """Ends the reader's transaction when the second run waits for the migration lock."""
    wait_until(lambda: any(isinstance(event, WaitingForLock) for event in project.events))
    reader.rollback()


def test_migrate_waits_for_a_rollback_of_several_segments(rolled_back_halfway: tuple[Project, Connection]) -> None:
    project, reader = rolled_back_halfway
    with running(lambda: project.migrator(lock_wait="60s").migrate()) as errors:
        until_it_waits(project, reader)

    assert errors == []
    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", True)]


def test_a_second_rollback_of_one_step_takes_back_the_migration_before(
    rolled_back_halfway: tuple[Project, Connection],
) -> None:
    project, reader = rolled_back_halfway
    with running(lambda: project.migrator(lock_wait="60s").rollback(steps=1)) as errors:
        until_it_waits(project, reader)

    assert errors == []
    assert project.versions() == []


def test_an_error_that_remains_is_reported_after_the_wait(rolled_back_halfway: tuple[Project, Connection]) -> None:
    project, reader = rolled_back_halfway
    project.add(1, "create table first (b int)", "drop table first")
    with running(lambda: project.migrator(lock_wait="60s").migrate()) as errors:
        until_it_waits(project, reader)

    assert isinstance(errors[0], PlanRefused)
    assert [problem.code for problem in errors[0].problems] == ["changed"]


READING = ("check", "validate", "plan", "plan --rollback --steps 1", "status")


@pytest.mark.parametrize("command", READING)
def test_a_command_that_reads_names_the_run_that_is_in_progress(
    rolled_back_halfway: tuple[Project, Connection], command: str
) -> None:
    project, _ = rolled_back_halfway
    holder = project.migrator().lock_holder()
    assert holder is not None

    run = project.cli(*command.split())

    shown = run.stdout + run.stderr
    assert f"another run is in progress, in pid {holder.pid} (postgres, sqlmigrate" in shown
    assert "run `sqlmigrate" not in shown.replace("run `sqlmigrate status`", "")
    assert "rollback --steps 1`" not in shown


@pytest.mark.parametrize("command", ["validate", "status", "plan --rollback --steps 1"])
def test_a_migration_that_is_being_applied_is_not_called_interrupted(project: Project, command: str) -> None:
    project.add(1, "create table t (a int)", "drop table t")
    project.migrator().migrate()
    project.add(2, "create table u ();\ncreate index concurrently t_a on t (a);", "drop table u; drop index t_a;")
    with reading_table(project) as reader, running(lambda: project.migrator().migrate()) as errors:
        reader.execute("insert into t values (1)")
        wait_until(lambda: is_waiting(project, "create"))
        run = project.cli(*command.split())
        reader.rollback()

    assert errors == []
    assert "another run is in progress, in pid" in run.stdout + run.stderr
    assert "interrupted" not in run.stdout + run.stderr


@pytest.mark.parametrize("command", READING[:4])
def test_advice_is_given_when_the_run_has_ended(project: Project, command: str) -> None:
    project.add(1, "create table t (a int)", "begin; delete from t; commit;\nselect 1/0;")
    project.migrator().migrate()
    with pytest.raises(SqlMigrateError):
        project.migrator().rollback(steps=1)

    run = project.cli(*command.split())

    assert "in progress" not in run.stdout + run.stderr
