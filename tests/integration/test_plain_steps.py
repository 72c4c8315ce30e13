"""The session is reset after each migration that may have changed it, and only after those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from sqlmigrate import Migrator, load_settings
from sqlmigrate.errors import MigrationFailed
from sqlmigrate.events import Event, Retrying
from sqlmigrate.server.connection import Connection, Result
from tests.plain_statements import PLAIN
from tests.project import Project

STATE = """
select array_agg(name || '=' || setting order by name) filter (where source = 'session'),
       current_user::text, session_user::text,
       (select count(*) from pg_class where relpersistence = 't'),
       (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors)
from pg_settings
"""
TRAP = """
create function trap() returns event_trigger language plpgsql as $$ begin
    perform set_config('search_path', 'elsewhere', false);
end $$;
create event trigger trap on ddl_command_end execute function trap();
"""
ELSEWHERE = "select count(*) from pg_class where relnamespace = to_regnamespace('elsewhere')"


def test_no_plain_statement_changes_the_session(database: str) -> None:
    with psycopg.connect(database, prepare_threshold=None) as connection:
        before = connection.execute(STATE).fetchall()
        connection.commit()
        for statement in PLAIN:
            connection.execute(statement.encode())
            assert connection.execute(STATE).fetchall() == before, statement


@pytest.mark.parametrize(
    "first",
    [
        pytest.param("create table t1 (a int);", id="before the run"),
        pytest.param(TRAP, id="in the same message"),
    ],
)
def test_an_event_trigger_that_changes_the_session_does_not_change_the_next_migration(
    project: Project, first: str
) -> None:
    project.query("create schema elsewhere")
    if "trap" not in first:
        project.query(TRAP, "reset search_path")
    project.add(1, first)
    for number in range(2, 5):
        project.add(number, f"create table t{number} (a int);")

    project.migrator().migrate()

    assert project.value(ELSEWHERE) == 0


def test_an_event_trigger_of_an_earlier_message_is_noticed(project: Project) -> None:
    project.query("create schema elsewhere")
    project.add(1, TRAP)
    project.add(2, "vacuum pg_class;")  # ends the message
    for number in range(3, 6):
        project.add(number, f"create table t{number} (a int);")

    project.migrator().migrate()

    assert project.value(ELSEWHERE) == 0


def test_a_search_path_that_begins_with_temporary_tables_is_noticed(project: Project) -> None:
    name = project.value("select current_database()")
    project.query(f"alter database {name} set search_path = pg_temp, public")
    project.add(1, "create table t (a int);")
    project.add(2, "create table t (a int);")

    project.migrator(history_table="public.migrations").migrate()


def test_only_migrations_that_may_change_the_session_are_followed_by_a_reset(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add(1, "create table t (a int);\ncreate index on t (a);\ncomment on table t is 'x';")
    project.add(2, "create view v as select * from t;")
    project.add(3, "insert into t values (1);")
    sent: list[str] = []
    transmit = Connection.transmit

    def recorded(self: Connection, text: str, *rows: Any) -> Iterator[Result]:
        sent.append(text)
        return transmit(self, text, *rows)

    monkeypatch.setattr(Connection, "transmit", recorded)
    project.migrator().migrate()

    (message,) = (text for text in sent if "create view" in text)
    assert message.count("reset all;") == 1


def test_no_script_sees_the_statements_that_record_plain_migrations(project: Project) -> None:
    for number in (*range(1, 7), *range(8, 15)):
        project.add(number, f"create table t{number} (a int);", f"drop table t{number};")
    project.add(7, "create table seen as select name from pg_prepared_statements;", "drop table seen;")

    project.migrator().migrate()

    assert project.query("select * from seen") == []
    assert project.query("select outcome, count(*) from migrations_log group by 1") == [("success", 14)]
    project.migrator().rollback(steps=14)
    assert project.query("select * from migrations") == []
    assert project.query("select outcome, count(*) from migrations_log group by 1") == [("success", 28)]


def test_the_records_of_plain_migrations_have_the_values_of_each(project: Project) -> None:
    for number in range(1, 9):
        comments = "\ncomment on table t is 'x';" * number
        project.add(number, f"-- it's no. {number} \\ ü\ncreate table if not exists t (a int);{comments}")

    steps = project.migrator().migrate().steps

    assert project.query(
        "select version, name, description, checksum, statements from migrations order by version"
    ) == [
        (step.migration.id, step.migration.name, f"it's no. {number} \\ ü", step.migration.checksum, number + 1)
        for number, step in enumerate(steps, 1)
    ]


def test_a_script_that_deletes_the_rows_of_the_history_is_blamed_among_plain_ones(project: Project) -> None:
    project.add(1, "create table t1 (a int);")
    project.migrator().migrate()
    for number in (2, 3, 4, 6, 7, 8, 9):
        project.add(number, f"create table t{number} (a int);")
    project.add(5, "delete from migrations;")

    with pytest.raises(MigrationFailed, match="deleted or changed rows"):
        project.migrator().migrate()

    assert project.query("select max(version) from migrations") == [("v1.0.0-005",)]


def test_a_plain_migration_is_tried_again_after_a_lock_timeout(project: Project) -> None:
    project.query("create table busy (a int)")
    for number in (1, 2, 3, 5, 6, 7):
        project.add(number, f"create table t{number} (a int);")
    project.add(4, "-- sqlmigrate: lock-timeout=100ms\nalter table busy add column b int;")
    settings = load_settings({"database_url": project.database, "dir": (str(project.directory),)}, {})
    retries: list[Event] = []
    with psycopg.connect(project.database) as other:
        other.execute("lock table busy in access exclusive mode")

        def release(event: Event) -> None:
            if isinstance(event, Retrying):
                retries.append(event)
                other.rollback()

        Migrator(settings, release).migrate()

    assert len(retries) == 1
    assert project.value("select count(*) from migrations where success") == 7


def test_the_plain_migrations_before_a_syntax_error_are_applied(project: Project) -> None:
    for number in (1, 2, 3, 4, 5, 7, 8):
        project.add(number, f"create table t{number} (a int);")
    project.add(6, "create table t6 (a int;")

    with pytest.raises(MigrationFailed, match="syntax error"):
        project.migrator().migrate()
    project.add(6, "create table t6 (a int);")
    project.migrator().migrate()

    assert project.value("select count(*) from migrations where success") == 8
