"""Two releases migrate one database at the same time, as in a rolling deployment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import Project

VIEW = "R__report.sql"
OLD, NEW = (f"create or replace view report as select {number} as release" for number in (1, 2))


@pytest.fixture
def releases(project: Project, tmp_path: Path) -> tuple[str, str]:
    """The directories of an old release, which has migrated the database, and of a new release."""
    project.add(1, "create table t (a int)")
    project.write(VIEW, OLD)
    project.migrator().migrate()
    new = tmp_path / "new"
    new.mkdir()
    for file in project.directory.iterdir():
        (new / file.name).write_bytes(file.read_bytes())
    (new / "V1.0.0-002__second.up.sql").write_text("alter table t add b int")
    (new / "V1.0.0-002__second.down.sql").write_text("alter table t drop b")
    (new / VIEW).write_text(NEW)
    return str(project.directory), str(new)


def release_of_view(project: Project) -> object:
    return project.query("select release from report")[0][0]


def test_the_old_release_leaves_the_view_of_the_new_release(project: Project, releases: tuple[str, str]) -> None:
    old, new = releases

    for directory in (new, old, new, old):
        run = project.migrator(dir=(directory,)).migrate()
        assert release_of_view(project) == 2

    assert [problem.code for problem in run.warnings] == ["newer", "superseded"]
    assert project.query("select count(*) from migrations_log where version = 'R__report'") == [(2,)]


def test_the_status_of_the_old_release_shows_what_it_leaves(project: Project, releases: tuple[str, str]) -> None:
    old, new = releases
    project.migrator(dir=(new,)).migrate()
    behind = project.migrator(dir=(old,))

    assert [status.state.value for status in behind.status()][-1] == "superseded"
    assert behind.check().pending == ()


def test_after_a_rollback_of_the_new_release_the_old_view_runs_again(
    project: Project, releases: tuple[str, str]
) -> None:
    old, new = releases
    project.migrator(dir=(new,)).migrate()
    project.migrator(dir=(new,)).rollback(steps=1)

    project.migrator(dir=(old,)).migrate()

    assert release_of_view(project) == 1
