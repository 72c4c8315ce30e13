"""`migrate --create-database`: creates the missing database, and says so."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sqlmigrate.errors import ConnectionFailed
from sqlmigrate.server import creation
from tests.project import Project
from tests.servers import execute

pytestmark = pytest.mark.anywhere


@pytest.fixture(params=["shop", 'Odd "name" é%s'])
def missing(request: pytest.FixtureRequest, project: Project) -> Iterator[str]:
    """The name of a database that does not exist."""
    name = f"{request.param}_{os.getpid()}"
    project.add(1, "create table orders (id int);")
    yield name
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)).as_string()
    execute(project.server.conninfo, drop)


def url(project: Project, name: str, **parts: str) -> str:
    return make_conninfo(project.server.conninfo, dbname=name, **parts)


def test_the_missing_database_is_created_and_migrated(project: Project, missing: str) -> None:
    ran = project.cli("migrate", "--create-database", DATABASE_URL=url(project, missing))
    assert ran.returncode == 0, ran.stderr
    assert f'created database "{missing}"' in ran.stderr
    assert execute(url(project, missing), "select version from migrations") == [("v1.0.0-001",)]

    again = project.cli("migrate", "--create-database", DATABASE_URL=url(project, missing))
    assert (again.returncode, "created database" in again.stderr) == (0, False)


def test_without_the_option_nothing_is_created(project: Project, missing: str) -> None:
    ran = project.cli("migrate", DATABASE_URL=url(project, missing))
    assert (ran.returncode, "does not exist" in ran.stderr) == (1, True)
    assert missing not in [name for (name,) in project.query("select datname from pg_database")]


def test_a_dry_run_creates_nothing(project: Project, missing: str) -> None:
    ran = project.cli("migrate", "--create-database", "--dry-run", DATABASE_URL=url(project, missing))
    assert (ran.returncode, "cannot be combined" in ran.stderr) == (2, True)
    assert missing not in [name for (name,) in project.query("select datname from pg_database")]


def test_the_name_of_a_service_file_is_used(project: Project, tmp_path: Path) -> None:
    name = f"of_service_{os.getpid()}"
    parts = conninfo_to_dict(url(project, name))
    service = tmp_path / "service.conf"
    service.write_text("\n".join(["[app]", *(f"{key}={value}" for key, value in parts.items())]))
    project.add(1, "select 1;")
    try:
        ran = project.cli("migrate", "--create-database", DATABASE_URL="service=app", PGSERVICEFILE=str(service))
        assert ran.returncode == 0, ran.stderr
        assert f'created database "{name}"' in ran.stderr
    finally:
        execute(project.server.conninfo, f"drop database if exists {name} with (force)")


def test_of_two_runs_one_creates_the_database_and_both_succeed(project: Project, missing: str) -> None:
    given = {"database_url": url(project, missing)}
    created: list[str] = []
    errors: list[Exception] = []
    together = threading.Barrier(3)

    def create() -> None:
        together.wait()
        try:
            created.append(project.migrator(**given).create_database())
        except ConnectionFailed as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(created) == ["", "", missing]


def test_a_database_that_was_created_since_the_failure_is_no_error(
    project: Project, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = creation.create_missing

    def late(*arguments: Any) -> bool:
        assert real(*arguments)  # the other run
        return real(*arguments)

    monkeypatch.setattr(creation, "create_missing", late)
    assert project.migrator(database_url=url(project, missing)).create_database() == ""


def test_a_role_that_may_not_create_databases_gets_the_commands(project: Project, missing: str) -> None:
    role = f"plain_{os.getpid()}"
    execute(project.server.conninfo, f"drop role if exists {role}", f"create role {role} login")
    try:
        ran = project.cli("migrate", "--create-database", DATABASE_URL=url(project, missing, user=role))
    finally:
        execute(project.server.conninfo, f"drop role {role}")
    assert ran.returncode == 1
    assert "permission denied to create database" in ran.stderr
    name = sql.Identifier(missing).as_string()
    assert f'run CREATE DATABASE {name} OWNER "{role}", or ALTER ROLE "{role}" CREATEDB' in ran.stderr


@pytest.mark.parametrize("parts", [{"user": "nobody_at_all"}, {"port": "1"}])
def test_another_failure_of_the_connection_is_reported_after_one_attempt(
    project: Project, missing: str, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []
    monkeypatch.setattr(creation, "create_missing", lambda *_: attempts.append("another database"))
    with pytest.raises(ConnectionFailed, match="could not connect to the database"):
        project.migrator(database_url=url(project, missing, **parts)).create_database()
    assert attempts == []


def test_the_hint_for_a_missing_database_names_the_option(project: Project, missing: str) -> None:
    ran = project.cli("migrate", DATABASE_URL=url(project, missing))
    assert "`sqlmigrate migrate --create-database` creates it" in ran.stderr
