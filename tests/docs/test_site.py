"""Tests the site: it builds without a warning, its links work, and it loads nothing from other hosts."""

from __future__ import annotations

import functools
import os
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sqlmigrate.cli import main
from tests.docs.conftest import build
from tests.docs.pages import PAGES
from tests.servers import ROOT

pytestmark = pytest.mark.anywhere

CHROMIUM = "/usr/bin/chromium"


class Links(HTMLParser):
    """The links of a page, the files that it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {str(values[name]) for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.add(str(values["href"]))
        self.loaded |= {str(values["src"])} if values.get("src") else set()
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loaded.add(str(values["href"]))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {path: Links(path.read_text()) for path in site.rglob("*.html")}


def test_the_site_contains_each_page(site: Path) -> None:
    names = {path.stem for path in PAGES if path.parent == ROOT / "docs"} | {"rules", "commands", "changelog"}
    assert names <= {path.stem for path in site.glob("*.html")}


def test_each_internal_link_has_a_target(site: Path, pages: dict[Path, Links]) -> None:
    broken = []
    for page, content in pages.items():
        for link in content.links | content.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("/"):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            anchors = pages[target].anchors if target in pages else set()
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert broken == []


def test_external_links_are_well_formed_and_nothing_external_is_loaded(pages: dict[Path, Links]) -> None:
    links = {link for page in pages.values() for link in page.links if urlsplit(link).scheme}

    assert [link for link in links if not re.fullmatch(r"https://[\w.-]+\.[a-z]+(/[\w./#?=-]*)?", link)] == []
    assert [url for page in pages.values() for url in page.loaded if urlsplit(url).netloc] == []


def anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives to a page's headings, and those in its HTML."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    numbered = [f"{slug}-{slugs[:at].count(slug)}" for at, slug in enumerate(slugs) if slug in slugs[:at]]
    return {*slugs, *numbered, *re.findall(r'<a (?:id|name)="([^"]+)"', text)}


IN_REPOSITORY = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("[be]*/**/*.md")})


@pytest.mark.parametrize("page", IN_REPOSITORY, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_of_the_repository_s_pages_has_a_target(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", re.sub(r"`[^`\n]+`", "", text))
    targets = [(link, (page.parent / link if link else page), anchor) for link, anchor in links if "://" not in link]

    assert [link for link, target, _ in targets if not target.exists()] == []
    assert [f"{link}#{anchor}" for link, to, anchor in targets if anchor and anchor not in anchors(to)] == []


def test_the_first_page_links_the_reference_of_the_commands(pages: dict[Path, Links], site: Path) -> None:
    assert "commands.html" in pages[site / "index.html"].links


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[gone](gone.md)\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: x\ntheme: {name: material, font: false}\n")

    process = build(tmp_path / "site", cwd=tmp_path)

    assert process.returncode == 1
    assert "contains a link 'gone.md'" in process.stderr


def test_the_reference_contains_each_command_and_option(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "commands.html").read_text())

    for name, command in main.commands.items():
        assert f"sqlmigrate {name}" in text
        for option in (name for parameter in command.params for name in parameter.opts if name.startswith("--")):
            assert option in text, f"{name} {option}"


def structure(name: str) -> list[str]:
    """Returns the levels of the headings, the columns of the tables, and the commands without comments of a page."""
    lines = re.findall(r"^(?:#+(?= )|\|.*|\$.*|!\[)", (ROOT / name).read_text(), re.MULTILINE)
    return [f"| {line.count('|')}" if line[0] == "|" else line.partition("  #")[0].strip() for line in lines]


def test_both_readmes_have_the_same_structure() -> None:
    assert structure("README.md") == structure("README.zh-CN.md")


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serves the site on the loopback address."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parameter name of the base class
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield running
        running.close()


def opened(browser: Browser, url: str, width: int, scheme: str = "light") -> Page:
    """Opens a page. A request to another host or an error in the console fails the test."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url, wait_until="networkidle")
    host = url.split("/")[2]
    assert [request for request in requests if urlsplit(request).netloc not in (host, "")] == []
    assert errors == []
    return page


@pytest.mark.debian
@pytest.mark.parametrize("name", ["index", "commands", "troubleshooting", "coming-from"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_page_is_readable(browser: Browser, address: str, name: str, width: int, scheme: str) -> None:
    page = opened(browser, f"{address}/{name}.html", width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    red = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[0]
    assert int(red) == 255 if scheme == "light" else int(red) < 40
    assert page.locator("article h1").is_visible()
    page.close()


@pytest.mark.debian
def test_a_page_opens_from_a_directory(browser: Browser, site: Path) -> None:
    page = opened(browser, (site / "index.html").as_uri(), 1280)
    page.locator("article a", has_text="Quick start").first.click()
    page.locator("article h1", has_text="Quick start").wait_for(timeout=10_000)
    page.close()


@pytest.mark.debian
@pytest.mark.parametrize("served", ["by a server", "from a directory"])
def test_search_finds_a_message(browser: Browser, site: Path, address: str, served: str) -> None:
    page = opened(browser, f"{address}/index.html" if served == "by a server" else (site / "index.html").as_uri(), 1280)
    page.keyboard.press("/")
    page.keyboard.type("half-rolled-back")
    page.locator(".md-search-result__item a[href*='troubleshooting.html']").first.wait_for(timeout=10_000)
    page.close()


LAST_COLUMNS = """() => [...document.querySelectorAll("article table:not([class])")].map((table) => {
  const right = () => Math.round(table.rows[0].lastElementChild.getBoundingClientRect().right);
  const before = right();
  table.closest(".md-typeset__scrollwrap").scrollLeft = 10_000;
  return [table.rows[0].innerText, before, right()];
})"""


@pytest.mark.debian
def test_each_table_shows_its_last_column_on_a_phone(browser: Browser, site: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    tables = []
    for path in site.glob("*.html"):
        page.goto(path.as_uri())
        tables += [(path.name, *table) for table in page.evaluate(LAST_COLUMNS)]
    page.close()

    assert len(tables) > 80
    assert [table for table in tables if table[-1] > 390] == []
    assert {name for name, _, before, _ in tables if before > 390} <= {"coming-from.html"}  # of six columns
