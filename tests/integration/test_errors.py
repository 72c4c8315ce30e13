"""Where it went wrong: file, line and column, what the server said, what was done before and what a rerun does."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from sqlmigrate.errors import MigrationFailed, PlanRefused, StatementFailed
from sqlmigrate.events import Said
from tests.project import Project


class Wrong(NamedTuple):
    """A script, the place of the fault in it, what is said, and the server's further words."""

    content: str | bytes
    place: str
    message: str
    detail: str = ""
    hint: str = ""
    context: str = ""
    text: str | None = None


WRONG = {
    "a syntax error": Wrong(
        "select 1;\n\n  creat table t ();\n", "3:3", 'syntax error at or near "creat"', text="  creat table t ();"
    ),
    "a syntax error at the end": Wrong("select 1;\nselect (", "2:9", "syntax error at"),
    "a table that is not there": Wrong(
        "select 1;\nselect *\n  from nowhere;", "3:8", 'relation "nowhere" does not exist'
    ),
    "a column that is not there": Wrong(
        "create table t (size int);\nselect sise from t;",
        "2:8",
        'column "sise" does not exist',
        hint='reference the column "t.size"',
    ),
    "a function that is not there": Wrong(
        "select 1, f(2);", "1:11", "function f(integer) does not exist", hint=" match"
    ),
    "division by zero in the third statement": Wrong(
        "select 1; select 2;\n -- x\n  select 1 / 0; select 4;", "3:3", "division by zero"
    ),
    "a unique violation": Wrong(
        "create table t (a int primary key);\ninsert into t values (1);\n/* x */ insert into t values (1);\n",
        "3:9",
        "duplicate key value violates",
        detail="Key (a)=(1) already exists.",
    ),
    "a fault within a function": Wrong(
        "create function f() returns int language plpgsql as $$\nbegin\n  return 1 / 0;\nend $$;\n"
        "select 1;\nselect f();\n",
        "6:1",
        "division by zero",
        context="PL/pgSQL function f() line 3 at RETURN",
    ),
    "a syntax error within a function": Wrong(
        "select 1;\ncreate function f() returns int language plpgsql as $$\nbegin\n  retur 1;\nend $$;\n",
        "4:3",
        'syntax error at or near "retur"',
    ),
    "a syntax error within a function in SQL": Wrong(
        "select 1;\ncreate function f() returns int language sql as $$\n  selec 1;\n$$;\n",
        "3:3",
        'syntax error at or near "selec"',
    ),
    "a DO block": Wrong(
        "select 1;\ndo $$ begin\n  perform 1;\n  insert into nowhere values (1);\nend $$;\n",
        "2:1",
        'relation "nowhere" does not exist',
        context="inline_code_block line 3 at SQL statement",
    ),
    "a DO block that raises": Wrong(
        "do $$ begin raise 'no % here', 1 using detail = 'because', hint = 'do that', errcode = 'P0042'; end $$;",
        "1:1",
        "no 1 here",
        detail="because",
        hint="do that",
    ),
    "COPY data": Wrong(
        "create table t (a int);\nselect 1;\ncopy t from stdin;\n1\n2\nx\n4\n\\.\nselect 2;\n",
        "6:1",
        'invalid input syntax for type integer: "x"',
        context="COPY t, line 3, column a",
    ),
    "COPY data with a column too many": Wrong(
        "create table t (a int);\ncopy t from stdin;\n1\t2\n\\.\n",
        "3:1",
        "extra data after last expected column",
        context="COPY t, line 1",
    ),
    "a second COPY": Wrong(
        "create table t (a int);\ncopy t from stdin;\n1\n\\.\n copy t from stdin;\ny\n\\.\n",
        "6:1",
        'invalid input syntax for type integer: "y"',
    ),
    "COPY data in a table with a comma in its name": Wrong(
        'create table "a, 1: b" (c int);\ncopy "a, 1: b" from stdin;\n1\nx, line 9\n\\.\n',
        "4:1",
        'invalid input syntax for type integer: "x, line 9"',
    ),
    "CSV with a header and a record of two lines": Wrong(
        'create table t (a int, b text);\ncopy t from stdin (format csv, header);\na,b\n1,"x\ny"\nz,1\n\\.\n',
        "6:1",
        'invalid input syntax for type integer: "z"',
    ),
    "COPY data that a trigger rejects": Wrong(
        "create table t (a int);\ncreate function f() returns trigger language plpgsql as $$ begin\n"
        "  raise exception 'no %', new.a;\nend $$;\n"
        "create trigger g before insert on t for each row execute function f();\n"
        "copy t from stdin;\n1\n\\.\n",
        "7:1",
        "no 1",
    ),
    "a COPY into nowhere": Wrong(
        "select 1;\ncopy nowhere from stdin;\n1\n\\.\n", "2:1", 'relation "nowhere" does not exist'
    ),
    "characters beyond ASCII before it": Wrong(
        "select 'größe 🐘', 'ß'; select 'ж', nowhere;", "1:36", 'column "nowhere" does not exist'
    ),
    "lines beyond ASCII before it": Wrong(
        "-- größe 🐘\n/* ж */ select 'ж',\n 'é' , nowhere;", "3:8", 'column "nowhere" does not exist'
    ),
    "CRLF": Wrong(
        b"select 1;\r\n\r\nselect 2,\r\n  nowhere;\r\n", "4:3", 'column "nowhere" does not exist', text="  nowhere;"
    ),
    "a BOM": Wrong(b"\xef\xbb\xbfselect nowhere;", "1:8", 'column "nowhere" does not exist', text="select nowhere;"),
    "statement_timeout": Wrong(
        "-- sqlmigrate: statement-timeout=50ms\nselect 1;\nselect pg_sleep(5);\n", "3:1", "statement timeout"
    ),
    "statement_timeout of its own": Wrong(
        "set local statement_timeout = '50ms';\n select pg_sleep(5);\n", "2:2", "statement timeout"
    ),
    "the last statement without a semicolon": Wrong("select 1;\nselect 1 / 0", "2:1", "division by zero"),
    "behind a psql command": Wrong("select 1;\n\\echo x\nselect 1;\nselect 1 / 0;\n", "4:1", "division by zero"),
    "a psql command before a misspelt word": Wrong("\\echo x\nselect 1;\n  selec 1;\n", "3:3", "syntax error"),
    "in a block of its own": Wrong("-- x\nbegin;\nselect 1;\nselect 1 / 0;\ncommit;\n", "4:1", "division by zero"),
    "in a second block": Wrong(
        "begin;\nselect 1;\ncommit;\nbegin;\nselect 1;\n  select 1 / 0;\ncommit;\n", "6:3", "division by zero"
    ),
    "in a statement of its own": Wrong(
        "create table t (a int);\n create index concurrently on t (b);", "2:2", 'column "b" does not exist'
    ),
    "behind a statement of its own": Wrong(
        "create table t (a int);\nvacuum t;\nselect 1;\n select 1 / 0;", "4:2", "division by zero"
    ),
    "in a unique index built CONCURRENTLY": Wrong(
        "create table t (a int); insert into t values (1), (1);\ncreate unique index concurrently t_a on t (a);\n",
        "2:1",
        "could not create unique index",
        detail="Key (a)=(1) is duplicated.",
    ),
    "strings the old way": Wrong(
        "set standard_conforming_strings = off;\nselect 'it\\'s;';\n  select nowhere;\n",
        "3:10",
        'column "nowhere" does not exist',
    ),
    "a statement that a rule doubles": Wrong(
        "create table t (a int); create table u (a int);\n"
        "create rule r as on insert to t do also (insert into u values (new.a); select 1);\n"
        "insert into t values (1);\nselect 1;\n select 1 / 0;\n",
        "5:2",
        "division by zero",
    ),
    "a statement that a rule takes away": Wrong(
        "create table t (a int);\ncreate rule r as on insert to t do instead nothing;\n"
        "insert into t values (1);\nselect 1;\n select 1 / 0;\n",
        "5:2",
        "division by zero",
    ),
    "behind a long statement": Wrong(
        f"select '{'x' * 300_000}';\nselect 1;\n select 1 / 0;\n", "3:2", "division by zero"
    ),
    "a name misspelt behind a long statement": Wrong(
        f"select '{'ж' * 300_000}';\nselect 1;\n select nowhere;\n", "3:9", '"nowhere" does not exist'
    ),
}


def failed(project: Project) -> MigrationFailed:
    with pytest.raises(MigrationFailed) as error:
        project.migrator(lock_retries=0).migrate()
    return error.value


@pytest.mark.parametrize("name", WRONG)
def test_an_error_reports_its_location(project: Project, name: str) -> None:
    wrong = WRONG[name]
    project.add(1, "create table before (a int);")
    path = project.add(2, wrong.content)
    project.add(3, "create table behind (a int);")

    error = failed(project)

    assert str(error.location) == f"{path}:{wrong.place}"
    assert wrong.message in error.message
    cause = error.__cause__
    assert isinstance(cause, StatementFailed)
    assert wrong.detail in cause.report.detail
    assert wrong.hint in cause.report.hint
    assert wrong.context in cause.report.context
    assert error.location is not None
    assert error.location.text == wrong.text or wrong.text is None
    assert [step.migration.id for step in error.done] == ["v1.0.0-001"]
    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", False)]
    assert project.value("select to_regclass('behind') is null")


@pytest.mark.parametrize(
    "sql", ["select 1;\ncreate table a (id int\n", "create table a (id int", "create table a (id int -- the key\n"]
)
def test_a_statement_that_the_end_of_the_file_cuts_off_is_said_to_be_incomplete(project: Project, sql: str) -> None:
    project.add(1, sql)

    assert failed(project).hint.startswith("the file ends before the statement is complete")


@pytest.mark.parametrize("sql", ["create table a (id int;\n", "create table a (id inte ger);"])
def test_another_syntax_error_is_not_said_to_be_at_the_end_of_the_file(project: Project, sql: str) -> None:
    project.add(1, sql)

    assert "the file ends" not in failed(project).hint


@pytest.mark.parametrize(
    "sql",
    [
        "create table there (a int);",
        "alter table there add column a int;",
        "create schema there;",
        "create type mood as enum ();",
        "create function f() returns int language sql as 'select 1';",
        "create index there_a on there (a);",
        "alter table there add constraint positive check (a > 0);",
    ],
)
def test_a_migration_of_what_the_database_already_contains_proposes_the_baseline(project: Project, sql: str) -> None:
    project.query(
        "create table there (a int constraint positive check (a > 0)); create index there_a on there (a); "
        "create schema there; create type mood as enum (); create function f() returns int language sql as 'select 1'"
    )
    project.add(1, sql, "select 1;")

    assert "sqlmigrate baseline --version v1.0.0-001" in failed(project).hint
    assert project.cli("baseline", "--version", "v1.0.0-001").returncode == 0
    project.query("create table gone (a int)")
    project.write("V1.0.0-001__step.down.sql", "create table gone (a int);")
    rollback = project.cli("rollback", "--steps", "1", "--yes")
    assert (rollback.returncode, "baseline" in rollback.stderr) == (1, False)


def test_no_baseline_is_proposed_for_a_migration_of_which_a_part_is_committed(project: Project) -> None:
    project.query("create table there (a int)")
    project.add(1, "begin; create table first (a int); commit; create table there (a int);")

    assert "baseline" not in failed(project).hint


DEFERRED = (
    "create table a (id int primary key);\n"
    "create table b (a int references a deferrable initially deferred);\n{}insert into b values (1);\n{}"
)


@pytest.mark.parametrize(("begin", "commit"), [("", ""), ("begin;\n", "select 1;\ncommit;\n")])
def test_a_deferred_constraint_fails_at_the_end_of_its_migration(project: Project, begin: str, commit: str) -> None:
    path = project.add(1, DEFERRED.format(begin, commit))
    project.add(2, "select 1;")

    error = failed(project)

    assert "violates foreign key constraint" in error.message
    assert str(error.location).startswith(str(path))
    assert isinstance(error.__cause__, StatementFailed)
    assert 'Key (a)=(1) is not present in table "a".' in error.__cause__.report.detail
    assert [success for _, success in project.versions()] == [False]


@pytest.mark.parametrize(
    "content", ["select 1;\n  selec 5;", "select 1;\n  select nowhere;", "select 1;\n  select 1 / 0;"]
)
@pytest.mark.parametrize("number", [1, 5, 8, 10])
def test_migrations_before_the_failed_one_in_a_message_are_applied(project: Project, number: int, content: str) -> None:
    for other in range(1, 11):
        project.add(other, f"create table t{other} (a int);")
    path = project.add(number, content)

    error = failed(project)

    assert str(error.location).startswith(f"{path}:2:")
    assert [step.migration.version[3] for step in error.done if step.migration.version] == list(range(1, number))
    assert [success for _, success in project.versions()] == [True] * (number - 1) + [False]
    assert project.value("select count(*) from pg_class where relname ~ '^t[0-9]+$'") == number - 1

    project.add(number, "select 1;")
    assert len(project.migrator().migrate().steps) == 11 - number


def test_two_errors_are_reported_in_order(project: Project) -> None:
    project.add(1, "select 1;")
    first = project.add(2, "select 1 / 0;")
    second = project.add(3, "selec;")

    assert str(failed(project).location) == f"{first}:1:1"
    project.add(2, "select 1;")
    assert str(failed(project).location) == f"{second}:1:1"


def test_a_batch_of_several_messages_reports_the_failed_migration(project: Project) -> None:
    """A transaction that an earlier message opened is rolled back before those ahead of the fault run again."""
    for number in range(1, 131):
        project.add(number, f"create table t{number} (a int);\nselect '{'x' * 15_000}';")
    path = project.add(118, "select 1;\n selec 2;")

    error = failed(project)

    assert str(error.location) == f"{path}:2:2"
    assert [success for _, success in project.versions()] == [True] * 117 + [False]


def test_a_failed_rollback_says_that_the_migration_is_still_applied(project: Project) -> None:
    project.add(1, "create table t (a int);", down="drop table t;\nselect 1 / 0;")
    project.migrator().migrate()

    with pytest.raises(MigrationFailed) as failed:
        project.migrator().rollback(steps=1)

    assert failed.value.message == "rollback of v1.0.0-001 failed: division by zero"
    assert failed.value.hint == "the rollback was undone completely: v1.0.0-001 is still applied"
    assert project.versions() == [("v1.0.0-001", True)]


def test_a_rollback_that_loses_its_connection_is_not_to_be_repeated_unseen(project: Project) -> None:
    """A second `--steps 1` would roll back one more migration, if the first one is committed."""
    project.add(1, "create table t (a int);", down="drop table t;\nselect pg_terminate_backend(pg_backend_pid());")
    project.migrator().migrate()

    with pytest.raises(MigrationFailed) as failed:
        project.migrator().rollback(steps=1)

    assert failed.value.hint == (
        "the last rollback may be committed: check `sqlmigrate status` before you run the command again"
    )


def test_the_next_run_retries_a_failed_migration(project: Project) -> None:
    project.add(1, "create table t (a int);\nselect 1 / 0;")
    error = failed(project)
    assert "rolled back completely" in error.hint
    assert project.query("select success, error_msg, statements_done from migrations") == [
        (False, "division by zero", 0)
    ]
    assert project.value("select to_regclass('t') is null")
    assert [status.state.value for status in project.migrator().status()] == ["failed"]

    project.add(1, "create table t (a int);")
    assert len(project.migrator().migrate().steps) == 1

    assert project.query("select success, error_msg from migrations") == [(True, "")]
    assert project.query("select action, outcome, error_msg from migrations_log order by id") == [
        ("apply", "failure", "division by zero"),
        ("apply", "success", ""),
    ]


PARTS = "create table t (a int);\nvacuum t;\ninsert into t values (1);\nvacuum t;\n"


def test_a_rerun_continues_after_the_last_committed_segment(project: Project) -> None:
    project.add(1, PARTS + "insert into t values (1 / 0);\ninsert into t values (3);")
    error = failed(project)
    assert "4 of 6 statements are committed" in error.hint
    assert project.query("select success, statements, statements_done from migrations") == [(False, 6, 4)]
    assert [status.state.value for status in project.migrator().status()] == ["partial"]

    project.add(1, PARTS + "insert into t values (2);\ninsert into t values (3);")
    project.migrator().migrate()

    assert project.query("select a from t order by a") == [(1,), (2,), (3,)]
    assert project.query("select success, statements, statements_done, error_msg from migrations") == [(True, 6, 6, "")]
    assert project.migrator().check().up_to_date


def test_the_statements_that_are_not_done_may_be_removed(project: Project) -> None:
    project.add(1, PARTS + "select 1 / 0;")
    failed(project)

    project.add(1, PARTS)
    project.migrator().migrate()

    assert project.query("select success, statements, statements_done from migrations") == [(True, 4, 4)]


def test_a_changed_committed_part_is_refused(project: Project) -> None:
    project.add(1, PARTS + "select 1 / 0;")
    failed(project)

    path = project.add(1, PARTS.replace("values (1)", "values (7)") + "select 1;")
    with pytest.raises(PlanRefused) as refused:
        project.migrator().migrate()

    (problem,) = refused.value.problems
    assert problem.code == "done-part-changed"
    assert problem.message == "the committed part of v1.0.0-001, up to statement 4, was changed afterwards"
    assert str(problem.location) == str(path)
    assert "restore that part of the file" in problem.hint
    assert project.query("select a from t") == [(1,)]


def test_white_space_and_line_endings_do_not_change_the_committed_part(project: Project) -> None:
    project.add(1, PARTS + "select 1 / 0;")
    failed(project)

    project.add(1, ("\n-- head\n" + PARTS + "select 1;").replace("\n", "\r\n"))

    assert len(project.migrator().migrate().steps) == 1


def test_a_rollback_of_several_segments_continues_after_a_failure(project: Project) -> None:
    down = "drop index concurrently t_a;\ndelete from t;\nvacuum t;\n{}drop table t;"
    project.add(1, "create table t (a int);\ncreate index concurrently t_a on t (a);", down.format("select 1 / 0;\n"))
    project.migrator().migrate()
    with pytest.raises(MigrationFailed):
        project.migrator().rollback(steps=1)
    assert project.query("select success, action, statements_done from migrations") == [(False, "rollback", 3)]
    assert [problem.code for problem in project.migrator().validate()] == ["half-rolled-back"]

    project.add(1, "create table t (a int);\ncreate index concurrently t_a on t (a);", down.format(""))
    project.migrator().rollback(steps=1)

    assert project.versions() == []
    assert project.value("select to_regclass('t') is null")


def test_a_rollback_that_fails_leaves_the_migration_applied(project: Project) -> None:
    path = project.add(1, "create table t (a int);", "drop table t;\ndrop table nowhere;")
    project.migrator().migrate()

    with pytest.raises(MigrationFailed, match='"nowhere" does not exist') as error:
        project.migrator().rollback(steps=1)

    assert str(error.value.location) == f"{str(path).replace('.up.', '.down.')}:2:1"
    assert project.versions() == [("v1.0.0-001", True)]
    assert project.value("select to_regclass('t') is not null")
    assert project.query("select action, outcome from migrations_log order by id") == [
        ("apply", "success"),
        ("rollback", "failure"),
    ]


def test_a_script_that_the_server_requires_in_segments_is_reported(project: Project) -> None:
    path = project.add(1, "create table t (a int);\ndo $$ begin insert into t values (1); commit; end $$;\nselect 1;")

    project.migrator().migrate()

    said = [event.message for event in project.events if isinstance(event, Said)]
    assert any(
        message.startswith(f"{path}:2:1: invalid transaction termination; sqlmigrate runs the file again in segments")
        for message in said
    )


def test_transaction_off_commits_each_statement(project: Project) -> None:
    project.add(
        1,
        "-- sqlmigrate: transaction=off\ncreate table t (a int);\n"
        "insert into t values (1);\ninsert into t values (1 / 0);",
    )

    error = failed(project)

    assert "2 of 3 statements are committed" in error.hint
    assert project.query("select a from t") == [(1,)]


@pytest.mark.parametrize("direction", ["migrate", "rollback"])
def test_a_dry_run_shows_only_what_is_left_of_a_partly_done_step(project: Project, direction: str) -> None:
    text = "-- sqlmigrate: transaction=off\ncreate table t (a int);\nselect 1 / 0;"
    if direction == "migrate":
        project.add(1, text)
    else:
        project.add(1, "select 1;", down=text)
        project.migrator().migrate()
    command = [direction, *["--steps", "1"] * (direction == "rollback")]
    assert project.cli(*command, *["--yes"] * (direction == "rollback")).returncode == 1

    shown = project.cli(*command, "--dry-run").stdout

    assert "create table" not in shown
    assert "-- (1 of 2 statements are committed; the run continues after them)\nbegin;\nselect 1 / 0;" in shown


def test_an_interrupted_migration_needs_no_change_of_its_file(project: Project) -> None:
    project.add(1, "-- sqlmigrate: transaction=off\ncreate table t (a int);\nselect 1 / 0;")
    failed(project)
    project.query("update migrations set error_msg = ''")

    shown = project.cli("validate").stdout

    assert "v1.0.0-001 was interrupted [failed]\n  → run `sqlmigrate migrate` again: it continues" in shown


def test_a_missing_privilege_is_not_looked_for_in_the_file(project: Project) -> None:
    role = f"powerless_{project.value('select pg_backend_pid()')}"
    project.add(1, "select 1;")
    project.migrator().migrate()
    project.query(f"create role {role} login")
    try:
        project.query(f"grant select, insert, update, delete on migrations, migrations_log, migrations_runs to {role}")
        project.query(f"create schema theirs; grant usage on schema theirs to {role}")
        project.add(2, "create table theirs.t (a int);")

        shown = project.cli("migrate", "--db-user", role).stderr

        assert "permission denied for schema theirs" in shown
        assert "  → the role needs this privilege: docs/security.md describes the role that migrates\n" in shown
    finally:
        project.query(f"drop owned by {role}; drop role {role}")


def test_a_lock_timeout_names_the_blocker(project: Project) -> None:
    import threading

    import psycopg

    project.query("create table t (a int)")
    path = project.add(1, "-- sqlmigrate: lock-timeout=1s\nselect 1;\nalter table t add column b int;")
    with psycopg.connect(project.database, application_name="the reader") as reader:
        pid = reader.info.backend_pid
        reader.execute("select * from t")
        closer = threading.Timer(10, reader.cancel)
        closer.start()
        error = failed(project)
        closer.cancel()

    assert "lock timeout" in error.message
    assert f"to end it and roll back its transaction, run SELECT pg_terminate_backend({pid})\n" in error.hint
    assert "--lock-retries" in error.hint
    assert "`-- sqlmigrate: lock-timeout=…`" in error.hint
    assert str(error.location) == f"{path}:3:1"
    assert any("the reader" in str(event) for event in project.events)


@pytest.mark.parametrize(
    ("text", "offers"), [("select pg_sleep(5);", 1), ("select pg_cancel_backend(pg_backend_pid());", 0)]
)
def test_only_a_timeout_gets_the_hint_to_raise_it(project: Project, text: str, offers: int) -> None:
    project.add(1, text)
    stderr = project.cli("migrate", "--statement-timeout", "300ms").stderr
    assert "SQLSTATE: 57014" in stderr
    assert stderr.count("increase --statement-timeout") == offers
    assert stderr.count("`-- sqlmigrate: statement-timeout=…`") == offers


def test_the_history_stores_the_start_of_a_very_long_error(project: Project) -> None:
    project.add(1, "do $$ begin raise exception '%', repeat('x', 1000000); end $$;")
    assert len(project.cli("migrate").stderr) > 1_000_000
    lengths = project.query(
        "select length(error_msg) from migrations union all select length(error_msg) from migrations_log"
    )
    assert lengths == [(8192,), (8192,)]


@pytest.mark.parametrize(
    "table", ["create temp table w (a int) on commit drop", "create temp table w on COMMIT Drop as select 1"]
)
def test_the_hint_for_a_table_that_psql_drops_at_commit_names_the_directive(project: Project, table: str) -> None:
    project.add(1, f"{table};\n{table};")
    with pytest.raises(MigrationFailed) as failed:
        project.migrator().migrate()

    assert "psql commits after each statement" in failed.value.hint
    project.add(1, f"-- sqlmigrate: transaction=off\n{table};\n{table};")
    assert len(project.migrator().migrate().steps) == 1


def test_another_duplicate_table_gets_no_such_hint(project: Project) -> None:
    project.add(1, "create table w (a int);\ncreate table w (a int);")
    with pytest.raises(MigrationFailed) as failed:
        project.migrator().migrate()

    assert "psql" not in failed.value.hint
