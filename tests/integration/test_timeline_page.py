"""The pages of `status --html` and `history --html`: written by the commands, and opened in Chromium."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from sqlmigrate.errors import SqlMigrateError
from sqlmigrate.history.log import LogEntry
from sqlmigrate.planning.planner import statuses
from sqlmigrate.render import timeline
from sqlmigrate.render.timeline import Place
from tests.integration.test_page import CONTRAST, browser, opened, picture
from tests.project import Project
from tests.unit.samples import WHEN, failed, migration, row

__all__ = ["browser"]  # the fixture

pytestmark = pytest.mark.anywhere


@pytest.fixture
def pages(project: Project) -> tuple[Path, Path]:
    """The pages of a history with a rollback, a failure, an approval and a pending migration."""
    project.add(1, "create table orders (id int);", "drop table orders;", name="create_orders")
    project.add(2, "create table customers (id int);", "drop table customers;", name="create_customers")
    project.migrator().migrate()
    project.migrator().rollback(steps=1)
    project.migrator().migrate()
    project.add(3, f"select 1;\nselect '{'x' * 300}'::int;", name=f"a_{'very_' * 20}long_name")
    project.add(4, "select 1;")
    assert project.cli("plan", "--out", "plan.json").returncode == 0
    assert project.cli("approve", "plan.json", "--yes").returncode == 0
    with contextlib.suppress(SqlMigrateError):
        project.migrator().migrate()
    for command in ("status", "history"):
        ran = project.cli(command, "--html", f"{command}.html")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert "v1.0.0-003" in ran.stdout
    return project.root / "status.html", project.root / "history.html"


def test_the_commands_write_the_pages(pages: tuple[Path, Path]) -> None:
    status, history = (path.read_text() for path in pages)
    assert "2 applied, 1 pending, 1 failed." in status
    for page in (status, history):
        assert page.count('<article class="run ') == 5
        assert all(text in page for text in ("rolled back", "plan approved", "invalid input syntax for type integer"))
        assert "public.migrations" in page


def test_the_page_of_history_has_only_the_selected_entries(project: Project) -> None:
    project.add(1, "select 1;")
    project.add(2, "select 2;")
    project.migrator().migrate()
    assert project.cli("history", "--version", "v1.0.0-002", "--html", "page.html").returncode == 0
    page = (project.root / "page.html").read_text()
    assert ("v1.0.0-001" in page, "v1.0.0-002" in page) == (False, True)


@pytest.mark.parametrize("command", ["status", "history"])
def test_a_page_that_cannot_be_written_is_reported(project: Project, command: str) -> None:
    project.add(1, "select 1;")
    ran = project.cli(command, "--html", "nowhere/page.html")
    assert (ran.returncode, 'could not write file "nowhere/page.html"' in ran.stderr) == (2, True)


@pytest.mark.debian
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_the_pages_are_readable(browser: Browser, pages: tuple[Path, Path], width: int, scheme: str) -> None:
    for path in pages:
        page = opened(browser, path, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) >= 4.5
        for text in ("failed", "rolled back", "plan approved"):
            assert page.locator(".run", has_text=text).first.is_visible()
        page.close()


@pytest.mark.debian
def test_the_pages_can_be_printed(browser: Browser, pages: tuple[Path, Path]) -> None:
    for path in pages:
        page = opened(browser, path, 740, "dark")
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("document.documentElement.scrollWidth") <= 740
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate(CONTRAST) >= 4.5
        assert len(page.pdf()) > 10_000
        page.close()


@pytest.mark.debian
def test_pictures(browser: Browser, tmp_path: Path) -> None:  # the fixture
    """The page of a history that always has the same times, for the documentation."""
    names = ("create_users", "create_orders", "add_total_to_orders", "index_orders", "drop_old_orders")
    files = [migration(number)._replace(name=name) for number, name in enumerate(names, 1)]
    entry = LogEntry(WHEN, "apply", "", "", "success", 0, "", "app_migrations", "deploy", "build-7", "r1", "")
    entries = [
        entry._replace(version=file.id, name=file.name, duration_ms=40 * 9**number, logged_at=WHEN + timedelta(hours=1))
        for number, file in enumerate(files[:3])
    ]
    last = WHEN + timedelta(days=6)
    entries += [
        entries[2]._replace(action="rollback", run_id="r2", logged_at=WHEN + timedelta(days=2)),
        entries[2]._replace(run_id="r3", logged_at=last, duration_ms=2900),
        entry._replace(version=files[3].id, name=names[3], run_id="r3", logged_at=last, outcome="failure",
                       duration_ms=61_000, error_msg='column "state" does not exist'),
    ]  # fmt: skip
    rows = [row(number, executed_by="app_migrations", executed_at=entries[0].logged_at) for number in (1, 2)]
    rows += [row(3, executed_by="app_migrations", executed_at=last, duration_ms=2900)]
    rows += [failed(4, executed_by="app_migrations", executed_at=last, error_msg=entries[-1].error_msg)]
    place = Place("db.example.com:5432", "alertagent", "public.migrations", last + timedelta(hours=2))
    written = tmp_path / "status.html"
    written.write_text(timeline.status(statuses(files, rows), entries, place), encoding="utf-8")
    for name, width, scheme in (("status.png", 1280, "light"), ("status-phone.png", 390, "dark")):
        page = opened(browser, written, width, scheme)
        assert page.locator("article").count() == 3
        picture(page, name)
        page.close()
