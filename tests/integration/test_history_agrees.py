"""What scripts and administrators do to the history tables: nothing is lost, and the error names the statement."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sqlmigrate import Version
from sqlmigrate.errors import HistoryError, MigrationFailed, RecordFailed
from sqlmigrate.events import Notice
from tests.project import Project

LOST = "the script deleted or changed rows of the history tables"
DROPPED = "the script dropped or altered a history table; --history-table can put it into another schema"


def contents(project: Project) -> list[object]:
    return [
        project.query("select version, success from migrations order by 1"),
        project.query("select version, outcome from migrations_log where outcome = 'success' order by id"),
    ]


def failure(project: Project) -> MigrationFailed:
    with pytest.raises(MigrationFailed) as caught:
        project.migrator().migrate()
    assert isinstance(caught.value.__cause__, RecordFailed)
    return caught.value


@pytest.fixture
def migrated(project: Project) -> Project:
    project.add(1, "create table t (a int)", "drop table t")
    project.migrator().migrate()
    return project


@pytest.mark.parametrize(
    "statement",
    [
        "truncate migrations",
        "TRUNCATE TABLE ONLY public.migrations, t",
        'delete from "migrations"',
        "truncate migrations_log",
        "delete from migrations_log",
        "truncate migrations_runs",
        "delete from public.migrations_runs",
        "update migrations set success = false",
    ],
)
def test_a_script_that_empties_a_history_table_fails_with_its_line(migrated: Project, statement: str) -> None:
    before = contents(migrated)
    migrated.add(2, f"create table u (a int);\n{statement};\nselect 1;")

    failed = failure(migrated)

    assert failed.message == f"v1.0.0-002 failed: {LOST}"
    assert failed.location is not None
    assert (failed.location.line, failed.location.text) == (2, f"{statement};")
    assert contents(migrated)[1] == before[1]
    assert migrated.value("select to_regclass('u') is null")


@pytest.mark.parametrize("statement", ["truncate migrations", "truncate migrations_log", "delete from migrations"])
@pytest.mark.parametrize("directive", ["", "-- sqlmigrate: transaction=off\n", "begin;commit;\n"])
def test_the_rows_of_the_same_run_are_not_lost_either(project: Project, statement: str, directive: str) -> None:
    project.add(1, "create table t (a int)")
    project.add(2, f"{directive}{statement};")
    project.add(3, "create table u (a int)")

    failed = failure(project)

    assert [step.migration.id for step in failed.done] == ["v1.0.0-001"]
    assert contents(project)[1] == [("v1.0.0-001", "success")]
    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", False)]


def test_a_down_script_that_empties_the_history_fails(migrated: Project) -> None:
    migrated.add(2, "select 1", "truncate migrations;")
    migrated.migrator().migrate()

    with pytest.raises(MigrationFailed, match=LOST):
        migrated.migrator().rollback(steps=1)

    assert migrated.versions() == [("v1.0.0-001", True), ("v1.0.0-002", True)]


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("drop table migrations", DROPPED),
        ("drop table migrations_log, migrations_runs", DROPPED),
        ("drop schema public cascade", DROPPED),
        ("alter table migrations rename to old", DROPPED),
        ("alter table migrations drop column error_msg", DROPPED),
        ("alter table migrations set schema other", DROPPED),
    ],
)
def test_a_script_that_drops_a_history_table_fails_with_its_line(migrated: Project, statement: str, hint: str) -> None:
    before = contents(migrated)
    migrated.query("create schema if not exists other")
    migrated.add(2, f"select 1;\n\n{statement};")

    failed = failure(migrated)

    assert failed.hint.startswith(hint)
    assert failed.location is not None
    assert (failed.location.line, failed.location.text) == (3, f"{statement};")
    assert contents(migrated)[1] == before[1]


@pytest.fixture
def role(project: Project) -> Iterator[str]:
    """The name of a role that may create objects in `public` and write to the history tables of another role."""
    role = f"runner_{project.value('select pg_backend_pid()')}"
    project.add(1, "create table t (a int)", "drop table t")
    project.migrator().migrate()
    project.query(f"create role {role} login", f"grant create on schema public to {role}")
    project.query(f"grant select, insert, update, delete on all tables in schema public to {role}")
    # The owner's function takes the privileges, as a script of a role without GRANT OPTION cannot.
    project.query(
        "create function become_owner(command text) returns void"
        " language plpgsql security definer as 'begin execute command; end'"
    )
    yield role
    project.query(f"drop owned by {role}", f"drop role {role}")


@pytest.mark.parametrize(
    "statement",
    [
        "revoke insert on migrations from {role}",
        "revoke all on migrations_log from {role}",
        "revoke select on all tables in schema public from {role}",
    ],
)
def test_a_script_that_takes_privileges_on_the_history_fails(project: Project, role: str, statement: str) -> None:
    project.add(2, f"create table u (a int);\nselect become_owner('{statement.format(role=role)}');")

    with pytest.raises(MigrationFailed) as caught:
        project.migrator(db_user=role).migrate()

    assert "permission denied" in caught.value.message
    assert caught.value.hint.startswith("the script took privileges on public.migrations from the role that migrates")
    assert project.value("select to_regclass('u') is null")


def test_a_script_that_revokes_the_privileges_of_its_own_role_fails_with_its_line(project: Project) -> None:
    """A superuser has every privilege, so the script first gives the tables to a role, and becomes it."""
    role = f"owner_{project.value('select pg_backend_pid()')}"
    project.query(f"create role {role} login", f"grant create on schema public to {role}")
    project.add(1, "select 1")
    project.migrator(db_user=role).migrate()
    project.add(2, f"create table u (a int);\nrevoke insert on migrations_log from {role};")
    try:
        with pytest.raises(MigrationFailed) as caught:
            project.migrator(db_user=role).migrate()
    finally:
        project.query(f"drop owned by {role} cascade", f"drop role {role}")

    assert caught.value.location is not None
    assert caught.value.location.text == f"revoke insert on migrations_log from {role};"


def behind(project: Project) -> None:
    """Leaves the database as logical replication does: with the rows, but with a sequence that starts again."""
    project.query("alter table migrations_log alter column id restart with 1")


def test_an_identity_column_behind_its_rows_is_restarted_and_reported(migrated: Project) -> None:
    behind(migrated)
    migrated.add(2, "create table u (a int)")

    migrated.migrator().migrate()

    assert migrated.query("select id, version from migrations_log order by id") == [
        (1, "v1.0.0-001"),
        (2, "v1.0.0-002"),
    ]
    warning = 'the identity column of "public"."migrations_log" was behind its rows, and continues after 1'
    assert Notice("WARNING", warning) in migrated.events


@pytest.mark.parametrize("command", ["rollback", "baseline", "repair", "cleanup"])
def test_each_command_that_writes_to_the_log_restarts_it(migrated: Project, command: str) -> None:
    migrated.add(2, "create table u (a int)")
    behind(migrated)
    migrator = migrated.migrator()
    if command == "rollback":
        migrator.rollback(steps=1)
    elif command == "baseline":
        migrator.baseline(Version(1, 0, 0, 2))
    elif command == "repair":
        migrated.query("update migrations set checksum = 'other'")
        migrator.repair()
    else:
        migrator.cleanup(keep_days=1)

    assert any(isinstance(event, Notice) and "behind its rows" in event.message for event in migrated.events)


def test_a_right_identity_column_is_left_alone(migrated: Project) -> None:
    migrated.query("alter table migrations_log alter column id restart with 100")
    migrated.add(2, "create table u (a int)")

    migrated.migrator().migrate()

    assert migrated.query("select max(id) >= 100 from migrations_log") == [(True,)]
    assert not any(isinstance(event, Notice) for event in migrated.events)


@pytest.mark.parametrize("grant", ["", "select", "usage"])
def test_a_role_that_cannot_restart_the_column_is_told_what_the_owner_runs(
    project: Project, role: str, grant: str
) -> None:
    behind(project)
    if grant:
        project.query(f"grant {grant} on all sequences in schema public to {role}")
    project.add(2, "create table u (a int)")

    with pytest.raises((HistoryError, MigrationFailed)) as caught:
        project.migrator(db_user=role).migrate()

    assert "RESTART WITH" in caught.value.hint
    assert project.value("select to_regclass('u') is null")


def test_the_restart_is_over_before_a_second_run_begins(migrated: Project) -> None:
    behind(migrated)
    migrated.add(2, "create table u (a int)")
    migrated.migrator().migrate()
    migrated.events.clear()
    migrated.add(3, "create table v (a int)")

    migrated.migrator().migrate()

    assert not any(isinstance(event, Notice) for event in migrated.events)


SUPPRESSES = "create function g() returns trigger language plpgsql as $$ begin return null; end $$;\n"
UNWRITTEN = "the script prevents sqlmigrate from writing to the history tables"


@pytest.mark.parametrize(
    "statement",
    [
        "create trigger g before insert on migrations for each row execute function g();",
        "create trigger g before insert or update on migrations for each row execute function g();",
        "create rule g as on insert to migrations do instead nothing;",
        "create trigger g before insert on migrations_log for each row execute function g();",
    ],
)
@pytest.mark.parametrize("cut", ["", "begin; select 1; commit;\n"])
def test_a_script_that_suppresses_its_own_record_fails_in_each_run(migrated: Project, statement: str, cut: str) -> None:
    migrated.add(2, f"{SUPPRESSES}{statement}\n{cut}")
    for _ in range(3):
        failed = failure(migrated)
        assert UNWRITTEN in failed.message or "rule" in failed.message
        is_partial = bool(cut) and "migrations_log" in statement  # a segment before the last one writes no entry
        assert migrated.value("select count(*) from pg_proc where proname = 'g'") == is_partial
        assert migrated.value("select success from migrations where version = 'v1.0.0-002'") is False


def test_a_down_script_that_suppresses_its_own_record_fails(migrated: Project) -> None:
    keeps = "create trigger g before delete on migrations for each row execute function g();"
    migrated.add(2, "select 1", f"{SUPPRESSES}{keeps}")
    migrated.migrator().migrate()

    with pytest.raises(MigrationFailed, match=UNWRITTEN):
        migrated.migrator().rollback(steps=1)

    assert migrated.versions() == [("v1.0.0-001", True), ("v1.0.0-002", True)]
