"""The project's own migrations: up, down and up again."""

from __future__ import annotations

import shutil

from tests.project import Project
from tests.servers import ROOT


def test_up_down_up(project: Project) -> None:
    shutil.copytree(ROOT / "migrations", project.directory, dirs_exist_ok=True)
    count = len(list(project.directory.glob("*.up.sql")))
    empty = project.schema()

    assert len(project.migrator().migrate().steps) == count
    first = project.schema()
    assert len(project.migrator().rollback(steps=count).steps) == count
    assert project.schema() == empty
    assert len(project.migrator().migrate().steps) == count

    assert project.schema() == first
    assert project.migrator().check().up_to_date
    assert project.migrator().validate() == []
