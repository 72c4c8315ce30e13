from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.faults import mix
from tests.project import Project
from tests.servers import execute


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def mixed(project: Project) -> Project:
    """A project with every sort of migration."""
    mix.write(project)
    return project


@pytest.fixture
def migrated(mixed: Project) -> Iterator[str]:
    """The name of a database in which all of `mixed` is applied; not the project's own."""
    mixed.migrator().migrate()
    name = conninfo_to_dict(mixed.database)["dbname"]
    execute(mixed.server.conninfo, f"create database {name}_migrated template {name}")
    yield f"{name}_migrated"
    execute(mixed.server.conninfo, f"drop database {name}_migrated with (force)")
