"""The client dies: kill -9 at any moment."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from itertools import count

import pytest

from tests.faults.mix import MIGRATE, ROLLBACK, Ordeal, disagreements, kill, reset, wait_until_alone
from tests.faults.waiting import running, until_asleep
from tests.project import Project

KILLED = [-signal.SIGKILL]

# Runs the command line, and dies when it has a message to send, or has just sent it.
DOOMED = """
import os, signal, sys
from itertools import count
from sqlmigrate.cli import main
from sqlmigrate.server.connection import Connection

key, sent = sys.argv.pop(1), sys.argv.pop(1) == "sent"
numbers, transmit = count(1), Connection.transmit

def doomed(self, text, *more):
    if key == str(next(numbers)) or (not key.isdigit() and key in text and "begun_state" not in text):
        if sent:
            self._wire.send_query(text.encode())
            while self._wire.flush(): pass
        os.kill(os.getpid(), signal.SIGKILL)
    return transmit(self, text, *more)

Connection.transmit = doomed
main()
"""


@pytest.mark.parametrize("times", [12, pytest.param(200, marks=pytest.mark.long)])
def test_migrate_survives_kill_at_random_moments(mixed: Project, times: int) -> None:
    Ordeal(mixed, MIGRATE, kill, KILLED).endure(times, seed=1)


@pytest.mark.parametrize("times", [6, pytest.param(200, marks=pytest.mark.long)])
def test_rollback_survives_kill_at_random_moments(mixed: Project, migrated: str, times: int) -> None:
    Ordeal(mixed, ROLLBACK, kill, KILLED, template=migrated).endure(times, seed=2)


def doomed(project: Project, message: int | str, when: str, command: tuple[str, ...] = MIGRATE) -> int:
    """Runs a command that dies at its message of that number or text."""
    return subprocess.run(
        [sys.executable, "-c", DOOMED, str(message), when, *command],
        check=False,
        capture_output=True,
        cwd=project.root,
        env=project.environment(),
    ).returncode


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "sent"])
def test_migrate_survives_death_at_each_message(mixed: Project, when: str) -> None:
    ordeal = Ordeal(mixed, MIGRATE, kill, KILLED)
    _, schema = ordeal.undisturbed()
    for number in count(1):
        reset(mixed)
        if doomed(mixed, number, when) == 0:
            break
        wait_until_alone(mixed)
        assert disagreements(mixed) == [], number
        ordeal.rerun(schema, f"{when} message {number}")
    assert number > 20


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "sent"])
def test_rollback_survives_death_at_each_message(mixed: Project, migrated: str, when: str) -> None:
    ordeal = Ordeal(mixed, ROLLBACK, kill, KILLED, template=migrated)
    _, schema = ordeal.undisturbed()
    for number in count(1):
        reset(mixed, migrated)
        if doomed(mixed, number, when, ROLLBACK) == 0:
            break
        wait_until_alone(mixed)
        assert disagreements(mixed) == [], number
        ordeal.rerun(schema, f"{when} message {number}")
    assert number > 20


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 10))])
def test_migrate_survives_being_killed_again_and_again(mixed: Project, seed: int) -> None:
    ordeal = Ordeal(mixed, MIGRATE, kill, KILLED)
    _, schema = ordeal.undisturbed()
    reset(mixed)
    rng = random.Random(seed)
    for _ in range(15):
        doomed(mixed, rng.randrange(2, 9), rng.choice(["before", "sent"]))
        wait_until_alone(mixed)
        assert disagreements(mixed) == []
    ordeal.rerun(schema, f"seed {seed}")


def test_a_rerun_gets_the_lock_soon_after_a_kill_in_a_long_statement(project: Project) -> None:
    project.add(1, "create table t (id int)")
    project.add(2, "select pg_sleep(3600)")
    with running(project, "migrate"):
        until_asleep(project)
    project.add(2, "select 1")

    project.migrator(lock_wait="2min").migrate()

    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", True)]
