"""A rerun starts with the settings of the first run, whatever ALTER DATABASE or ALTER ROLE have set in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sqlmigrate.errors import MigrationFailed
from sqlmigrate.events import Said
from tests.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

CUT = "create index concurrently t_a on public.t (a);\n"
BROKEN = "select 1 / 0;\n"
MAKES = "create table made (a int);\n"
SCHEMA = "select relnamespace::regnamespace::text from pg_class where relname = 'made'"


@pytest.fixture
def table(project: Project) -> Iterator[Project]:
    project.query("create schema app", "create table t (a int)")
    yield project
    project.query("alter role current_user reset search_path")


def rerun(project: Project, done: str, rest: str) -> None:
    """Runs a file that fails after `done`, and then the mended file with `rest`."""
    project.add(1, f"{done}{BROKEN}{rest}")
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()
    project.add(1, f"{done}{rest}")
    project.migrator().migrate()


def database(project: Project) -> str:
    return str(project.value("select quote_ident(current_database())"))


ALTERS = {
    "ALTER DATABASE SET": "alter database {d} set search_path = app;\n",
    "ALTER DATABASE SET TO": "ALTER DATABASE {d}\n  SET search_path TO app, public;\n",
    "ALTER ROLE IN DATABASE SET": "alter role current_user in database {d} set search_path = app;\n",
    "ALTER USER IN DATABASE SET": "alter user current_user in database {d} set search_path = app;\n",
    "ALTER ROLE ALL IN DATABASE": "alter role all in database {d} set search_path = app;\n",
    "a DO block": "do $$ begin execute 'alter database {d} set search_path = app'; end $$;\n",
    "FROM CURRENT": "begin; set local search_path = app; alter database {d} set search_path from current; commit;\n",
    "a function": "create function f() returns void language plpgsql as"
    " $$ begin execute 'alter database {d} set search_path = app'; end $$;\nselect f();\n",
}


@pytest.mark.parametrize("alter", ALTERS.values(), ids=ALTERS)
def test_a_new_search_path_does_not_move_the_rest_of_the_file(table: Project, alter: str) -> None:
    rerun(table, alter.format(d=database(table)) + CUT, MAKES)

    assert table.value(SCHEMA) == "public"
    said = [event.message for event in table.events if isinstance(event, Said)]
    assert 'search_path is ""$user", public" again, as when the migration was started' in said


@pytest.mark.parametrize("reset", ["reset search_path", "reset all", "set search_path to default"])
def test_a_setting_that_was_taken_back_remains_for_the_rest_of_the_file(table: Project, reset: str) -> None:
    table.query(f"alter database {database(table)} set search_path = app")

    rerun(table, f"alter database {database(table)} {reset};\n{CUT}", MAKES)

    assert table.value(SCHEMA) == "app"


OTHERS = {
    "datestyle": ("'German'", "select current_setting('datestyle')", "ISO, MDY"),
    "timezone": ("'Asia/Tokyo'", "select current_setting('timezone') = 'Asia/Tokyo'", "false"),
    "xmloption": ("document", "select current_setting('xmloption')", "content"),
    "transform_null_equals": ("on", "select null = null", None),
    "standard_conforming_strings": ("off", r"select 'a\\b'", r"a\\b"),
    "app.tenant": ("'x'", "select current_setting('app.tenant', true)", ""),
    "default_transaction_isolation": (
        "serializable",
        "select current_setting('transaction_isolation')",
        "read committed",
    ),
    "check_function_bodies": ("off", "select current_setting('check_function_bodies')", "on"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_settings_that_decide_what_a_statement_means_are_those_of_the_first_run(
    table: Project, name: str
) -> None:
    value, query, expected = OTHERS[name]
    rerun(
        table,
        f"alter database {database(table)} set {name} = {value};\n{CUT}",
        f"create table seen as {query} as a;\n".replace("select ", "select (", 1).replace(" as a;", ")::text as a;"),
    )

    assert table.value("select a from seen") == expected


@pytest.mark.parametrize("name", ["work_mem", "temp_buffers", "idle_in_transaction_session_timeout"])
def test_a_limit_that_a_person_raised_for_the_rerun_stays_raised(table: Project, name: str) -> None:
    done = f"alter database {database(table)} set search_path = app;\n{CUT}"
    table.add(1, f"{done}{BROKEN}")
    with pytest.raises(MigrationFailed):
        table.migrator().migrate()
    table.query(f"alter database {database(table)} set {name} = 12345")
    table.add(1, f"{done}select 1;\n")

    table.migrator().migrate()

    said = [event.message for event in table.events if isinstance(event, Said)]
    assert not any(name in message for message in said)
    assert table.value("select success from public.migrations")


def test_a_setting_of_the_script_itself_has_precedence(table: Project) -> None:
    rerun(table, f"set search_path = app;\nalter database {database(table)} set search_path = public;\n{CUT}", MAKES)

    assert table.value(SCHEMA) == "app"
