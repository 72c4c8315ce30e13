"""Databases made from files on the scratch server."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlmigrate.config.settings import Settings
from sqlmigrate.errors import MigrationFailed
from sqlmigrate.files import source
from sqlmigrate.model import Action, PlanRequest
from sqlmigrate.scratch.replay import Replayed, replayed
from sqlmigrate.server import embedded, scratch
from tests.servers import execute

pytestmark = [pytest.mark.usefixtures("scratch_cache"), pytest.mark.anywhere]

MAJOR = 18
RAN = "select executed_at, version from public.migrations order by version"


class Files:
    """A migrations directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, number: int, sql: str) -> None:
        (self.root / f"V1.0.0-{number:03d}__step.up.sql").write_text(sql)

    def replay(self, query: str, **options: str) -> list[tuple[object, ...]]:
        """Makes a database from the files, and runs a query there."""
        settings = Settings(dir=(str(self.root),))
        with replayed(settings, source.find(settings.dir), MAJOR, **options) as made:
            return execute(made.settings.database, query)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_the_runner_applies_the_files_with_their_history(files: Files) -> None:
    files.write(1, "create table t (a int);")
    files.write(2, "create index concurrently i on t (a);")
    assert files.replay("select version, success from public.migrations order by version") == [
        ("v1.0.0-001", True),
        ("v1.0.0-002", True),
    ]
    assert files.replay("select indisvalid from pg_index where indexrelid = 'i'::regclass") == [(True,)]


def test_a_file_that_has_run_is_not_run_again(files: Files) -> None:
    files.write(1, "create table kept (a int);")
    first = files.replay(RAN)
    assert files.replay(RAN) == first
    files.write(2, "create table another (a int);")
    assert files.replay(RAN)[:1] == first
    files.write(1, "create table changed (a int);")
    assert files.replay(RAN)[0] != first[0]


def test_what_is_done_in_the_database_is_not_kept(files: Files) -> None:
    files.write(1, "create table once (a int);")
    for _ in range(2):
        assert files.replay("insert into once values (1) returning (select count(*) from once)") == [(0,)]


def test_a_role_that_files_create_can_be_created_by_other_files_too(files: Files) -> None:
    files.write(1, "create role scratch_app; create table t (a int); grant select on t to scratch_app;")
    files.replay("select 1")
    files.write(1, "create role scratch_app login; create table u (a int); grant select on u to scratch_app;")
    assert files.replay("select rolcanlogin from pg_roles where rolname = 'scratch_app'") == [(True,)]


def test_roles_that_the_files_expect_are_created(files: Files) -> None:
    files.write(1, 'create table t (a int); grant select on t to scratch_reader; grant insert on t to "Odd role";')
    assert files.replay("select relacl::text like '%scratch_reader=r/%' from pg_class where relname = 't'") == [(True,)]


def test_the_database_and_its_owner_have_the_names_of_the_target(files: Files) -> None:
    files.write(1, 'create table t (a int); alter database production set search_path = "$user", a, b;')
    for _ in range(2):
        names = files.replay("select current_database(), current_user::text", database="production", role="deployer")
        assert names == [("production", "deployer")]
        assert files.replay("show search_path", database="production", role="deployer") == [('"$user", a, b',)]
    owner = files.replay(
        "select tableowner from pg_tables where tablename = 't'", database="production", role="deployer"
    )
    assert owner == [("deployer",)]


def test_a_failed_file_is_reported_with_its_line(files: Files) -> None:
    files.write(1, "create table t (a int);\nselect 1/0;")
    with pytest.raises(MigrationFailed) as error:
        files.replay("select 1")
    assert error.value.location is not None
    assert error.value.location.line == 2


def test_other_files_can_run_on_the_database(files: Files, tmp_path: Path) -> None:
    files.write(1, "create table t (a int);")
    settings = Settings(dir=(str(tmp_path),))
    before = source.find(settings.dir)
    files.write(2, "alter table t add b int;")

    def columns(made: Replayed) -> list[tuple[object, ...]]:
        query = "select attname from pg_attribute where attrelid = 't'::regclass and attnum > 0 order by attnum"
        return execute(made.settings.database, query)

    with replayed(settings, before, MAJOR) as made:
        assert columns(made) == [("a",)]
        run = made.runner(lambda: source.find(settings.dir)).run(PlanRequest(Action.APPLY))
        assert [step.migration.id for step in run.steps] == ["v1.0.0-002"]
        assert columns(made) == [("a",), ("b",)]


def test_the_server_is_of_the_nearest_version_that_is_installed() -> None:
    known = list(embedded.programs())
    assert {16, 18} <= set(known)
    assert scratch.nearest(16) == 16
    assert scratch.nearest(17) == 18
    assert scratch.nearest(99) == max(known)
