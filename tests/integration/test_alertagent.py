"""The project's own migrations: up, down and up again."""

from __future__ import annotations

import shutil

import pytest

from sqlmigrate.errors import MigrationFailed
from tests.project import Project
from tests.servers import ROOT
from tests.versions import SYNTAX


def test_up_down_up(project: Project) -> None:
    shutil.copytree(ROOT / "migrations", project.directory, dirs_exist_ok=True)
    count = len(list(project.directory.glob("*.up.sql")))
    empty = project.schema()
    if project.server.version < SYNTAX["nulls not distinct"]:
        with pytest.raises(MigrationFailed, match=r'v2\.0\.0-003 failed: syntax error at or near "nulls"'):
            project.migrator().migrate()
        return

    assert len(project.migrator().migrate().steps) == count
    first = project.schema()
    assert len(project.migrator().rollback(steps=count).steps) == count
    assert project.schema() == empty
    assert len(project.migrator().migrate().steps) == count

    assert project.schema() == first
    assert project.migrator().check().up_to_date
    assert project.migrator().validate() == []
