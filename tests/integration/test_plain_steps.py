"""The session is reset after each migration that may have changed it, and only after those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

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
