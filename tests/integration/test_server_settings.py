"""Settings that an administrator gives to a role or a database: the results are those of a server without them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg.conninfo import make_conninfo

from sqlmigrate.server import session
from tests.project import Project
from tests.servers import execute

DATE_STYLES = ("German", "SQL, DMY", "SQL, MDY", "Postgres, DMY", "Postgres, MDY", "ISO, YMD")
SEVERAL_SEGMENTS = "create table t (a int); create index concurrently t_a on t (a); create table u ();"


def set_for_database(project: Project, setting: str, value: str) -> None:
    name = project.value("select current_database()")
    project.query(f"alter database {name} set {setting} = {value}")


@pytest.fixture
def as_member(project: Project) -> Iterator[Project]:
    """The project of a login role that is a NOINHERIT member of the role that owns the database."""
    name = project.value("select current_database()")
    app, owner = f"app_{name}", f"owner_{name}"
    project.query(
        f"create role {owner}",
        f"create role {app} login noinherit",
        f"grant {owner} to {app}",
        f"alter database {name} owner to {owner}",
        f"alter schema public owner to {owner}",
        f"alter role {app} in database {name} set role = '{owner}'",
    )
    yield Project(project.server, make_conninfo(project.database, user=app), project.root)
    project.query(
        f"alter database {name} owner to postgres",
        f"reassign owned by {owner} to postgres",
        f"drop owned by {owner}, {app}",
        f"drop role {app}",
        f"drop role {owner}",
    )


@pytest.mark.parametrize("style", DATE_STYLES)
@pytest.mark.parametrize("command", ["status", "check", "history", "metrics", "info", "plan"])
def test_every_command_reads_the_history_with_any_date_style(project: Project, style: str, command: str) -> None:
    project.add(1, "create table t ()")
    project.migrator().migrate()
    set_for_database(project, "datestyle", f"'{style}'" if "," not in style else style)

    run = project.cli(command)

    assert (run.returncode, run.stderr) == (0, ""), run.stderr


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "FOO+3:30", "+05:45"])
def test_the_time_zone_of_the_database_does_not_change_what_is_shown(project: Project, zone: str) -> None:
    project.add(1, "create table t ()")
    project.migrator().migrate()
    before = [project.cli(*command.split()).stdout for command in ("history", "status --format json")]
    set_for_database(project, "timezone", f"'{zone}'")

    assert [project.cli(*command.split()).stdout for command in ("history", "status --format json")] == before


def test_the_script_has_the_settings_of_the_database(project: Project) -> None:
    set_for_database(project, "datestyle", "German")
    set_for_database(project, "timezone", "'Asia/Kathmandu'")
    set_for_database(project, "extra_float_digits", "0")
    found = (
        "select current_setting('datestyle') a, current_setting('timezone') b, current_setting('extra_float_digits') c"
    )
    project.add(1, f"create table first as {found}")
    project.add(2, f"set datestyle = 'ISO'; reset datestyle; create table second as {found}")
    project.add(3, f"set timezone = 'UTC'; reset all; create table third as {found}")

    project.migrator().migrate()

    for table in ("first", "second", "third"):
        assert project.query(f"table {table}") == [("German, DMY", "Asia/Kathmandu", "0")]


SCRIPTS = {
    "one segment": "create table t ()",
    "several segments": SEVERAL_SEGMENTS,
    "a reset role": f"reset role; {SEVERAL_SEGMENTS} reset role; create table v ()",
    "a reset session authorization": f"reset session authorization; {SEVERAL_SEGMENTS}",
    "the login role at the end": f"{SEVERAL_SEGMENTS} set role none;",
    "the login role before CONCURRENTLY": "create table t (); set role none; vacuum pg_am; reset role;",
    "blocks of its own": "begin; create table t (a int); commit; begin; set local role none; commit;",
    "only CONCURRENTLY": "create index concurrently on base (a)",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_records_are_written_by_the_role_of_the_start_of_the_session(as_member: Project, script: str) -> None:
    as_member.add(1, "create table base (a int)")
    as_member.add(2, script, f"drop table if exists t, u, v; {SEVERAL_SEGMENTS} drop table t, u")
    as_member.add(3, "create table last ()")

    run = as_member.cli("migrate")

    assert run.returncode == 0, run.stderr
    assert as_member.cli("check").returncode == 0
    assert as_member.cli("rollback", "--steps", "1").returncode == 1  # no down file
    assert as_member.query("select distinct tableowner ~ '^owner_' from pg_tables where schemaname = 'public'") == [
        (True,)
    ]


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_records_are_written_by_a_role_that_the_database_sets(project: Project, script: str) -> None:
    name = project.value("select current_database()")
    project.query(f"create role owner_{name}", f"alter schema public owner to owner_{name}")
    set_for_database(project, "role", f"owner_{name}")
    project.add(1, "create table base (a int)")
    project.add(2, script)

    run = project.cli("migrate")

    assert run.returncode == 0, run.stderr
    owners = project.query(
        "select distinct tableowner::text from pg_tables where schemaname = 'public' and tablename ~ 'migrations'"
    )
    cleanup = project.server.database("postgres")
    execute(cleanup, f"alter database {name} reset role")
    project.query(f"reassign owned by owner_{name} to postgres", f"drop role owner_{name}")
    assert owners == [(f"owner_{name}",)]


@pytest.mark.parametrize("reset", ["", "reset session authorization; ", "reset role; ", "set role none; "])
def test_records_are_written_by_the_login_role_whatever_session_authorization_a_script_sets(
    project: Project, reset: str
) -> None:
    other = f"other_{project.value('select current_database()')}"
    project.query(f"create role {other}", f"grant all on schema public to {other}")
    project.add(1, f"set session authorization {other}; {SEVERAL_SEGMENTS} {reset} create table v ()")

    run = project.cli("migrate")

    owners = project.query(
        "select tableowner::text from pg_tables where tablename in ('t', 'migrations') order by tablename"
    )
    project.query(f"drop owned by {other}", f"drop role {other}")
    assert run.returncode == 0, run.stderr
    assert owners == [("postgres",), (other,)]


def test_a_server_that_cannot_watch_its_client_migrates(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_CHECK_INTERVAL", ("client_connection_check_interval", "-1s"))
    project.add(1, SEVERAL_SEGMENTS)
    project.add(2, "create table v ()")

    assert len(project.migrator().migrate().steps) == 2
