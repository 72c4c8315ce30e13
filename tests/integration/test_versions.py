"""PostgreSQL's versions: a server that is too old is refused by name, and so is a statement that it does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.errors import DatabaseError
from sqlmigrate.lint import Options, lint
from sqlmigrate.model import OLDEST_POSTGRES
from sqlmigrate.server import connection
from tests.project import Project
from tests.servers import Server, execute


def version(project: Project) -> str:
    """The server's version as 18.4."""
    number = int(str(execute(project.database, "show server_version_num")[0][0]))
    return f"{number // 10_000}.{number % 10_000}"


@pytest.mark.parametrize("command", ["migrate", "status", "check", "lock_holder"])
def test_a_server_that_is_too_old_is_refused_by_name(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(connection, "OLDEST_POSTGRES", 99)
    project.add(1, "create table t ()")

    with pytest.raises(DatabaseError) as refused:
        getattr(project.migrator(), command)()

    assert refused.value.message == f"PostgreSQL {version(project)} is not supported"
    assert refused.value.hint == "sqlmigrate requires PostgreSQL 99 or newer"
    assert project.value("select to_regclass('t') is null and to_regclass('migrations') is null")


SCHEMA = """
    create table t (a int, n text); create table u (a int); create table r (a int primary key); create schema s;
    create table f (a int constraint key references r); create table g (a int, b int generated always as (a) stored);
    create publication known for table t;
"""
# Statements, with the first major version that has them.
FEATURES = {
    "create publication p for table t (a)": 15,
    "create publication p for table t where (a > 0)": 15,
    "create publication p for tables in schema s": 15,
    "alter publication known add tables in schema s": 15,
    "grant set on parameter work_mem to pg_monitor": 15,
    "merge into t using u on t.a = u.a when matched then do nothing": 15,
    "create table x (a int, b int, foreign key (a) references r on delete set null (a))": 15,
    "create unique index on t (a) nulls not distinct": 15,
    "alter table t add unique nulls not distinct (a)": 15,
    "create view v with (security_invoker = true) as select 1 as a": 15,
    "alter table t set access method heap": 15,
    "grant pg_signal_backend to pg_read_all_data with inherit true": 16,
    "copy t from '/dev/null' with (default 'x')": 16,
    "create table x (a text storage external)": 16,
    "alter table t add column x text storage external": 16,
    "grant maintain on t to pg_monitor": 17,
    "alter default privileges grant maintain on tables to pg_monitor": 17,
    "merge into t using u on t.a = u.a when not matched by source then do nothing": 17,
    "merge into r using u on r.a = u.a when matched then do nothing returning r.a": 17,
    "copy t from '/dev/null' with (on_error ignore)": 17,
    "alter table g alter b set expression as (a * 3)": 17,
    "copy t from '/dev/null' with (on_error ignore, reject_limit 3)": 18,
    "alter table f alter constraint key not enforced": 18,
    "create table x (a int check (a > 0) not enforced)": 18,
    "create table x (a int, b int generated always as (a) virtual)": 18,
    "alter table t add constraint filled not null n": 18,
    "insert into t values (1) returning with (new as n) n.a": 18,
    "update u set a = 1 returning with (old as o) o.a": 18,
    "delete from u returning with (old as o) o.a": 18,
    "analyze only t": 18,
    "create table x (a uuid default uuidv7())": 18,
    "create table t2 (a int primary key, b text not null, check (a > 0))": 14,
    "update u set a = 1 returning a": 14,
    "copy t from '/dev/null' with (format csv)": 14,
    "alter table f alter constraint key deferrable": 14,
    "grant select on t to pg_monitor": 14,
    "analyze t": 14,
}


@pytest.fixture(scope="module")
def features(server: Server) -> Iterator[str]:
    execute(server.conninfo, "create database features")
    execute(server.database("features"), SCHEMA)
    yield server.database("features")
    execute(server.conninfo, "drop database features with (force)")


def fails(conninfo: str, statement: str) -> bool:
    with psycopg.connect(conninfo) as link:
        try:
            link.execute(statement.encode())
        except psycopg.Error:
            return True
        finally:
            link.rollback()
    return False


@pytest.mark.parametrize("statement", FEATURES)
def test_the_linter_reports_a_statement_where_it_fails_on_the_server(
    server: Server, features: str, tmp_path: Path, statement: str
) -> None:
    file = tmp_path / "V1.0.0-001__a.up.sql"
    file.write_text(f"{SCHEMA}; {statement};")
    reported = [
        version
        for version in range(OLDEST_POSTGRES, 19)
        if any(f.rule == "needs-newer-postgres" for f in lint([str(file)], options=Options(postgres=version)))
    ]

    assert reported == list(range(OLDEST_POSTGRES, FEATURES[statement]))
    assert fails(features, statement) == (server.version in reported)
