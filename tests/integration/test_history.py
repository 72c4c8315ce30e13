"""The history table and its log: ownership, formats, changes by operators, and the commands that write to them."""

from __future__ import annotations

import contextlib
import getpass
import json
import socket
import threading

import psycopg
import pytest
from psycopg import sql

from sqlmigrate import SqlMigrateError, Version
from sqlmigrate.errors import ConfigurationError, HistoryError, MigrationFailed, PlanRefused
from sqlmigrate.history.tables import FORMATS
from sqlmigrate.server.connection import connect
from sqlmigrate.server.lock import Lock
from sqlmigrate.sql.text import Sql
from tests.project import Project

BROKEN = "create table t5 (a int);\nselect 1 / 0;"


def add_series(project: Project, count: int) -> None:
    for number in range(1, count + 1):
        project.write(f"V2.0.0-{number:03d}__step_{number}.up.sql", f"create table t{number} (a int);")
        project.write(f"V2.0.0-{number:03d}__step_{number}.down.sql", f"drop table t{number};")


def states(project: Project, **settings: str) -> dict[str, str]:
    return {status.id: status.state.value for status in project.migrator(**settings).status()}


def codes(refused: pytest.ExceptionInfo[PlanRefused]) -> list[str]:
    return [problem.code for problem in refused.value.problems]


def log(project: Project) -> list[tuple[object, ...]]:
    return project.query("select action, version, outcome from migrations_log order by id")


def test_operators_find_the_newest_migration_by_their_usual_query(project: Project) -> None:
    add_series(project, 3)
    project.migrator().migrate()

    rows = project.query("SELECT version, name, success, error_msg FROM migrations ORDER BY executed_at DESC")

    assert rows == [(f"v2.0.0-{n:03d}", f"step_{n}", True, "") for n in (3, 2, 1)]


def test_an_operator_may_mark_a_failed_migration_as_applied(project: Project) -> None:
    add_series(project, 6)
    project.write("V2.0.0-005__step_5.up.sql", BROKEN)
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()

    project.query("UPDATE migrations SET success = true, error_msg = '' WHERE version = 'v2.0.0-005'")

    assert [step.migration.id for step in project.migrator().migrate().steps] == ["v2.0.0-006"]
    assert project.migrator().check().up_to_date
    assert project.value("select to_regclass('t5') is null")


def test_an_operator_may_delete_the_row_of_a_failed_migration(project: Project) -> None:
    add_series(project, 5)
    project.write("V2.0.0-005__step_5.up.sql", BROKEN)
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()

    project.query("DELETE FROM migrations WHERE version = 'v2.0.0-005' AND success = false")

    assert states(project)["v2.0.0-005"] == "pending"
    add_series(project, 5)
    assert len(project.migrator().migrate().steps) == 1


def test_a_row_that_an_operator_marks_as_failed_is_not_interpreted(project: Project) -> None:
    project.add(1, "create table t (a int);")
    project.migrator().migrate()
    project.query("update migrations set success = false")

    with pytest.raises(PlanRefused) as caught:
        project.migrator().migrate()

    (problem,) = caught.value.problems
    assert problem.code == "taken-for-failed"
    assert "DELETE … WHERE version = 'v1.0.0-001'" in problem.hint
    project.query("drop table t", "delete from migrations where version = 'v1.0.0-001'")
    assert len(project.migrator().migrate().steps) == 1


def test_a_row_shows_who_ran_what_and_when(project: Project) -> None:
    project.add(1, "-- Makes t, slowly.\nselect pg_sleep(0.05);\ncreate table t (a int);", name="make_t")
    project.add(2, "select 1;", name="no_comment")
    project.migrator().migrate()

    recent = "executed_at between now() - interval '1 min' and now()"
    fields = f"name, description, executed_by = session_user, {recent}, length(checksum)"
    assert project.query(f"select {fields} from migrations order by version") == [
        ("make_t", "Makes t, slowly.", True, True, 64),
        ("no_comment", "no comment", True, True, 64),
    ]
    assert project.query("select duration_ms between 50 and 5000 from migrations order by version") == [
        (True,),
        (False,),
    ]


@pytest.mark.parametrize(
    ("table", "schema", "name"),
    [
        ("other.done", "other", "done"),
        ('"a ""b""."."c""; drop"', 'a "b".', 'c"; drop'),
        ("größe.tafel", "größe", "tafel"),
        ("Upper.Case", "Upper", "Case"),
    ],
)
def test_the_history_table_may_be_in_any_schema(project: Project, table: str, schema: str, name: str) -> None:
    add_series(project, 2)

    project.migrator(history_table=table).migrate()

    found = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
    with psycopg.connect(project.database) as connection:
        assert connection.execute(found).fetchall() == [(2,)]
    assert states(project, history_table=table) == {"v2.0.0-001": "applied", "v2.0.0-002": "applied"}
    assert project.migrator(history_table=table).migrate().steps == ()
    assert project.value("select to_regclass('public.migrations') is null")


def test_two_history_tables_are_independent(project: Project) -> None:
    add_series(project, 1)
    project.migrator(history_table="a.m").migrate()
    project.query("drop table t1")

    assert len(project.migrator(history_table="b.m").migrate().steps) == 1


@pytest.mark.parametrize("table", [".x", "x.", "", "a" * 60])
def test_an_invalid_table_name_is_refused(project: Project, table: str) -> None:
    with pytest.raises(ConfigurationError, match="not a table name") as refused:
        project.migrator(history_table=table)

    assert "--history-table schema.name" in refused.value.hint


def test_a_quote_in_the_name_injects_nothing(project: Project) -> None:
    add_series(project, 1)
    project.query("create table victim (a int)")

    project.migrator(history_table="x\"; drop table victim; --.y'; drop table victim; --").migrate()

    assert project.value("select to_regclass('victim') is not null")


def test_quotes_in_files_inject_nothing(project: Project) -> None:
    project.query("create table victim (a int)")
    project.add(1, "-- it's '); drop table victim; -- \\\nselect 1;", name="it's $1 %s \\'; drop table victim; --")

    project.migrator().migrate()

    assert project.value("select to_regclass('victim') is not null")
    assert project.value("select name from migrations") == "it's $1 %s \\'; drop table victim; --"
    assert project.value("select description from migrations") == "it's '); drop table victim; -- \\"


@pytest.mark.parametrize(
    "made", ["create table migrations (version bigint, dirty boolean)", "create view migrations as select 1 as version"]
)
def test_a_table_of_another_program_is_not_changed(project: Project, made: str) -> None:
    add_series(project, 1)
    project.query(made)

    with pytest.raises(HistoryError, match="is not a history table of sqlmigrate") as refused:
        project.migrator().migrate()

    assert "--history-table schema.name" in refused.value.hint
    assert project.value("select to_regclass('t1') is null")
    assert project.migrator(history_table="mine.migrations").migrate().steps


def test_a_newer_format_is_refused(project: Project) -> None:
    add_series(project, 1)
    project.migrator().migrate()
    project.query("comment on table migrations is 'What sqlmigrate has applied, one row a migration. Format 99.'")

    supported = f"has format 99, this version of sqlmigrate supports up to {len(FORMATS)}"
    with pytest.raises(HistoryError, match=supported) as refused:
        project.migrator().check()

    assert refused.value.hint == "use a newer version of sqlmigrate"


def test_the_first_format_is_upgraded_even_if_nothing_is_pending(project: Project) -> None:
    add_series(project, 1)
    project.migrator().migrate()
    project.query("drop table migrations_runs, migrations_totals")
    project.query("comment on table migrations is 'What sqlmigrate has applied, one row a migration. Format 1.'")

    assert project.migrator().check().up_to_date
    assert project.migrator().migrate().steps == ()

    assert project.value("select count(*) from migrations_runs") == 0


def test_a_table_without_a_comment_has_the_first_format(project: Project) -> None:
    add_series(project, 1)
    project.migrator().migrate()
    project.query("comment on table migrations is null")

    assert project.migrator().check().up_to_date
    assert project.migrator().migrate().steps == ()
    assert project.value("select obj_description('migrations'::regclass)").endswith(f"Format {len(FORMATS)}.")


@pytest.mark.parametrize("table", ["migrations_log", "migrations_runs", "migrations_totals"])
@pytest.mark.parametrize("pending", ["", "create table t2 (a int);"])
def test_a_dropped_table_is_created_again_and_the_state_is_kept(project: Project, table: str, pending: str) -> None:
    project.add(1, "create table t (a int);")
    project.migrator().migrate()
    project.query(f"drop table {table}")
    if pending:
        project.add(2, pending)
    assert project.cli("check").returncode == (3 if pending else 0)

    assert project.cli("migrate").returncode == 0

    assert len(project.versions()) == (2 if pending else 1)
    assert project.value(f"select to_regclass('{table}') is not null")
    assert all(
        project.cli(*command.split()).returncode == 0 for command in ("history", "metrics", "cleanup --keep-days 1")
    )


def test_an_old_format_is_upgraded_to_the_newest(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    add_series(project, 2)
    project.migrator().migrate(Version(2, 0, 0, 1))
    monkeypatch.setattr(
        "sqlmigrate.history.history.FORMATS", (*FORMATS, "alter table {history} add column extra text default 'x';")
    )
    assert states(project) == {"v2.0.0-001": "applied", "v2.0.0-002": "pending"}

    project.migrator().migrate()

    assert project.query("select version, extra from migrations order by 1") == [
        ("v2.0.0-001", "x"),
        ("v2.0.0-002", "x"),
    ]
    assert project.value("select obj_description('migrations'::regclass)").endswith(f"Format {len(FORMATS) + 1}.")


def test_tables_of_format_2_are_read_as_they_are_and_get_a_column(project: Project) -> None:
    add_series(project, 2)
    project.migrator().migrate(Version(2, 0, 0, 1))
    project.query("alter table migrations drop column begun_state, drop column session")
    project.query("comment on table migrations is 'What sqlmigrate has applied, one row a migration. Format 2.'")
    assert states(project) == {"v2.0.0-001": "applied", "v2.0.0-002": "pending"}
    assert project.cli("history").returncode == project.cli("info", "v2.0.0-001").returncode == 0

    project.migrator().migrate()

    assert project.query("select version, begun_state from migrations order by 1") == [
        ("v2.0.0-001", ""),
        ("v2.0.0-002", ""),
    ]


def test_a_new_database_gets_all_formats_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    add_series(project, 1)
    monkeypatch.setattr(
        "sqlmigrate.history.history.FORMATS", (*FORMATS, "alter table {history} add column extra text default 'x';")
    )

    project.migrator().migrate()

    assert project.value("select extra from migrations") == "x"


def test_the_log_shows_who_did_what_and_how_it_ended(project: Project) -> None:
    add_series(project, 2)
    project.migrator().migrate(Version(2, 0, 0, 1))
    project.migrator().rollback(steps=1)
    project.write("V2.0.0-002__step_2.up.sql", BROKEN)
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()

    assert log(project) == [
        ("apply", "v2.0.0-001", "success"),
        ("rollback", "v2.0.0-001", "success"),
        ("apply", "v2.0.0-001", "success"),
        ("apply", "v2.0.0-002", "failure"),
    ]
    who = (
        "count(distinct run_id), min(os_user), min(host), bool_and(db_user = session_user),"
        " bool_and(backend_pid > 0), min(tool_version)"
    )
    assert project.query(f"select {who} from migrations_log") == [
        (3, getpass.getuser(), socket.gethostname(), True, True, "0.1.0")
    ]
    assert project.value("select bool_and(logged_at > now() - interval '1 min') from migrations_log")
    assert project.versions() == [("v2.0.0-001", True), ("v2.0.0-002", False)]


def test_the_log_is_append_only(project: Project) -> None:
    add_series(project, 2)
    project.migrator().migrate()
    first = project.query("select * from migrations_log order by id")

    project.migrator().rollback(steps=2)
    project.migrator().migrate()

    assert project.query("select * from migrations_log order by id")[:2] == first
    assert project.value("select count(*) from migrations_log") == 6


def test_a_baseline_marks_migrations_without_running_them(project: Project) -> None:
    add_series(project, 4)

    project.migrator().baseline(Version(2, 0, 0, 3))

    assert project.query("select version, action, success from migrations order by 1") == [
        (f"v2.0.0-00{n}", "baseline", True) for n in (1, 2, 3)
    ]
    assert project.value("select to_regclass('t1') is null")
    assert [row[0] for row in log(project)] == ["baseline"] * 3
    assert [step.migration.id for step in project.migrator().migrate().steps] == ["v2.0.0-004"]


def test_a_second_baseline_marks_nothing(project: Project) -> None:
    add_series(project, 2)
    project.migrator().baseline(Version(2, 0, 0, 2))

    assert project.migrator().baseline(Version(2, 0, 0, 2)).steps == ()
    assert project.migrator().baseline(Version(2, 0, 0, 1)).steps == ()
    assert len(project.versions()) == 2


def test_a_baseline_of_a_version_without_a_file_is_refused(project: Project) -> None:
    add_series(project, 1)

    with pytest.raises(PlanRefused) as refused:
        project.migrator().baseline(Version(9, 0, 0, 1))

    assert codes(refused) == ["unknown-version"]


def test_a_changed_file_stops_the_run_until_it_is_repaired(project: Project) -> None:
    add_series(project, 2)
    project.migrator().migrate(Version(2, 0, 0, 1))
    path = project.write("V2.0.0-001__step_1.up.sql", "create table t1 (a int); -- better")

    with pytest.raises(PlanRefused) as refused:
        project.migrator().migrate()

    assert codes(refused) == ["changed"]
    assert str(refused.value.problems[0].location) == str(path)
    assert states(project)["v2.0.0-001"] == "changed"
    assert [repair.what for repair in project.migrator().plan_repair()] == ["update the checksum to that of the file"]
    project.migrator().repair()
    assert log(project)[-1] == ("repair", "v2.0.0-001", "success")
    assert len(project.migrator().migrate().steps) == 1


def test_line_endings_and_a_bom_do_not_change_the_checksum(project: Project) -> None:
    project.add(1, "select 1;\nselect 2;\n")
    project.migrator().migrate()

    project.add(1, b"\xef\xbb\xbfselect 1;\r\nselect 2;\r\n")

    assert project.migrator().check().up_to_date


def test_a_missing_file_stops_the_run_until_it_is_repaired(project: Project) -> None:
    add_series(project, 3)
    project.migrator().migrate(Version(2, 0, 0, 2))
    (project.directory / "V2.0.0-001__step_1.up.sql").unlink()
    (project.directory / "V2.0.0-001__step_1.down.sql").unlink()

    with pytest.raises(PlanRefused) as refused:
        project.migrator().migrate()

    assert codes(refused) == ["missing"]
    project.migrator().repair(Version(2, 0, 0, 1))
    assert project.migrator().plan_repair() == []
    assert len(project.migrator().migrate().steps) == 1
    assert project.migrator().check().up_to_date


def test_a_failed_migration_whose_file_was_deleted_stops_nothing(project: Project) -> None:
    project.add(1, "create table a (id int);")
    deleted = project.add(2, "create table b (id int);\nselect 1 / 0;")
    assert project.cli("migrate").returncode == 1
    deleted.unlink()
    project.add(3, "create table c (id int);")

    assert [migration.id for migration in project.migrator().check().pending] == ["v1.0.0-003"]
    assert project.cli("migrate").returncode == 0
    assert project.cli("check").returncode == 0
    validated = project.cli("validate")
    assert (validated.returncode, "v1.0.0-002 failed, and its file does not exist [failed]" in validated.stdout) == (
        0,
        True,
    )
    assert "→ run `sqlmigrate repair` to delete its row" in validated.stdout
    assert project.cli("repair", "--yes").returncode == 0
    assert "v1.0.0-002" not in project.cli("validate").stdout


def test_a_partial_migration_whose_file_was_deleted_stops_the_run_until_its_row_is_gone(project: Project) -> None:
    project.add(1, "create table a (id int);")
    deleted = project.add(2, "create table b (id int);\nvacuum b;\nselect 1 / 0;")
    assert project.cli("migrate").returncode == 1
    deleted.unlink()

    for command in ("migrate", "check", "validate"):
        ran = project.cli(command)
        assert ran.returncode == (3 if command == "check" else 1), command
        assert "v1.0.0-002 is partially applied, but its file does not exist" in ran.stdout + ran.stderr
    assert "nothing to repair" in project.cli("repair", "--yes").stdout
    project.query("drop table b", "delete from migrations where version = 'v1.0.0-002'")
    assert project.cli("migrate").returncode == 0


def test_a_failed_row_is_removed_by_repair(project: Project) -> None:
    project.add(1, "select 1 / 0;")
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()

    assert [repair.what for repair in project.migrator().repair()] == ["delete the row of the failed run"]

    assert project.versions() == []
    assert log(project)[-1] == ("repair", "v1.0.0-001", "success")
    assert project.migrator().repair() == []


def test_a_version_newer_than_the_files_is_a_warning(project: Project) -> None:
    add_series(project, 3)
    project.migrator().migrate()
    for path in project.directory.glob("V2.0.0-003*"):
        path.unlink()

    run = project.migrator().migrate()

    assert [(problem.code, problem.level.value) for problem in run.warnings] == [("newer", "warning")]
    assert project.migrator().check().up_to_date


def test_an_out_of_order_migration_is_applied_on_request(project: Project) -> None:
    add_series(project, 3)
    project.migrator().migrate()
    project.write("V1.9.0-001__late.up.sql", "create table late (a int);")

    with pytest.raises(PlanRefused) as refused:
        project.migrator().migrate()

    assert codes(refused) == ["out-of-order"]
    assert states(project)["v1.9.0-001"] == "out of order"
    assert len(project.migrator().migrate(out_of_order=True).steps) == 1
    assert project.migrator().check().up_to_date


def test_a_repeatable_migration_runs_last_and_again_after_a_change(project: Project) -> None:
    add_series(project, 1)
    project.write("R__b.sql", "create or replace view b as select count(*) as n from t1;")
    project.write("R__a.sql", "create or replace view a as select 1 as n;")
    assert [step.migration.id for step in project.migrator().migrate().steps] == ["v2.0.0-001", "R__a", "R__b"]
    assert project.migrator().migrate().steps == ()

    project.write("R__a.sql", "create or replace view a as select 2 as n;")
    assert [step.migration.id for step in project.migrator().migrate().steps] == ["R__a"]

    assert project.value("select n from a") == 2
    assert project.migrator().check().up_to_date
    assert project.migrator().validate() == []


def test_a_failed_repeatable_migration_runs_again(project: Project) -> None:
    project.write("R__a.sql", "create or replace view a as select 1 as n;")
    project.migrator().migrate()
    project.write("R__a.sql", "create or replace view a as select nowhere;")
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()
    assert project.query("select success from migrations") == [(False,)]

    project.write("R__a.sql", "create or replace view a as select 1 as n;")
    assert len(project.migrator().migrate().steps) == 1
    assert project.query("select success from migrations") == [(True,)]


def test_a_role_can_migrate_without_the_privilege_to_create_tables(project: Project) -> None:
    """The tables exist, and the role has only USAGE on their schema."""
    add_series(project, 1)
    project.migrator(history_table="admin.migrations").migrate()
    role = f"runner_{project.value('select pg_backend_pid()')}"
    project.query(
        f"create role {role} login",
        f"grant create on schema public to {role}",
        f"grant usage on schema admin to {role}",
    )
    project.query(f"grant select, insert, update, delete on all tables in schema admin to {role}")
    add_series(project, 2)
    try:
        settings = {"db_user": role, "history_table": "admin.migrations"}
        assert len(project.migrator(**settings).migrate().steps) == 1
        assert project.query("select executed_by from admin.migrations order by version")[-1] == (role,)
        project.migrator(**settings).rollback(steps=1)
    finally:
        project.query(f"drop owned by {role}", f"drop role {role}")


def test_a_role_that_does_not_own_the_tables_cannot_upgrade_them(project: Project) -> None:
    add_series(project, 2)
    project.migrator().migrate(Version(2, 0, 0, 1))
    role = f"writer_{project.value('select pg_backend_pid()')}"
    project.query("alter table migrations drop column begun_state")
    project.query("comment on table migrations is 'What sqlmigrate has applied, one row a migration. Format 2.'")
    project.query(f"create role {role} login", f"grant all on all tables in schema public to {role}")
    try:
        with pytest.raises(HistoryError, match="must be owner of table migrations") as refused:
            project.migrator(db_user=role).migrate()
    finally:
        project.query(f"drop owned by {role}", f"drop role {role}")

    assert refused.value.hint == "let the owner of the tables run `sqlmigrate migrate` once"


def test_a_role_without_create_privilege_gets_a_hint(project: Project) -> None:
    add_series(project, 1)
    role = f"reader_{project.value('select pg_backend_pid()')}"
    project.query(f"create role {role} login", "revoke create on schema public from public")
    try:
        with pytest.raises(SqlMigrateError, match="could not create history table") as refused:
            project.migrator(db_user=role).migrate()
    finally:
        project.query(f"drop role {role}")

    assert isinstance(refused.value, HistoryError)
    assert f"run GRANT CREATE ON SCHEMA public TO {role}, or choose another table" in refused.value.hint


@pytest.mark.parametrize("command", ["status", "check", "validate", "info", "plan", "plan_repair", "lock_holder"])
def test_a_command_that_only_reads_creates_nothing(project: Project, command: str) -> None:
    add_series(project, 1)

    getattr(project.migrator(), command)()

    assert project.value("select to_regclass('migrations') is null")


def test_migrate_stops_at_the_target(project: Project) -> None:
    add_series(project, 3)
    project.write("R__a.sql", "select 1;")

    project.migrator().migrate(Version(2, 0, 0, 2))

    assert project.versions() == [("v2.0.0-001", True), ("v2.0.0-002", True)]


def test_rollback_returns_to_a_version(project: Project) -> None:
    add_series(project, 4)
    project.migrator().migrate()

    steps = project.migrator().rollback(to=Version(2, 0, 0, 2)).steps

    assert [step.migration.id for step in steps] == ["v2.0.0-004", "v2.0.0-003"]
    assert project.versions() == [("v2.0.0-001", True), ("v2.0.0-002", True)]
    assert project.value("select to_regclass('t3') is null")


def test_a_migration_without_a_down_file_is_not_rolled_back(project: Project) -> None:
    project.add(1, "create table t1 (a int);", "drop table t1;")
    project.add(2, "create table t2 (a int);")
    project.migrator().migrate()

    with pytest.raises(PlanRefused) as refused:
        project.migrator().rollback(steps=2)

    assert codes(refused) == ["no-down"]
    assert project.value("select to_regclass('t2') is not null")


def test_rows_read_under_the_lock_are_not_older_than_the_lock(project: Project) -> None:
    """With `repeatable read` as the default, the snapshot would be as old as the start of the message."""
    name = project.value("select current_database()")
    project.query("create table t (a int)", f"alter database {name} set default_transaction_isolation = 'serializable'")
    connection = connect(project.database, "a test")
    meanwhile = threading.Timer(0.5, lambda: project.query("insert into t values (1)"))
    meanwhile.start()
    with contextlib.closing(connection):
        answers = Lock(connection, 1).acquire(0, print, Sql("select pg_sleep(1);", 1), "select a from t")
    meanwhile.join()
    assert answers == [[(1,)]]


def test_a_repair_on_trial_shows_what_it_would_change_and_changes_nothing(project: Project) -> None:
    project.add(1, "create table a ()")
    project.add(2, "select 1")
    project.cli("migrate")
    project.add(1, "create table a (); -- better")
    (project.directory / "V1.0.0-002__step.up.sql").unlink()
    before = project.query("select * from migrations"), log(project)

    for arguments in (("--dry-run",), ("--dry-run", "--yes"), ("--dry-run", "--quiet")):
        run = project.cli("repair", *arguments)
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.splitlines() == [
            "  v1.0.0-001: update the checksum to that of the file",
            "  v1.0.0-002: mark the file as removed",
        ]
    one = json.loads(project.cli("repair", "--dry-run", "--version", "v1.0.0-002", "--format", "json").stdout)

    assert [repair["version"] for repair in one["repairs"]] == ["v1.0.0-002"]
    assert (project.query("select * from migrations"), log(project)) == before
    assert project.cli("repair", SQLMIGRATE_DRY_RUN="true").returncode == 0
    assert (project.query("select * from migrations"), log(project)) == before
