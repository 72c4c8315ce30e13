"""`drift`: each change made by hand is found, and nothing else is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import psycopg
import pytest

from sqlmigrate import load_settings
from sqlmigrate.catalog.differences import Difference
from sqlmigrate.catalog.repairing import repairs
from sqlmigrate.migrator import Migrator
from sqlmigrate.scratch import drift
from sqlmigrate.server import embedded, scratch
from sqlmigrate.testing import assert_no_drift
from tests.integration.mutations import CREATE_ROLE, ROLES, SCHEMA
from tests.project import Project
from tests.servers import Server, execute, local

pytestmark = [pytest.mark.usefixtures("scratch_cache"), pytest.mark.anywhere]

HERE = Path(__file__).parent
LINES = (HERE / "drifts.txt").read_text().splitlines()[1:]
DRIFTS = [tuple(line.split(" => ")) for line in LINES]


# What `--sql` does not bring back: kinds that it does not write, the order of columns, and what is no longer there.
NOT_WRITTEN = set((HERE / "drifts_not_written.txt").read_text().splitlines()[1:])


class Live:
    """A database that the migrations have made; `reset` makes it again."""

    def __init__(self, server: Server, name: str, directory: Path) -> None:
        self.server = server
        self.name = name
        self.template = f"{name}_template"
        self.directory = directory
        self.conninfo = server.database(name)

    def migrator(self, database: str) -> Migrator:
        return Migrator(load_settings({"database_url": database, "dir": (str(self.directory),)}, {}))

    def reset(self) -> None:
        self.drop()
        copy = f"create database {self.name} template {self.template} {self.server.copy_strategy}"
        execute(self.server.conninfo, copy)

    def drop(self) -> None:
        execute(self.server.conninfo, f"drop database if exists {self.name} with (force)")

    def drift(self) -> list[Difference]:
        return list(self.migrator(self.conninfo).drift().differences)

    def found(self) -> list[str]:
        return [f"{difference.change.value} {difference.key}" for difference in self.drift()]


@pytest.fixture(scope="module")
def made(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    directory = tmp_path_factory.mktemp("drifting")
    execute(server.conninfo, *(CREATE_ROLE.format(role) for role in ROLES))
    live = Live(server, f"drifting_{abs(hash(str(directory))) % 10**8}", directory)
    (directory / "V1.0.0-001__schema.up.sql").write_text(SCHEMA)
    execute(server.conninfo, f"create database {live.template}")
    live.migrator(server.database(live.template)).migrate()
    yield live
    live.drop()
    execute(server.conninfo, f"drop database {live.template} with (force)")


@pytest.fixture
def live(made: Live) -> Live:
    made.reset()
    return made


@pytest.mark.parametrize(("statement", "expected"), DRIFTS, ids=[statement for statement, _ in DRIFTS])
def test_a_change_by_hand_is_found(live: Live, statement: str, expected: str) -> None:
    execute(live.conninfo, statement.replace("{database}", live.name))
    found = live.found()
    assert expected in found if expected != "none" else found == []


@pytest.mark.parametrize("statement", [statement for statement, _ in DRIFTS])
def test_the_sql_brings_the_database_back(live: Live, statement: str) -> None:
    execute(live.conninfo, statement.replace("{database}", live.name))
    for _ in range(2):  # default privileges may add grants to what is created again
        found = live.migrator(live.conninfo).drift()
        written = repairs(found.differences, found.expected)
        with suppress(psycopg.Error) if statement in NOT_WRITTEN else nullcontext():
            execute(live.conninfo, *(sql for repair in written for sql in repair.statements or ()))
    assert bool(live.drift()) == (statement in NOT_WRITTEN)


@pytest.mark.parametrize(
    "statements",
    [
        "vacuum full",
        "analyze",
        "insert into app.customers (name) values ('a'), ('b'); insert into app.base values (1, 'x')",
        "alter table app.orders rename amount to total; alter table app.orders rename total to amount",
        "alter table app.customers rename to people; alter table app.people rename to customers",
        "alter table app.orders add gone int; alter table app.orders drop gone",
        "drop index app.log_level; create index log_level on app.log (level)",
        "drop rule quiet on app.scratchpad; create rule quiet as on delete to app.scratchpad do instead nothing",
        "refresh materialized view app.cached",
        "select nextval('app.numbers')",
        "create table app.log_p2026_05 partition of app.log for values from ('2026-05-01') to ('2026-06-01')",
        "create schema partman; create table partman.part_config (a int); create schema cron",
        "create table app.gone (a int); drop table app.gone; reindex table app.customers",
        "grant select on app.orders to snap_b; revoke select on app.orders from snap_b",
        "alter role snap_a set work_mem = '2MB'; alter role snap_a reset all",
    ],
)
def test_nothing_is_said_of_what_is_no_drift(live: Live, statements: str) -> None:
    for statement in statements.split("; "):
        execute(live.conninfo, statement)
    assert live.found() == []


def test_a_restored_dump_has_no_drift(live: Live, server: Server) -> None:
    execute(live.conninfo, "alter table app.customers add status varchar(9) check (status in ('new', 'old'))")
    (live.directory / "V1.0.0-002__status.up.sql").write_text(
        "alter table app.customers add status varchar(9) check (status in ('new', 'old'));"
    )
    try:
        live.reset()
        live.migrator(live.conninfo).migrate()
        dump = server.dump(live.conninfo).decode()
        live.drop()
        execute(server.conninfo, f"create database {live.name}")
        assert server.psql(live.conninfo, stdin=dump).returncode == 0
        assert live.found() == []
    finally:
        (live.directory / "V1.0.0-002__status.up.sql").unlink()


def test_the_command_says_what_differs_and_exits_with_3(project: Project) -> None:
    project.add(1, "create table notes (id int primary key, note text default 'none');")
    project.migrator().migrate()
    result = project.cli("drift")
    assert (result.returncode, result.stdout) == (0, "no drift: the database is what 1 applied migration makes\n")
    execute(
        project.database,
        "create index stray on notes (note)",
        "alter table notes alter note set default 'some'",
        "alter table notes drop constraint notes_pkey",
    )
    result = project.cli("drift")
    assert result.returncode == 3
    assert result.stdout == (
        "changed  column public.notes.note\n"
        "         default: 'none'::text → 'some'::text\n"
        "missing  constraint notes_pkey on public.notes\n"
        "         PRIMARY KEY (id)\n"
        "added    index public.stray\n"
        "         CREATE INDEX stray ON public.notes USING btree (note)\n"
        "3 differences from what 1 applied migration makes\n"
    )
    found = json.loads(project.cli("drift", "--format", "json").stdout)
    assert found["drift"] is True
    assert [difference["sql"] for difference in found["differences"]][2] == ["drop index public.stray"]
    assert found["differences"][0]["properties"] == {"default": {"files": "'none'::text", "database": "'some'::text"}}


def test_sql_that_loses_data_is_a_comment(project: Project) -> None:
    project.add(1, "create table notes (id int primary key, note text default 'none');")
    project.migrator().migrate()
    execute(project.database, "create index stray on notes (note)", "create table extra (a int)")
    result = project.cli("drift", "--sql")
    assert result.returncode == 3
    assert result.stdout == (
        "-- added: index public.stray\n"
        "drop index public.stray;\n"
        "-- added: table public.extra\n"
        "-- loses data: check it, and remove the comment\n"
        "-- drop table public.extra;\n"
    )


def test_differences_can_be_ignored_by_option_and_by_setting(project: Project) -> None:
    project.add(1, "create table notes (note text);")
    project.migrator().migrate()
    execute(project.database, "create index tmp_1 on notes (note)", "create table tmp_2 (a int)")
    assert project.cli("drift", "--ignore", "index *.tmp_*").returncode == 3
    assert project.cli("drift", "--ignore", "index *.tmp_*", "--ignore", "table public.tmp_*").returncode == 0
    (project.root / "sqlmigrate.toml").write_text('drift_ignore = ["* public.tmp_*"]\n')
    assert project.cli("drift").returncode == 0


def test_pending_and_changed_and_missing_files_are_taken_into_account(project: Project) -> None:
    first = project.add(1, "create table a (a int);")
    second = project.add(2, "create table b (a int);")
    project.migrator().migrate()
    project.add(3, "create table pending (a int);")
    assert project.migrator().drift().differences == ()
    second.unlink()
    first.write_text("create table a (a int, b int);")
    found = project.migrator().drift()
    assert [str(difference.key) for difference in found.differences] == ["column public.a.b", "table public.b"]
    assert [problem.message.partition(":")[0] for problem in found.problems] == [
        "v1.0.0-001 was changed after it was applied",
        "v1.0.0-002 is applied, but its file does not exist",
    ]


def test_the_assertion_fails_with_the_differences(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add(1, "create table a (a int);")
    project.migrator().migrate()
    monkeypatch.setenv("SQLMIGRATE_DIR", str(project.directory))
    assert_no_drift(project.database)
    execute(project.database, "create table stray (a int)")
    with pytest.raises(pytest.fail.Exception, match="added    table"):
        assert_no_drift(project.database)
    assert_no_drift(project.database, "table *.stray")


def test_a_run_can_require_that_there_is_no_drift(project: Project) -> None:
    project.add(1, "create table a (a int);")
    assert project.cli("migrate", "--expect-no-drift").returncode == 0
    project.add(2, "create table b (a int);")
    execute(project.database, "create table stray (a int)")
    result = project.cli("migrate", "--expect-no-drift")
    assert result.returncode == 1
    assert "added: table public.stray [drift]" in result.stderr
    assert execute(project.database, "select to_regclass('b')") == [(None,)]
    execute(project.database, "drop table stray")
    assert project.cli("migrate", "--expect-no-drift").returncode == 0


@pytest.mark.parametrize("major", [pytest.param(15, marks=pytest.mark.debian), 16])
def test_an_older_server_has_no_drift_from_files_that_a_newer_one_runs(
    major: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "V1.0.0-001__schema.up.sql").write_text(SCHEMA)
    with local(Path(embedded.programs()[major])) as older:
        execute(older.conninfo, *(CREATE_ROLE.format(role) for role in ROLES))
        migrator = Migrator(load_settings({"database_url": older.conninfo, "dir": (str(tmp_path),)}, {}))
        migrator.migrate()
        monkeypatch.setattr(scratch, "nearest", lambda _: 18)
        monkeypatch.setattr(drift, "nearest", lambda _: 18)
        found = migrator.drift()
        assert (found.postgres, found.differences) == ((18, major), ())
        execute(older.conninfo, "create or replace view app.happy as select id, name from app.customers")
        assert [str(difference.key) for difference in migrator.drift().differences] == ["view app.happy"]
