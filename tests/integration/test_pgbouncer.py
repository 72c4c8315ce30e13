"""Behind PgBouncer in transaction mode, where a session's lock would stay with the pool."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sqlmigrate.errors import PlanRefused
from sqlmigrate.server import lock
from sqlmigrate.server.connection import connect
from sqlmigrate.server.pooler import keeps_session
from tests.integration.test_activity import until as until_activity
from tests.polling import until
from tests.project import Project

pytestmark = pytest.mark.debian

CONFIGURATION = """
[databases]
* = {backend}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {directory}
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
server_round_robin = {round_robin}
ignore_startup_parameters = extra_float_digits,options
max_client_conn = 100
logfile = {directory}/log
"""


@contextlib.contextmanager
def bouncer(project: Project, mode: str, size: int = 4, round_robin: int = 0) -> Iterator[Project]:
    """The project, its connections through PgBouncer; it does not run as root."""
    parts = conninfo_to_dict(project.database)
    backend = " ".join(f"{key}={parts[key]}" for key in ("host", "port", "user") if parts.get(key))
    directory = Path(tempfile.mkdtemp(prefix="sqlmigrate-bouncer-"))
    options = {"mode": mode, "size": size, "round_robin": round_robin}
    (directory / "ini").write_text(CONFIGURATION.format(backend=backend, directory=directory, **options))
    owner = Path(str(parts["host"])).owner() if os.geteuid() == 0 else None
    if owner:
        shutil.chown(directory, owner)
    process = subprocess.Popen(["/usr/sbin/pgbouncer", "-q", directory / "ini"], user=owner)
    until(lambda: _listens(directory / ".s.PGSQL.6432") or process.poll() is not None)
    assert process.poll() is None, (directory / "log").read_text()
    through = f"host={directory} port=6432 user=postgres dbname={parts['dbname']}"
    try:
        yield Project(project.server, through, project.root)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory)


def _listens(path: Path) -> bool:
    """Whether a connection is accepted; the socket exists before that."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@pytest.fixture
def pooled(project: Project) -> Iterator[Project]:
    with bouncer(project, "transaction") as through:
        yield through


@pytest.fixture
def in_session_mode(project: Project) -> Iterator[Project]:
    with bouncer(project, "session") as through:
        yield through


def test_migrates_and_rolls_back_with_concurrently(pooled: Project) -> None:
    pooled.add(1, "set search_path = pg_catalog; create table public.t (a int, b int)", "drop table t")
    pooled.add(
        2, "create index concurrently t_a on t (a); create index concurrently t_b on t (b)", "drop index t_a, t_b"
    )
    pooled.add(3, "create table u as select 1 as one", "drop table u")

    assert len(pooled.migrator().migrate().steps) == 3
    assert pooled.value("select count(*) from pg_index where indrelid = 't'::regclass and indisvalid") == 2
    assert len(pooled.migrator().rollback(steps=3).steps) == 3
    assert pooled.has_free_lock()


@pytest.mark.parametrize("command", [("migrate",), ("migrate", "--dry-run"), ("plan",)])
def test_parallel_is_refused_before_anything_runs(pooled: Project, command: tuple[str, ...]) -> None:
    pooled.add(1, "create table t ()")

    run = pooled.cli(*command, "--parallel", "2")

    assert run.returncode == 2
    assert "migrations cannot run side by side behind a transaction pooler" in run.stderr
    assert "MIGRATION_CONCURRENCY" in run.stderr
    assert pooled.value("select to_regclass('t') is null")
    assert pooled.cli("migrate", "--parallel", "1").returncode == 0


def test_parallel_works_behind_a_pooler_in_session_mode(in_session_mode: Project) -> None:
    project = in_session_mode
    project.add(1, "create table a (x int); create table b (x int)")
    project.add(2, "create index a_x on a (x)")
    project.add(3, "create index concurrently b_x on b (x)")
    project.add(4, "create index concurrently a_y on a ((x + 1)); create index concurrently b_y on b ((x + 1))")

    assert len(project.migrator(parallel="2").migrate().steps) == 4

    assert project.value("select count(*) from pg_indexes where schemaname = 'public' and indexname ~ '_[xy]$'") == 4
    assert project.has_free_lock()


def test_replicas_take_turns(pooled: Project) -> None:
    for number in range(1, 6):
        pooled.add(number, f"create table t{number} (); select pg_sleep(0.05)")
    pooled.add(6, "create table big as select g from generate_series(1, 50000) g")
    pooled.add(7, "create index concurrently big_g on big (g)")

    replicas = [pooled.start("migrate") for _ in range(4)]

    assert [(replica.communicate()[1], replica.returncode)[1] for replica in replicas] == [0] * 4
    assert pooled.value("select count(*) from migrations_log where outcome = 'success'") == 7
    assert pooled.has_free_lock()


def test_redo_holds_the_lock_over_both_parts(pooled: Project) -> None:
    pooled.add(1, "create table t (a int)", "drop table t")
    pooled.add(2, "create index concurrently t_a on t (a)", "drop index t_a")
    pooled.migrator().migrate()
    pooled.migrator().redo(steps=2)
    assert pooled.versions() == [("v1.0.0-001", True), ("v1.0.0-002", True)]
    assert pooled.value("select count(*) from migrations_log where outcome = 'success'") == 6
    assert pooled.has_free_lock()


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_lock_status_shows_the_statement_of_the_backend_that_works(project: Project, mode: str) -> None:
    """It waits for the lock of a table that the other session holds."""
    project.add(1, "create table t (a int)")
    project.migrator().migrate()
    project.add(2, "select 1;\nalter table t add column b int;", name="slow")
    with bouncer(project, mode) as through, psycopg.connect(project.database) as other:
        other.execute("lock table t in access share mode")
        run = through.start("migrate", "--lock-timeout", "10min")
        seen = until_activity(project.migrator().activity, lambda seen: " on " in seen.waits_for)
        states = [status.state.value for status in project.migrator().status()]
        other.rollback()
        assert run.wait() == 0
        run.communicate()
    assert seen.position is not None
    assert (seen.position.number, seen.position.text, seen.waits_for) == (
        2, "alter table t add column b int;", "ACCESS EXCLUSIVE on t",
    )  # fmt: skip
    assert len(seen.blockers) == 1
    assert states == ["applied", "running"]


def test_a_script_that_needs_a_session_is_refused(pooled: Project) -> None:
    pooled.add(
        1, "create schema app; set search_path = app; create table t (a int); create index concurrently on t (a)"
    )

    with pytest.raises(PlanRefused) as refused:
        pooled.migrator().migrate()

    assert refused.value.problems[0].code == "pooler"
    assert pooled.value("select to_regclass('migrations') is null")


def test_a_failure_leaves_nothing_behind(pooled: Project) -> None:
    pooled.add(1, "create table t (); select 1/0")

    assert pooled.cli("migrate").returncode == 1
    assert pooled.versions() == [("v1.0.0-001", False)]
    assert pooled.has_free_lock()


SESSION_SCRIPT = """create schema app; set search_path = app; create table t (a int);
create index concurrently t_a on t (a); create table u ();"""


def test_a_script_that_needs_a_session_runs_in_session_mode(in_session_mode: Project) -> None:
    in_session_mode.add(1, SESSION_SCRIPT, "drop schema app cascade")

    run = in_session_mode.cli("migrate")

    assert run.returncode == 0, run.stderr
    assert in_session_mode.value("select count(*) from pg_tables where schemaname = 'app'") == 2
    assert in_session_mode.cli("rollback", "--steps", "1", "--yes").returncode == 0
    assert in_session_mode.has_free_lock()


def test_replicas_take_turns_in_session_mode(project: Project) -> None:
    with bouncer(project, "session", size=20) as through:
        for number in range(1, 6):
            through.add(number, f"create table t{number} (); select pg_sleep(0.05)")

        replicas = [through.start("migrate") for _ in range(4)]

        assert [(replica.communicate()[1], replica.returncode)[1] for replica in replicas] == [0] * 4
        assert through.value("select count(*) from migrations_log where outcome = 'success'") == 5
        assert through.has_free_lock()


def test_one_backend_is_enough_in_session_mode(project: Project) -> None:
    with bouncer(project, "session", size=1) as through:
        through.add(1, SESSION_SCRIPT)

        run = through.cli("migrate")

        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("command", ["migrate", "rollback --steps 1 --yes", "validate --dry-run"])
def test_a_pool_of_one_backend_is_named_in_transaction_mode(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(lock, "_POOL_WAIT", 0.5)
    project.add(1, "create table t ()", "drop table t")
    project.migrator().migrate()
    project.add(2, "select 1")
    with bouncer(project, "transaction", size=1) as through:
        run = through.cli(*command.split())

    assert run.returncode == 1
    assert "the connection pooler has no second server connection for the run" in run.stderr
    assert "default_pool_size" in run.stderr
    assert project.has_free_lock()
    assert project.versions() == [("v1.0.0-001", True)]


def test_who_blocks_is_named_in_session_mode(in_session_mode: Project, project: Project) -> None:
    project.query("create table t ()")
    in_session_mode.add(1, "alter table t add column a int")
    with psycopg.connect(project.database, application_name="the reader") as reader:
        reader.execute("select * from t")

        run = in_session_mode.cli("migrate", "--lock-timeout", "2s", "--lock-retries", "0")

    assert run.returncode == 1
    assert "the reader" in run.stderr


@pytest.mark.parametrize("round_robin", [0, 1])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("busy", [0, 3])
def test_transaction_mode_is_never_taken_for_session_mode(
    project: Project, size: int, round_robin: int, busy: int
) -> None:
    with bouncer(project, "transaction", size, round_robin) as through, contextlib.ExitStack() as clients:
        others = [clients.enter_context(psycopg.connect(through.database)) for _ in range(min(busy, size))]
        for other in others:  # leaves several idle backends in the pool
            other.execute("select 1")
        for other in others:
            other.rollback()
        first = clients.enter_context(closing(connect(through.database, "a")))
        assert not keeps_session(first, lambda: connect(through.database, "b"))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_session_mode_is_recognized(project: Project, size: int) -> None:
    with bouncer(project, "session", size) as through, closing(connect(through.database, "a")) as first:
        assert keeps_session(first, lambda: connect(through.database, "b"))


def test_a_session_behind_a_pooler_gets_its_settings_back(in_session_mode: Project) -> None:
    in_session_mode.add(1, "set search_path = pg_catalog; create table public.t ()")
    in_session_mode.add(2, "create table u as select current_setting('search_path') as a")

    assert len(in_session_mode.migrator().migrate().steps) == 2
    assert in_session_mode.query("table u") == [('"$user", public',)]
