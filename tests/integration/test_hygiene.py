"""After each migration the session is as at the start, and recording does not depend on what a script did to it."""

from __future__ import annotations

import pytest

from sqlmigrate.errors import LockLost, MigrationFailed
from tests.project import Project

ROLE = "do $$ begin create role like_psql_writer; exception when duplicate_object or unique_violation then null; end $$"

# What a migration leaves behind; the next must not see it.
LEFT_BEHIND = {
    "a role": "set role like_psql_writer;",
    "a session authorization": "set session authorization like_psql_writer;",
    "both": "set session authorization like_psql_writer; set role none; set role like_psql_writer;",
    "an emptied search_path": "select pg_catalog.set_config('search_path', '', false);",
    "a search_path": "create schema s; set search_path = s;",
    "a search_path for the transaction": "create schema s; set local search_path = s;",
    "dates and times": "set datestyle = 'sql, dmy'; set timezone = 'Asia/Tokyo'; set intervalstyle = 'iso_8601';",
    "row_security": "set row_security = off;",
    "timeouts": "set statement_timeout = '1h'; set lock_timeout = '1h'; set idle_in_transaction_session_timeout = 0;",
    "durability": "set synchronous_commit = on; set local synchronous_commit = off;",
    "an application's name": "set application_name = 'mine';",
    "strings the old way": "set standard_conforming_strings = off; set escape_string_warning = off;",
    "bodies unchecked": "set check_function_bodies = off; set xmloption = content;",
    "a setting of one's own": "set my.setting = 'x'; select set_config('my.other', 'y', false);",
    "default_transaction_read_only": "set default_transaction_read_only = on;",
    "default_transaction_isolation": "set default_transaction_isolation = 'serializable';",
    "messages in silence": "set client_min_messages = 'error'; set client_connection_check_interval = 0;",
    "the session's characteristics": "set session characteristics as transaction read only;",
    "triggers off": "set session_replication_role = replica;",
    "a client's encoding": "set client_encoding = 'SQL_ASCII';",
    "a temporary table": "create temp table probe (a int); create temp sequence ids;",
    "a temporary function": "create function pg_temp.probing() returns int language sql as 'select 1';",
    "a prepared statement": "prepare probing as select 1;",
    "a cursor": "declare probing cursor with hold for select 1; declare probing2 cursor for select 1;",
    "a listener": "listen probing;",
    "deferred constraints": "set constraints all deferred;",
    "a random seed": "select setseed(0.5);",
}
# psql, too, can create nothing behind these, so they are tried in one message only.
READ_ONLY = ("default_transaction_read_only", "the session's characteristics")
# How the migration is sent: in a message with the next, or in parts of its own.
WAYS = {
    "in one message": "{}",
    "in parts": "{0}\ncreate table public.vacuumed (a int);\nvacuum public.vacuumed;\nselect 1;\n",
}

PROBE = """
create table probe as select current_user::text as role, session_user::text as login, current_schema() as schema,
    (select string_agg(name || '=' || setting, ', ' order by name) from pg_settings
     where setting is distinct from reset_val and name <> 'application_name') as settings,
    (select setting from pg_settings where name = 'TimeZone') as timezone,
    coalesce(current_setting('my.setting', true), '') as mine,
    current_setting('transaction_isolation') as isolation, current_setting('transaction_read_only') as read_only,
    current_setting('client_encoding') as encoding,
    (select count(*) from pg_class where relpersistence = 't') as temporary,
    (select count(*) from pg_proc where proname = 'probing') as functions,
    (select count(*) from pg_prepared_statements) as prepared, (select count(*) from pg_cursors) as cursors,
    (select count(*) from pg_listening_channels()) as channels;
"""


def seen(project: Project) -> list[tuple[object, ...]]:
    return project.query("select * from public.probe")


@pytest.fixture
def clean(project: Project) -> list[tuple[object, ...]]:
    """What a migration sees behind one that leaves nothing."""
    project.query(ROLE, "grant create on schema public to like_psql_writer")
    project.add(1, "select 1;", "select 1;")
    project.add(2, PROBE, "drop table probe;")
    project.migrator().migrate()
    probed = seen(project)
    project.migrator().rollback(steps=2)
    return probed


@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name in LEFT_BEHIND for way in WAYS if not (name in READ_ONLY and way == "in parts")],
)
def test_the_next_migration_starts_with_a_clean_session(
    project: Project, clean: list[tuple[object, ...]], name: str, way: str
) -> None:
    project.add(1, WAYS[way].format(LEFT_BEHIND[name]))

    project.migrator().migrate()

    assert seen(project) == clean
    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", True)]


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_a_failure_is_recorded_whatever_the_script_did(project: Project, name: str) -> None:
    project.query(ROLE)
    project.add(1, LEFT_BEHIND[name] + "\nselect 1 / 0;")

    with pytest.raises(MigrationFailed, match="division by zero"):
        project.migrator().migrate()

    assert project.query("select success, error_msg, executed_by = session_user from migrations") == [
        (False, "division by zero", True)
    ]
    assert project.query("select outcome, db_user = session_user from migrations_log") == [("failure", True)]


@pytest.mark.parametrize("name", [name for name in LEFT_BEHIND if name not in READ_ONLY])
def test_a_failure_in_a_later_segment_is_recorded(project: Project, name: str) -> None:
    project.query(ROLE, "grant create on schema public to like_psql_writer")
    project.add(1, WAYS["in parts"].format(LEFT_BEHIND[name]) + "select 1 / 0;")

    with pytest.raises(MigrationFailed, match="division by zero"):
        project.migrator().migrate()

    assert project.query("select success, error_msg, statements_done > 0 from migrations") == [
        (False, "division by zero", True)
    ]


def test_a_down_file_is_followed_by_a_clean_session(project: Project, clean: list[tuple[object, ...]]) -> None:
    project.add(1, "create table t (a int);", PROBE)
    project.add(2, "select 1;", "set role like_psql_writer; set search_path = ''; create temp table x (a int);")
    project.migrator().migrate()

    project.migrator().rollback(steps=2)

    assert seen(project) == clean
    assert project.versions() == []


def test_a_role_without_privileges_on_the_history_runs_a_script(project: Project) -> None:
    project.query(ROLE, "create schema s authorization like_psql_writer", "revoke all on schema public from public")
    project.add(1, "set role like_psql_writer;\ncreate table s.t (a int);")
    project.add(2, "set role like_psql_writer;\ncreate index concurrently on s.t (a);\ninsert into s.t values (1);")
    project.add(3, "begin; set local role like_psql_writer;\ninsert into s.t values (2); commit; vacuum s.t;")

    project.migrator().migrate()

    assert [success for _, success in project.versions()] == [True, True, True]
    assert project.query("select distinct db_user = session_user from migrations_log") == [(True,)]


def test_settings_and_role_last_from_segment_to_segment(project: Project) -> None:
    project.query(ROLE, "create schema s authorization like_psql_writer")
    project.add(
        1,
        "set role like_psql_writer; set search_path = s; create temp table x as select 1 as a; prepare q as select 1;\n"
        "create table t (a int);\nvacuum t;\n"
        "create table u as select current_user::text as role, a from x;\nexecute q;\nvacuum u;\n",
    )

    project.migrator().migrate()

    assert project.query("select * from s.u") == [("like_psql_writer", 1)]


def test_a_rerun_sets_the_settings_of_committed_segments_again(project: Project) -> None:
    project.query(ROLE, "create schema s authorization like_psql_writer")
    head = "set role like_psql_writer;\nset search_path = s;\ncreate table t (a int);\nvacuum t;\n"
    project.add(1, head + "select 1 / 0;")
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()

    project.add(1, head + "create table u as select current_user::text as role;")
    project.migrator().migrate()

    assert project.query("select * from s.u") == [("like_psql_writer",)]


def test_a_script_that_releases_the_lock_is_rolled_back(project: Project) -> None:
    project.add(1, "create table t (a int);\nselect pg_advisory_unlock_all();")

    with pytest.raises(MigrationFailed, match="lock was lost") as failed:
        project.migrator().migrate()

    assert isinstance(failed.value.__cause__, LockLost)
    assert project.value("select to_regclass('t') is null")


def test_no_lock_remains_after_a_failure(project: Project) -> None:
    project.add(1, "select 1 / 0;")
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()

    assert project.has_free_lock()


def test_a_waiting_run_is_exempt_from_idle_session_timeout(project: Project) -> None:
    project.query(f"alter database {project.value('select current_database()')} set idle_session_timeout = '200ms'")
    with project.migrator()._target.locked() as locked:
        assert locked.connection.rows("show idle_session_timeout") == [("0",)]
        locked.session.clean()
        assert locked.connection.rows("show idle_session_timeout") == [("0",)]
