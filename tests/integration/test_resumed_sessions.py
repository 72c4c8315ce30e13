"""A script of several segments that failed runs on in another session: with the same settings, or not at all."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.errors import MigrationFailed, PlanRefused
from sqlmigrate.events import Said
from tests.project import Project

CUT = "create index concurrently t_a on t (a);\n"
BROKEN = "select 1 / 0;\n"
MAKES = "create table made (a int);\n"
APP = "select relnamespace::regnamespace::text from pg_class where relname = 'made'"


@pytest.fixture
def table(project: Project) -> Project:
    project.query("create schema app", "create schema other", "create table t (a int)", "insert into t values (1)")
    return project


def fail(project: Project) -> None:
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()


@pytest.mark.parametrize(
    "change",
    [
        "set search_path = app;",
        "set search_path to app, public;",
        "select set_config('search_path', 'app', false);",
        "select 1, pg_catalog.set_config('search_path', 'app', false);",
        "with x as (select set_config('search_path', 'app', false)) select * from x;",
        "do $$ begin perform set_config('search_path', 'app', false); end $$;",
        "do $$ begin set search_path = app; end $$;",
        "create function f() returns text language sql return set_config('search_path', 'app', false); select f();",
        "begin; set local search_path = other; commit; do $$ begin set search_path = app; end $$;",
        "insert into t select length(set_config('search_path', 'app', false));",
    ],
)
@pytest.mark.parametrize(
    "cut", ["create index concurrently t_a on public.t (a);", "begin; select 1; commit;", "vacuum public.t;"]
)
def test_a_rerun_restores_the_settings_of_the_committed_part(table: Project, change: str, cut: str) -> None:
    table.add(
        1, f"{change}\n{cut.replace(' on t ', ' on public.t ').replace('vacuum t', 'vacuum public.t')}{BROKEN}{MAKES}"
    )
    fail(table)
    table.add(1, f"{change}\n{cut.replace(' on t ', ' on public.t ').replace('vacuum t', 'vacuum public.t')}{MAKES}")

    table.migrator().migrate()

    assert table.value(APP) == "app"


def test_a_setting_of_one_transaction_is_not_restored(table: Project) -> None:
    table.add(1, f"begin; set local search_path = app; commit;\n{BROKEN}{MAKES}")
    fail(table)
    table.add(1, f"begin; set local search_path = app; commit;\n{MAKES}")

    table.migrator().migrate()

    assert table.value(APP) == "public"


def test_a_rerun_restores_the_role(table: Project) -> None:
    role = f"maker_{table.value('select pg_backend_pid()')}"
    table.query(f"create role {role}", f"grant create on schema public to {role}")
    text = f"do $$ begin set role {role}; end $$;\nvacuum pg_class;\n"
    table.add(1, f"{text}{BROKEN}{MAKES}")
    fail(table)
    table.add(1, f"{text}{MAKES}")
    try:
        table.migrator().migrate()
        owner = table.value("select relowner::regrole::text from pg_class where relname = 'made'")
    finally:
        table.query(f"drop owned by {role}", f"drop role {role}")

    assert owner == role


@pytest.mark.parametrize(
    ("create", "use", "item"),
    [
        ("create temp table seed as select 7 as a", "insert into t select a from seed", "temporary table seed"),
        ("select 7 as a into temp seed", "insert into t select a from seed", "temporary table seed"),
        ("create temp view seed as select 7 as a", "insert into t select a from seed", "temporary view seed"),
        ("create temp sequence seed", "insert into t select nextval('seed'::regclass)", "temporary sequence seed"),
        ("prepare seed as insert into t values (7)", "execute seed", "prepared statement seed"),
        (
            "do $$ begin create temp table seed (a int); end $$",
            "insert into t select a from seed",
            "temporary table seed",
        ),
        ("declare seed cursor with hold for select 7", "fetch all from seed", "cursor seed"),
    ],
)
def test_a_rerun_without_a_temporary_object_is_refused_and_says_how_to_go_on(
    table: Project, create: str, use: str, item: str
) -> None:
    done = f"{create};\n{CUT}" if not create.startswith("declare") else f"begin; {create}; commit;\n{CUT}"
    table.add(1, f"{done}{BROKEN}{use};\n")
    fail(table)
    table.add(1, f"{done}{use};\n")

    with pytest.raises(PlanRefused) as refused:
        table.migrator().migrate()

    (problem,) = refused.value.problems
    assert (problem.code, problem.message) == (
        "session-lost",
        f"the {item} ended with the session of the committed part of v1.0.0-001",
    )
    assert problem.location is not None
    assert problem.location.text == f"{use};"
    again = create if not create.startswith(("declare", "do")) else "create temp table seed as select 7 as a"
    rest = use if not create.startswith("declare") else "insert into t select a from seed"
    table.add(1, f"{done}{again};\n{rest};\n")
    table.migrator().migrate()
    assert table.versions() == [("v1.0.0-001", True)]


def test_a_temporary_table_that_the_rest_does_not_need_is_no_obstacle(table: Project) -> None:
    done = f"create temp table seed as select 7 as a;\ninsert into t select a from seed;\n{CUT}"
    table.add(1, f"{done}{BROKEN}")
    fail(table)
    table.add(1, f"{done}{MAKES}")

    table.migrator().migrate()

    assert table.query("select a from t order by a") == [(1,), (7,)]


def test_the_first_run_says_what_a_rerun_could_not_restore(table: Project) -> None:
    table.add(1, f"create temp table seed as select 7 as a;\n{CUT}insert into t select a from seed;")

    table.migrator().migrate()

    said = [event.message for event in table.events if isinstance(event, Said)]
    assert "if the run is interrupted, a rerun cannot restore the temporary table seed" in said


def test_a_client_killed_between_two_segments_leaves_the_settings_in_the_history(table: Project) -> None:
    table.add(1, f"do $$ begin set search_path = app, public; end $$;\n{CUT}{MAKES}")
    with psycopg.connect(table.database) as reader:
        reader.execute("lock table t in row exclusive mode")
        process = table.start("migrate")
        while not table.backends("query ~* '^create index' and wait_event_type = 'Lock'"):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    for pid in table.backends("query ~* '^create index concurrently'"):
        table.query(f"select pg_terminate_backend({pid})")
    assert table.has_free_lock()

    table.migrator().migrate()

    assert table.value(APP) == "app"


def test_an_unknown_session_is_a_warning(table: Project) -> None:
    text = f"do $$ begin set search_path = app, public; end $$;\n{CUT}"
    table.add(1, f"{text}{BROKEN}")
    fail(table)
    table.query("update migrations set session = ''")
    table.add(1, f"{text}{MAKES}")

    run = table.migrator().migrate()

    assert [problem.code for problem in run.warnings] == ["session-unknown"]


def test_another_tool_s_transaction_around_concurrently_is_left_and_entered(table: Project) -> None:
    table.add(1, f"commit;\n{CUT}begin;\n")

    table.migrator().migrate()

    assert table.value("select indisvalid from pg_index where indexrelid = 't_a'::regclass")


@pytest.mark.parametrize("file", ["status", "info", "check", "history"])
def test_an_older_format_of_the_history_is_still_read(table: Project, file: str, tmp_path: Path) -> None:
    table.add(1, "select 1")
    table.migrator().migrate()
    table.query(
        "alter table migrations drop column session",
        "comment on table migrations is 'Migrations that sqlmigrate has applied, one row per migration. Format 2.'",
    )

    assert table.cli(file).returncode == 0
    table.add(2, "select 2")
    table.migrator().migrate()
    assert table.value("select count(*) from migrations where session = ''") == 2


@pytest.mark.parametrize("call", ["lastval()", "currval('s')"])
def test_a_sequence_value_of_the_committed_part_is_announced_and_then_refused(table: Project, call: str) -> None:
    table.query("create sequence s")
    done, use = f"select nextval('s');\n{CUT}", f"insert into t select {call};\n"
    table.add(1, f"{done}{BROKEN}{use}")
    fail(table)
    said = [event.message for event in table.events if isinstance(event, Said)]
    value = f"value of {call.partition('(')[0]}()"
    assert f"if the run is interrupted, a rerun cannot restore the {value}" in said

    table.add(1, f"{done}{use}")
    with pytest.raises(PlanRefused) as refused:
        table.migrator().migrate()
    assert [problem.code for problem in refused.value.problems] == ["session-lost"]

    table.add(1, f"{done}select nextval('s');\n{use}")
    table.migrator().migrate()
    assert table.query("select a from t order by a") == [(1,), (2,)]
