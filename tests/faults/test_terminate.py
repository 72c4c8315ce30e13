"""The server's side dies: our backend is terminated, or the whole server is stopped at once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import mix
from tests.faults.mix import MIGRATE, ROLLBACK, Ordeal
from tests.faults.waiting import OURS, running, until_asleep
from tests.project import Project
from tests.servers import LOCAL_BIN, OwnServer, Server, local


def terminate(project: Project, _: subprocess.Popen[str]) -> None:
    project.query(f"select pg_terminate_backend(pid) from pg_stat_activity where {OURS}")


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.long)])
def test_migrate_survives_termination_of_its_backend_at_random_moments(mixed: Project, times: int) -> None:
    Ordeal(mixed, MIGRATE, terminate, [1]).endure(times, seed=4)


@pytest.mark.long
def test_rollback_survives_termination_of_its_backend_at_random_moments(mixed: Project, migrated: str) -> None:
    Ordeal(mixed, ROLLBACK, terminate, [1], template=migrated).endure(50, seed=5)


def test_a_terminated_backend_is_reported(project: Project) -> None:
    project.add(1, "select pg_sleep(60)")
    with running(project, "migrate") as process:
        until_asleep(project)
        terminate(project, process)
        _, stderr = process.communicate()

    assert process.returncode == 1
    assert "the connection was lost: " in stderr
    assert "terminating connection due to administrator command" in stderr
    assert "run the command again: it continues after the last committed migration" in stderr


@pytest.fixture(scope="module")
def own_server(server: Server) -> Iterator[OwnServer]:
    with local(server.bin if (server.bin / "pg_ctl").exists() else LOCAL_BIN) as running_server:
        yield running_server


@pytest.fixture
def breakable(own_server: OwnServer, tmp_path: Path) -> Project:
    """The mixed project on a server of its own."""
    (tmp_path / "migrations").mkdir()
    project = Project(own_server, own_server.database("breakable"), tmp_path)
    mix.write(project)
    return project


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.long)])
def test_migrate_survives_an_immediate_shutdown_at_random_moments(
    breakable: Project, own_server: OwnServer, times: int
) -> None:
    def stop(_: Project, __: subprocess.Popen[str]) -> None:
        own_server.stop("immediate")

    Ordeal(breakable, MIGRATE, stop, [1], recover=own_server.start).endure(times, seed=6)
