"""The pages of `status --html` and `history --html`: written by the commands, and opened in Chromium."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from sqlmigrate.errors import SqlMigrateError
from tests.integration.test_page import CONTRAST, browser, opened
from tests.project import Project

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
