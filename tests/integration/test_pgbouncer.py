"""Behind PgBouncer in transaction mode, where a session's lock would stay with the pool."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from sqlmigrate.errors import PlanRefused
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
pool_mode = transaction
default_pool_size = 4
max_client_conn = 100
logfile = {directory}/log
"""


@pytest.fixture
def pooled(project: Project) -> Iterator[Project]:
    """The project, its connections through PgBouncer; it does not run as root."""
    parts = conninfo_to_dict(project.database)
    backend = " ".join(f"{key}={parts[key]}" for key in ("host", "port", "user") if parts.get(key))
    directory = Path(tempfile.mkdtemp(prefix="sqlmigrate-bouncer-"))
    (directory / "ini").write_text(CONFIGURATION.format(backend=backend, directory=directory))
    owner = Path(str(parts["host"])).owner() if os.geteuid() == 0 else None
    if owner:
        shutil.chown(directory, owner)
    bouncer = subprocess.Popen(["/usr/sbin/pgbouncer", "-q", directory / "ini"], user=owner)
    while not (directory / ".s.PGSQL.6432").exists():
        assert bouncer.poll() is None, (directory / "log").read_text()
        time.sleep(0.02)
    through = f"host={directory} port=6432 user=postgres dbname={parts['dbname']}"
    yield Project(project.server, through, project.root)
    bouncer.terminate()
    bouncer.wait()
    shutil.rmtree(directory)


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


def test_replicas_take_turns(pooled: Project) -> None:
    for number in range(1, 6):
        pooled.add(number, f"create table t{number} (); select pg_sleep(0.05)")
    pooled.add(6, "create table big as select g from generate_series(1, 50000) g")
    pooled.add(7, "create index concurrently big_g on big (g)")

    replicas = [pooled.start("migrate") for _ in range(4)]

    assert [(replica.communicate()[1], replica.returncode)[1] for replica in replicas] == [0] * 4
    assert pooled.value("select count(*) from migrations_log where outcome = 'success'") == 7
    assert pooled.has_free_lock()


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
