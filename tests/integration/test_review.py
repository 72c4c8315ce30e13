"""Regression tests for faults that a review of the code found."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.execution import recovery
from sqlmigrate.execution.catalog import state_before
from sqlmigrate.server.connection import Connection, connect
from sqlmigrate.server.conninfo import make_conninfo
from tests.project import Project


def test_only_the_last_commit_of_a_run_waits_for_the_disk(project: Project) -> None:
    """A deferred trigger observes the setting at the commit."""
    project.add(1, "create table seen (version text, setting text)")
    project.migrator().migrate()
    project.query(
        """create function look() returns trigger language plpgsql as $$ begin
           insert into public.seen values (new.version, current_setting('synchronous_commit')); return null; end $$""",
        """create constraint trigger look after insert on migrations
           deferrable initially deferred for each row execute function look()""",
    )
    for number in (2, 3, 4):
        project.add(number, f"create table t{number} ()")

    project.migrator().migrate()

    assert project.query("select setting from seen order by version") == [("off",), ("off",), ("on",)]


def test_the_monitor_does_not_wait_for_a_log_that_the_migration_locks(project: Project) -> None:
    project.add(1, "create table t (a int)")
    project.migrator().migrate()
    project.add(2, "lock migrations_log; select pg_sleep(1); copy t from stdin;\n1\n\\.\n")

    assert project.cli("migrate", "--timeout", "10s").returncode == 0
    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", True)]


def state(connection: Connection, statement: str) -> str:
    """What is recorded before a statement."""
    return str(connection.rows(f"select {state_before(statement, connection.literal)}")[0][0])


@pytest.mark.parametrize("options", ["restrict", "cascade", ""])
def test_a_drop_of_an_index_that_still_exists_is_not_treated_as_done(project: Project, options: str) -> None:
    project.query("create table t (a int)", "create index i on t (a)")
    with closing(connect(project.database, "test")) as connection:
        statement = f"drop index concurrently i {options};"
        assert not recovery.judge(connection, statement, state(connection, statement)).is_done


def test_a_drop_of_a_database_that_still_exists_is_not_treated_as_done(project: Project) -> None:
    name = psycopg.conninfo.conninfo_to_dict(project.database)["dbname"]
    with closing(connect(project.database, "test")) as connection:
        for statement in (f"drop database {name}", f"drop database if exists {name}", f"drop database {name} (force)"):
            assert not recovery.judge(connection, statement, state(connection, statement)).is_done


def test_the_rest_of_a_password_with_an_at_sign_is_not_shown_as_the_host() -> None:
    with pytest.raises(ConfigurationError) as failed:
        make_conninfo("postgresql://u:first@s3cr3t@localhost.invalid/d")
    assert "s3cr3t" not in failed.value.message
