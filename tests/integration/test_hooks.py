"""before_migrate.sql, after_migrate.sql, before_each.sql, after_each.sql and after_error.sql."""

from __future__ import annotations

import psycopg
import pytest

from sqlmigrate.errors import MigrationFailed, PlanRefused
from sqlmigrate.events import Finished, Warned
from tests.polling import LIMIT
from tests.project import Project

SAY = "insert into said (what) values ('{}');"
TOLD = "insert into said (what) values ('{} ' || current_setting('sqlmigrate.version'));"


@pytest.fixture
def talking(project: Project) -> Project:
    """Every hook writes down that it ran."""
    project.query("create table said (id int generated always as identity, what text)")
    for name in ("before_migrate", "after_migrate"):
        project.write(f"{name}.sql", SAY.format(name))
    for name in ("before_each", "after_each"):
        project.write(f"{name}.sql", f"-- {name}\n{TOLD.format(name)}")
    project.write(
        "after_error.sql",
        "insert into said (what) values"
        " (concat_ws(' ', 'error', current_setting('sqlmigrate.version'), current_setting('sqlmigrate.error')));",
    )
    return project


def said(project: Project) -> list[str]:
    return [row[0] for row in project.query("select what from said order by id")]


def test_hooks_run_around_the_run_and_around_each_migration(talking: Project) -> None:
    talking.add(1, SAY.format("one"), "select 1;")
    talking.add(2, SAY.format("two"), "select 2;")
    talking.write("R__view.sql", SAY.format("view"))

    run = talking.migrator().migrate()

    assert said(talking) == [
        "before_migrate",
        "before_each v1.0.0-001",
        "one",
        "after_each v1.0.0-001",
        "before_each v1.0.0-002",
        "two",
        "after_each v1.0.0-002",
        "before_each R__view",
        "view",
        "after_each R__view",
        "after_migrate",
    ]
    assert [step.migration.id for step in run.steps] == ["v1.0.0-001", "v1.0.0-002", "R__view"]
    finished = [event.step.migration.id for event in talking.events if isinstance(event, Finished)]
    assert finished == ["before_migrate", "v1.0.0-001", "v1.0.0-002", "R__view", "after_migrate"]
    assert [row[0] for row in talking.query("select version from migrations order by version")] == [
        "R__view",
        "v1.0.0-001",
        "v1.0.0-002",
    ]
    assert talking.query("select version, outcome from migrations_log where action = 'hook' order by id") == [
        ("before_migrate", "success"),
        ("after_migrate", "success"),
    ]


def test_no_hook_runs_in_a_rollback_or_if_nothing_is_pending(talking: Project) -> None:
    talking.add(1, "select 1;", "select 1;")
    talking.migrator().migrate()
    before = said(talking)

    assert talking.migrator().migrate().steps == ()
    talking.migrator().rollback(steps=1)

    assert said(talking) == before


def test_hooks_run_once_around_a_script_of_several_segments(talking: Project) -> None:
    talking.query("create table t (a int)")
    talking.add(1, f"create index concurrently i on t (a);\n{SAY.format('inside')}\nvacuum t;", "drop index i;")
    talking.add(2, f"{SAY.format('start')}\nvacuum t;\nselect 1;", "select 1;")

    talking.migrator().migrate()

    assert said(talking)[1:-1] == [
        "before_each v1.0.0-001",
        "inside",
        "after_each v1.0.0-001",
        "before_each v1.0.0-002",
        "start",
        "after_each v1.0.0-002",
    ]


def test_a_setting_of_a_hook_lasts_only_for_its_migration(project: Project) -> None:
    project.query("create schema app")
    project.write("before_each.sql", "set search_path = app;\nset role none;")
    project.write("after_migrate.sql", "create table seen as select current_setting('search_path') as path;")
    project.add(1, "create table t (a int);")

    project.migrator().migrate()

    assert project.value("select to_regclass('app.t') is not null")
    assert "app" not in project.value("select path from seen")


def test_the_error_hook_knows_which_migration_failed(talking: Project) -> None:
    talking.add(1, SAY.format("one"))
    talking.add(2, "select 1 / 0;")

    with pytest.raises(MigrationFailed) as failed:
        talking.migrator().migrate()

    assert [step.migration.id for step in failed.value.done] == ["v1.0.0-001"]
    assert said(talking)[-1] == "error v1.0.0-002 v1.0.0-002 failed: division by zero"
    assert "after_migrate" not in said(talking)


@pytest.mark.parametrize("hook", ["before_migrate", "before_each", "after_each"])
def test_a_hook_that_fails_stops_the_migration_and_is_named_with_its_line(talking: Project, hook: str) -> None:
    talking.write(f"{hook}.sql", "select 1;\nselect 1 / 0;")
    talking.add(1, "create table t (a int);")

    with pytest.raises(MigrationFailed, match="division by zero") as failed:
        talking.migrator().migrate()

    assert str(failed.value.location).endswith(f"{hook}.sql:2:1")
    assert talking.value("select to_regclass('t') is null")
    assert talking.value("select count(*) from migrations_log where outcome = 'failure'") == 1
    talking.write(f"{hook}.sql", "select 1;")
    assert len(talking.migrator().migrate().steps) == 1


def test_a_failed_after_migrate_hook_leaves_the_migrations_applied(talking: Project) -> None:
    talking.write("after_migrate.sql", "select 1 / 0;")
    talking.add(1, "create table t (a int);")

    with pytest.raises(MigrationFailed, match="after_migrate failed") as failed:
        talking.migrator().migrate()

    assert [step.migration.id for step in failed.value.done] == ["v1.0.0-001"]
    assert talking.versions() == [("v1.0.0-001", True)]
    assert talking.migrator().check().up_to_date


def test_a_failed_error_hook_does_not_hide_the_first_error(talking: Project) -> None:
    talking.write("after_error.sql", "select nowhere;")
    talking.add(1, "select 1 / 0;")

    with pytest.raises(MigrationFailed, match="division by zero"):
        talking.migrator().migrate()

    warnings = [event.message for event in talking.events if isinstance(event, Warned)]
    assert any("after_error.sql failed: column" in message for message in warnings)
    assert talking.has_free_lock()


@pytest.mark.parametrize("text", ["vacuum;", "create index concurrently i on t (a);", "begin; select 1; commit;"])
def test_a_hook_that_cannot_run_in_the_transaction_is_refused(talking: Project, text: str) -> None:
    talking.write("before_each.sql", text)
    talking.add(1, "create table t (a int);")

    with pytest.raises(PlanRefused) as refused:
        talking.migrator().migrate()

    assert [problem.code for problem in refused.value.problems] == ["hook"]
    assert talking.value("select to_regclass('t') is null")


def test_hooks_around_the_run_may_contain_any_statement(talking: Project) -> None:
    talking.query("create table t (a int)")
    talking.write("after_migrate.sql", "vacuum (analyze) t;\ncopy t from stdin;\n1\n2\n\\.\n")
    talking.add(1, "select 1;")

    talking.migrator().migrate()

    assert talking.value("select sum(a) from t") == 3


def test_the_plan_lists_hooks_and_reports_duplicate_or_misplaced_ones(talking: Project) -> None:
    talking.add(1, "select 1;")
    talking.write("below/before_migrate.sql", "select 1;")

    plan = talking.migrator().plan()

    assert [step.migration.id for step in plan.steps] == ["before_migrate", "v1.0.0-001", "after_migrate"]
    assert [problem.code for problem in plan.errors] == ["misnamed"]


def test_hooks_run_again_after_a_lock_timeout(talking: Project) -> None:
    """The transaction is tried again with all that is in it, and what is recorded is one success."""
    talking.query("create table busy (a int)")
    talking.add(1, "alter table busy add column b int;")
    with psycopg.connect(talking.database) as other:
        other.execute("lock table busy in access share mode")
        running = talking.start("migrate", "--lock-timeout", "100ms")
        while not talking.backends("wait_event_type = 'Lock'"):
            pass
    _, told = running.communicate(timeout=LIMIT)
    assert running.returncode == 0, told
    assert said(talking)[1:-1] == ["before_each v1.0.0-001", "after_each v1.0.0-001"]


def test_a_rehearsal_runs_hooks_and_leaves_nothing(talking: Project) -> None:
    talking.add(1, "create table t (a int);")
    talking.migrator().rehearse()
    assert said(talking) == []

    talking.write("after_each.sql", "select 1 / 0;")
    failure = talking.migrator().rehearse().failure
    assert failure
    assert failure.message == "v1.0.0-001 would fail: division by zero"
    assert str(failure.location).endswith("after_each.sql:1:1")
