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


def is_waiting(project: Project) -> bool:
    query = "select exists (select from pg_stat_activity where query ~* '^drop index' and wait_event_type = 'Lock')"
    return bool(project.value(query))


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
