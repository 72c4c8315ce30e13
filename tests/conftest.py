from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.polling import LIMIT
from tests.project import Project
from tests.servers import Server, execute, serve, server_choice

# The duration of an example depends on the load of the machine.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
_numbers = itertools.count()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """SQLMIGRATE_TEST_SAMPLE=10:SEED keeps 10 % of the tests; each worker chooses the same ones."""
    percent, _, seed = os.environ.get("SQLMIGRATE_TEST_SAMPLE", "").partition(":")
    if percent:
        chosen = [item for item in items if zlib.crc32(f"{seed} {item.nodeid}".encode()) % 100 < int(percent)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serve(server_choice()) as running:
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The connection string of a new, empty database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    execute(server.conninfo, f"create database {name} {server.copy_strategy}")
    yield server.database(name)
    execute(server.conninfo, f"drop database {name} with (force)")


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts do not depend on the machine: what takes long makes messages smaller, and opens a second connection."""
    monkeypatch.setattr("sqlmigrate.execution.batches._SECONDS", LIMIT)
    monkeypatch.setattr("sqlmigrate.server.network._TICK", LIMIT)


@pytest.fixture
def project(server: Server, database: str, tmp_path: Path) -> Project:
    """A new database and an empty migrations directory."""
    (tmp_path / "migrations").mkdir()
    return Project(server, database, tmp_path)
