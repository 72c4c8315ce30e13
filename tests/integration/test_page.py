"""The page of `plan --html`, opened in Chromium."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sqlmigrate.model import Action, PlanRequest, Version
from sqlmigrate.planning.plan_file import Origin
from sqlmigrate.planning.review import Review, review
from sqlmigrate.render import html
from tests.project import Project
from tests.servers import ROOT

pytestmark = [pytest.mark.debian, pytest.mark.anywhere]

CHROMIUM = "/usr/bin/chromium"
# Set, the page's pictures in the docs are taken anew.
PICTURES = "SQLMIGRATE_WRITE_PICTURES"

UNSAFE = """-- Severities are numbers, and searched for.
alter table alerts add column rank smallint;
alter table alerts alter column severity type varchar(10);
create index alerts_rank_idx on alerts (rank) where rank > 2;
comment on column alerts.rank is '5 is the worst';
"""

# The least contrast of any text with what is painted behind it, by WCAG's formula.
CONTRAST = """() => {
  const parsed = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parsed(colour).map((value) => value / 255).map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return (parsed(colour)[3] ?? 1) > 0 ? colour : behind(element.parentElement);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let least = 21;
  while (texts.nextNode()) {
    if (!texts.currentNode.data.trim()) continue;
    const element = texts.currentNode.parentElement;
    const [low, high] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => a - b);
    least = Math.min(least, (high + 0.05) / (low + 0.05));
  }
  return least;
}"""  # noqa: E501  # a formula stays on its line


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has none for root
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield running
        running.close()


@pytest.fixture
def alertagent(project: Project, monkeypatch: pytest.MonkeyPatch) -> Review:
    """The plan of the project's own migrations against a database that has the first version."""
    shutil.copytree(ROOT / "migrations", project.directory, dirs_exist_ok=True)
    monkeypatch.chdir(project.root)
    project.migrator(dir=("migrations",)).migrate(Version(1, 0, 0, 2))
    return reviewed(project)


def reviewed(project: Project) -> Review:
    found = project.migrator(dir=("migrations",)).review(PlanRequest(Action.APPLY))
    # The name of a test's database changes from run to run, and would be in the pictures; so would the time.
    origin = Origin("db.example.com:5432", "deploy (ci@build-7)", datetime(2026, 11, 24, 20, 26, 30, tzinfo=UTC))
    return review(found.plan, found.request, {**found.inputs, "database": "alertagent"}, found.findings, origin=origin)


@pytest.fixture
def unsafe(alertagent: Review, project: Project) -> Path:
    """The page of a migration behind AlertAgent's that locks and fails."""
    project.migrator(dir=("migrations",)).migrate()
    project.write("V2.1.0-001__severities.up.sql", UNSAFE)
    written = project.root / "unsafe.html"
    written.write_text(html.review(reviewed(project)), encoding="utf-8")
    return written


def opened(browser: Browser, path: Path, width: int, scheme: str = "light") -> Page:
    """The page in a window of that width; a request but for itself or an error in the console fails the test."""
    page = browser.new_page(viewport={"width": width, "height": 1000 if width > 400 else 844})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    requests: list[str] = []
    errors: list[str] = []
    page.goto(path.as_uri(), wait_until="networkidle")
    assert (requests, errors) == ([path.as_uri()], [])
    return page


@pytest.fixture
def path(alertagent: Review, tmp_path: Path) -> Path:
    written = tmp_path / "plan.html"
    written.write_text(html.review(alertagent), encoding="utf-8")
    return written


def picture(page: Page, name: str) -> None:
    if os.environ.get(PICTURES):
        page.screenshot(path=ROOT / "docs" / "images" / name)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_the_page_is_readable(browser: Browser, path: Path, width: int, scheme: str) -> None:
    page = opened(browser, path, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("Math.max(...[...document.querySelectorAll('.sql')].map(box => box.scrollWidth))") > width / 2
    assert page.evaluate(CONTRAST) >= 4.5
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 21, 25)"
    assert dark == (scheme == "dark")
    page.close()


def test_the_page_contains_every_statement_of_the_plan(browser: Browser, path: Path, alertagent: Review) -> None:
    page = opened(browser, path, 1280)
    shown = page.locator("main").text_content() or ""
    for step in alertagent.steps:
        assert step.step.path in shown
        for statement in (reviewed for transaction in step.transactions for reviewed in transaction.statements):
            assert statement.sql in shown
    header = page.locator("header").inner_text()
    assert all(text in header for text in (alertagent.digest, "alertagent", "migrations, 2 rows"))
    page.close()


def test_locks_are_beside_their_statement_and_below_it_on_a_phone(browser: Browser, path: Path) -> None:
    for width, beside in ((1280, True), (390, False)):
        page = opened(browser, path, width)
        statement = page.locator(".statement.reads").first
        sql, findings = statement.locator(".sql").bounding_box(), statement.locator(".findings").bounding_box()
        assert sql is not None
        assert findings is not None
        assert (findings["x"] >= sql["x"] + sql["width"]) == beside
        assert (findings["y"] >= sql["y"] + sql["height"]) == (not beside)
        page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_lint_findings_are_beside_the_sql_and_readable(browser: Browser, unsafe: Path, width: int, scheme: str) -> None:
    page = opened(browser, unsafe, width, scheme)
    statement = page.locator(".statement", has_text="create index alerts_rank_idx").first
    finding = statement.locator(".linted li", has_text="index-not-concurrent")
    safer = finding.locator(".safer")
    assert "create index concurrently alerts_rank_idx" in safer.inner_text()
    assert safer.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert page.locator("main section").filter(has_text="Lint findings").locator("li").count() >= 2
    assert page.locator(".statement", has_text="comment on column").locator(".linted").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) >= 4.5
    page.close()


def test_a_link_leads_to_the_statement(browser: Browser, path: Path) -> None:
    page = opened(browser, path, 1280)
    link = page.locator(".waits a", has_text=re.compile(r"^\d+$")).first
    place = str(link.get_attribute("href"))
    link.click()
    box = page.locator(place).bounding_box()
    title = page.locator(f"{place.rpartition('-')[0]} .title").bounding_box()
    assert box is not None
    assert title is not None
    assert title["y"] + title["height"] <= box["y"] < 1000
    page.close()


def test_no_line_is_cut_on_paper(browser: Browser, path: Path) -> None:
    page = opened(browser, path, 740, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("[...document.querySelectorAll('.sql')].every(box => box.scrollWidth <= box.clientWidth)")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()


def test_the_content_of_files_is_escaped(browser: Browser, project: Project) -> None:
    attack = "</style></pre><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    quoted = attack.replace("'", "''")
    project.add(1, f"select '{quoted}';\n/* {attack} */ select 1;", name="<img src=x>")
    target = project.root / "plan.html"
    target.write_text(html.review(project.migrator().review(PlanRequest(Action.APPLY))), encoding="utf-8")
    page = opened(browser, target, 390)
    assert page.title().startswith("Migration of test_")
    assert quoted in (page.locator("main").text_content() or "")
    assert page.locator("img, script").count() == 0
    page.close()


def test_the_command_writes_the_page(browser: Browser, project: Project) -> None:
    project.add(1, "create table t (); drop table t;")
    ran = project.cli("plan", "--html", "plan.html", "--out", "plan.json")
    assert ran.returncode == 0, ran.stderr
    page = opened(browser, project.root / "plan.html", 1280)
    digest = page.locator("header .digest code").inner_text()
    assert f'"digest": "{digest}"' in (project.root / "plan.json").read_text()
    assert f"digest {digest}" in ran.stdout
    page.close()


def test_pictures(browser: Browser, path: Path, unsafe: Path) -> None:
    for name, shown, width, scheme, at in (
        ("plan.png", path, 1280, "light", ""),
        ("plan-dark.png", path, 1280, "dark", "step-15"),
        ("plan-phone.png", path, 390, "light", "step-15"),
        ("plan-findings.png", unsafe, 1280, "light", "step-1"),
    ):
        page = opened(browser, shown, width, scheme)
        page.evaluate("at => { location.hash = at; }", at)
        assert page.locator(f"#{at or 'top'}").is_visible()
        picture(page, name)
        page.close()
