"""Copies of a server: a hot standby that streams, and a subscriber to which logical replication copies the history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.waiting import until
from tests.project import Project
from tests.servers import LOCAL_BIN, OwnServer, Server, execute, local, standby

READING = {"status": 0, "check": 3, "history": 0, "validate": 0, "plan": 0, "metrics": 0, "lock-status": 0}
COPIED = "select count(*) > 0 and bool_and(srsubstate = 'r') from pg_subscription_rel"


@pytest.fixture(scope="module")
def primary(server: Server) -> Iterator[OwnServer]:
    with local(server.bin if (server.bin / "pg_ctl").exists() else LOCAL_BIN) as own:
        execute(own.conninfo, "alter system set wal_level = 'logical'")
        own.stop("fast")
        own.start()
        yield own


@pytest.fixture
def original(primary: OwnServer, tmp_path: Path) -> Project:
    """A project on the primary: two migrations are applied, and a third is pending."""
    (tmp_path / "migrations").mkdir()
    execute(primary.conninfo, "drop database if exists app with (force)", "create database app")
    project = Project(primary, primary.database("app"), tmp_path)
    project.add(1, "create table t (a int primary key);", "drop table t;")
    project.add(2, "create index concurrently t_a on t (a);", "drop index t_a;")
    project.migrator().migrate()
    project.add(3, "create table u (a int);", "drop table u;")
    return project


def test_a_hot_standby_is_read_while_it_streams_and_refuses_to_migrate(primary: OwnServer, original: Project) -> None:
    with standby(primary) as copy:
        project = Project(copy, copy.database("app"), original.root)

        assert {command: project.cli(command).returncode for command in READING} == READING
        refused = project.cli("migrate")
        assert original.cli("migrate").returncode == 0
        until(lambda: project.cli("check").returncode == 0)
        assert project.versions() == original.versions()

        copy.run("pg_ctl", "-w", "promote")
        project.add(4, "create table v (a int);")
        promoted = project.cli("migrate")

    assert (refused.returncode, "standby" in refused.stderr) == (1, True)
    assert promoted.returncode == 0
    assert promoted.stdout.startswith("1 migration applied in ")


@pytest.fixture
def subscriber(original: Project, server: Server, database: str) -> Iterator[Project]:
    """Another server's database with the same schema, to which the original's rows are copied."""
    project = Project(server, database, original.root)
    schema = original.server.dump(original.database, "--schema-only").decode()
    loaded = project.server.psql(project.database, stdin=schema)
    assert loaded.returncode == 0, loaded.stderr
    original.query("create publication everything for all tables")
    project.query(f"create subscription copy connection '{original.database}' publication everything")
    until(lambda: project.value(COPIED))
    yield project
    project.query("drop subscription if exists copy")


def test_a_published_history_is_written_and_copied(original: Project, subscriber: Project) -> None:
    original.migrator().migrate()
    until(lambda: subscriber.versions() == original.versions())

    original.migrator().rollback(steps=1)
    until(lambda: subscriber.versions() == original.versions())

    assert len(subscriber.versions()) == 2


def test_a_subscriber_continues_with_the_copied_history(original: Project, subscriber: Project) -> None:
    assert subscriber.versions() == original.versions()
    subscriber.query("drop subscription copy")

    run = subscriber.cli("migrate")

    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("1 migration applied in ")
    assert "the identity column of" in run.stderr
    assert [success for _, success in subscriber.versions()] == [True] * 3
    assert len(subscriber.migrator().rollback(steps=3).steps) == 3
