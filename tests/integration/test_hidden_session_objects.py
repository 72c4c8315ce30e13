"""What a called function or EXECUTE leaves in the session is known to the server only: it is asked at each cut."""

from __future__ import annotations

import pytest

from sqlmigrate.errors import MigrationFailed, PlanRefused
from sqlmigrate.events import Said
from tests.project import Project

CUT = "create index concurrently t_a on t (a);\n"
BROKEN = "select 1 / 0;\n"
TEMP_TABLE = "create temp table seed as select 7 as a"
MAKERS = {
    "a function": ("select make();\n", "temporary table seed", TEMP_TABLE),
    "a function in FROM": ("select * from make();\n", "temporary table seed", TEMP_TABLE),
    "a procedure": ("call build();\n", "temporary table seed", TEMP_TABLE),
    "a block": ("do $$ begin perform make(); end $$;\n", "temporary table seed", TEMP_TABLE),
    "EXECUTE": (
        "do $$ begin execute 'create ' || 'temp table se' || 'ed as select 7 as a'; end $$;\n",
        "temporary table seed",
        TEMP_TABLE,
    ),
    "CREATE TABLE AS": ("create table other as select 1 as x, make()::text;\n", "temporary table seed", TEMP_TABLE),
    "a trigger": ("insert into watched values (1);\n", "temporary table seed", TEMP_TABLE),
    "a view": ("select make();\n", "temporary view seed", "create temp view seed as select 7 as a"),
    "a prepared statement": (
        "do $$ begin execute 'prep' || 'are seed as insert into t values (7)'; end $$;\n",
        "prepared statement seed",
        "",
    ),
}


@pytest.fixture
def table(project: Project) -> Project:
    project.query("create table t (a int)", "create table watched (a int)", "insert into t values (1)")
    return project


def install(project: Project, creates: str) -> None:
    """Creates a function, a procedure and a trigger that execute a statement."""
    project.query(
        f"create function make() returns void language plpgsql as $$ begin {creates or 'null'}; end $$",
        f"create procedure build() language plpgsql as $$ begin {creates or 'null'}; end $$",
        f"create function fire() returns trigger language plpgsql as $$ begin {creates or 'null'}; return null; end $$",
        "create trigger fire after insert on watched for each statement execute function fire()",
        "create function use() returns void language plpgsql as $$ begin insert into t select a from seed; end $$",
    )


def said(project: Project) -> list[str]:
    return [event.message for event in project.events if isinstance(event, Said)]


@pytest.mark.parametrize(("makes", "item", "creates"), MAKERS.values(), ids=MAKERS)
def test_it_is_announced_at_the_cut_and_a_rerun_is_refused(table: Project, makes: str, item: str, creates: str) -> None:
    install(table, creates)
    use = "execute seed;\n" if item.startswith("prepared") else "insert into t select a from seed;\n"
    table.add(1, f"{makes}{CUT}{BROKEN}{use}")
    with pytest.raises(MigrationFailed):
        table.migrator().migrate()
    assert said(table).count(f"if the run is interrupted, a rerun cannot restore the {item}") == 1

    table.add(1, f"{makes}{CUT}{use}")
    with pytest.raises(PlanRefused) as refused:
        table.migrator().migrate()

    assert [problem.message for problem in refused.value.problems] == [
        f"the {item} ended with the session of the committed part of v1.0.0-001"
    ]


def test_a_permanent_table_of_the_same_name_does_not_stand_in(table: Project) -> None:
    install(table, TEMP_TABLE)
    table.query("create table seed (a int)")
    table.add(1, f"select make();\n{CUT}{BROKEN}insert into seed values (1);\n")
    with pytest.raises(MigrationFailed):
        table.migrator().migrate()
    table.add(1, f"select make();\n{CUT}insert into seed values (1);\n")

    with pytest.raises(PlanRefused):
        table.migrator().migrate()

    assert table.value("select count(*) from seed") == 0


@pytest.mark.parametrize("call", ["select use();", "do $$ begin perform use(); end $$;", "select * from use();"])
def test_a_function_that_may_use_it_is_warned_of(table: Project, call: str) -> None:
    install(table, TEMP_TABLE)
    table.add(1, f"select make();\n{CUT}{BROKEN}{call}\n")
    with pytest.raises(MigrationFailed):
        table.migrator().migrate()
    assert "if the run is interrupted, a rerun cannot restore the temporary table seed" in said(table)
    table.query("create table seed (a int)")
    table.add(1, f"select make();\n{CUT}{call}\n")

    run = table.migrator().migrate()

    (warning,) = run.warnings
    assert warning.message == (
        "v1.0.0-001 may call a function that uses the temporary table seed, which ended with its session"
    )
    assert warning.location is not None
    assert warning.location.line == 3


def test_an_object_that_the_rest_does_not_use_is_not_mentioned(table: Project) -> None:
    install(table, TEMP_TABLE)
    table.add(1, f"select make();\n{CUT}create table made (a int);\n")

    table.migrator().migrate()

    assert not any("cannot restore" in message for message in said(table))
