"""A run with several connections dies or is interrupted: a rerun leaves what one undisturbed run leaves."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.faults.mix import reset, struck, wait_until_alone
from tests.faults.waiting import backends, ended, running, until
from tests.integration.test_parallel import BASE, KINDS, MORE, ROWS, applied, locked, log, prepare, waiting
from tests.project import Project

TABLES = f"{BASE}{MORE}{ROWS}"
COMMAND = ("migrate", "--parallel", "3")
# The names of the objects of each migration, which exist if its row says so. None if there is nothing to see.
MAKES = ("a_y", "b_y", "c_partial", "d_expression", "", "", "", "", "", "", "", "barrier", "d_both", "c_z", "")
INVALID = "select indexrelid::regclass::text from pg_index where not indisvalid"


def disagreements(project: Project) -> list[str]:
    """The migrations whose row says success although their object is missing, or the other way round."""
    success = dict(project.versions())
    there = {row[0] for row in project.query("select relname from pg_class")}
    dropped = {"a_y": "v1.0.0-011", "b_y": "v1.0.0-012"}
    wrong = []
    for number, name in enumerate(MAKES, 2):
        version = f"v1.0.0-{number:03d}"
        if name in dropped and (dropped[name] in success):
            continue
        if name and name not in there and success.get(version):
            wrong.append(f"{version} is recorded, but {name} is missing")
        if name and name in there and version not in success:
            wrong.append(f"{version} is not recorded, but {name} exists")
    return wrong


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.long)])
def test_a_rerun_completes_a_run_that_was_killed(project: Project, times: int) -> None:
    rng = random.Random(3)
    prepare(project, *KINDS, tables=TABLES)
    began = time.monotonic()
    assert project.run(project.command(*COMMAND)).returncode == 0
    takes, schema = time.monotonic() - began, project.schema()
    hits = 0
    for number in range(times):
        reset(project)
        moment = takes * rng.uniform(0.3, 1.0)
        code, _ = struck(project, COMMAND, moment, lambda _, process: process.kill())
        hits += code == -signal.SIGKILL
        wait_until_alone(project)
        about = f"kill {number}, after {moment:.3f} of {takes:.3f} s, exit code {code}"
        if project.value("select to_regclass('migrations') is not null"):
            assert disagreements(project) == [], about
        again = project.cli(*(COMMAND if number % 2 else ("migrate",)))
        assert again.returncode == 0, f"{about}\n{again.stderr}"
        assert project.schema() == schema, about
        assert project.query(INVALID) == [], about
        assert {success for _, success in project.versions()} == {True}, about
        counts = project.query("select version, count(*) from migrations_log where outcome = 'success' group by 1")
        assert {count for _, count in counts} == {1}, about
    assert hits >= times // 4


@pytest.mark.parametrize("statements", ["ordinary", "concurrent", "one file"])
def test_a_kill_while_two_builds_wait_is_completed_by_a_rerun(project: Project, statements: str) -> None:
    ups = {
        "ordinary": ["create index a_x on a (x)", "create index b_x on b (x)"],
        "concurrent": ["create index concurrently a_x on a (x)", "create index concurrently b_x on b (x)"],
        "one file": ["create index concurrently a_x on a (x); create index concurrently b_x on b (x)"],
    }[statements]
    prepare(project, *ups)
    with locked(project, "b"):
        with running(project, *COMMAND) as process:
            until(
                lambda: (
                    len(waiting(project)) == 1 and project.value("select count(*) from pg_class where relname = 'a_x'")
                )
            )
            process.kill()
        wait_until_alone(project)

    again = project.cli("migrate")

    assert again.returncode == 0, again.stderr
    assert len(applied(project)) == len(ups) + 1
    assert project.query(INVALID) == []
    assert project.value("select count(*) from pg_class where relname in ('a_x', 'b_x')") == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("word", ["", "concurrently"])
def test_a_signal_cancels_every_connection(project: Project, number: signal.Signals, code: int, word: str) -> None:
    prepare(
        project, f"create index {word} a_x on a (x)", f"create index {word} b_x on b (x)", "create table barrier ()"
    )
    with locked(project, "a", "b"), running(project, *COMMAND) as process:
        until(lambda: len(waiting(project)) == 2)
        process.send_signal(number)
        stderr = ended(process)
        assert process.returncode == code
        assert backends(project) == []

    assert f"failed: interrupted by {number.name}" in stderr
    assert "Traceback" not in stderr
    assert sorted(log(project)) == [("v1.0.0-002", "failure"), ("v1.0.0-003", "failure")]
    assert {row[0] for row in project.query("select error_msg from migrations_log where outcome = 'failure'")} == {
        f"interrupted by {number.name}"
    }
    assert project.migrator().lock_holder() is None

    project.migrator().migrate()

    assert len(applied(project)) == 4
    assert project.query(INVALID) == []


def test_a_signal_cancels_the_statements_of_one_file(project: Project) -> None:
    prepare(project, "create index concurrently a_x on a (x); create index concurrently b_x on b (x)")
    with locked(project, "a", "b"), running(project, *COMMAND) as process:
        until(lambda: len(waiting(project)) == 2)
        process.send_signal(signal.SIGINT)
        stderr = ended(process)
    assert process.returncode == 130
    assert "0 of 2 statements are committed, some of the others may be; a rerun checks the catalog" in stderr

    project.migrator(parallel="2").migrate()

    assert len(applied(project)) == 2
    assert project.query(INVALID) == []


def test_the_end_of_the_connection_of_a_worker_is_a_failure_of_its_migration(project: Project) -> None:
    prepare(project, "create index a_x on a (x)", "create index b_x on b (x)")
    with locked(project, "a", "b"):
        process = project.start(*COMMAND)
        until(lambda: len(waiting(project)) == 2)
        (pid,) = project.backends("application_name = 'sqlmigrate v1.0.0-002'")
        project.query(f"select pg_terminate_backend({pid})")
        until(lambda: waiting(project) == ["sqlmigrate v1.0.0-003"])
    stderr = ended(process)

    assert process.returncode == 1
    assert "v1.0.0-002 failed: the connection was lost" in stderr
    assert project.versions()[1:] == [("v1.0.0-002", False), ("v1.0.0-003", True)]
    assert project.migrator(parallel="2").migrate().steps
    assert len(applied(project)) == 3


def test_replicas_that_start_at_once_take_turns(project: Project) -> None:
    """Each of those that wait polls for the lock: a session that waited in it would keep a snapshot."""
    prepare(project, *KINDS, tables=TABLES)
    replicas = [project.start("migrate", *options) for options in (("--parallel", "2"), ("--parallel", "3"), ())]
    ends = [(replica.communicate()[1], replica.returncode) for replica in replicas]
    assert [code for _, code in ends] == [0, 0, 0], ends
    counts = project.query("select version, count(*) from migrations_log where outcome = 'success' group by 1")
    assert len(counts) == len(KINDS) + 1
    assert {count for _, count in counts} == {1}
    assert project.query("select * from migrations_log where outcome = 'failure'") == []
    assert project.query(INVALID) == []
    assert project.has_free_lock()
