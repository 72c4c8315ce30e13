"""The site: built without a warning, every link leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sqlmigrate.cli import main
from tests.docs.pages import PAGES
from tests.servers import ROOT

pytestmark = pytest.mark.anywhere

CHROMIUM = "/usr/bin/chromium"


def build(directory: Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    built = build(directory)
    assert built.returncode == 0, built.stderr
    return directory


class Links(HTMLParser):
    """What a page refers to, what it loads, and the names of its places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places |= {str(given[name]) for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.add(str(given["href"]))
        self.loaded |= {str(given["src"])} if given.get("src") else set()
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loaded.add(str(given["href"]))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {path: Links(path.read_text()) for path in site.rglob("*.html")}


def test_every_page_of_the_documentation_is_there(site: Path) -> None:
    names = {path.stem for path in PAGES if path.parent == ROOT / "docs"} | {"rules", "commands", "changelog"}
    assert names <= {path.stem for path in site.glob("*.html")}


def test_every_link_within_it_leads_somewhere(site: Path, pages: dict[Path, Links]) -> None:
    broken = []
    for page, found in pages.items():
        for link in found.links | found.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("/"):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            known = pages[target].places if target in pages else set()
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in known):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert broken == []


def test_links_to_elsewhere_are_well_formed_and_nothing_is_loaded_from_there(pages: dict[Path, Links]) -> None:
    links = {link for found in pages.values() for link in found.links if urlsplit(link).scheme}

    assert [link for link in links if not re.fullmatch(r"https://[\w.-]+\.[a-z]+(/[\w./#?=-]*)?", link)] == []
    assert [one for found in pages.values() for one in found.loaded if urlsplit(one).netloc] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_every_link_of_the_root_s_pages_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(#[\w-]+)?\)", (ROOT / name).read_text())

    assert [link for link, _ in links if "://" not in link and not (ROOT / link).exists()] == []


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[gone](gone.md)\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: x\ntheme: {name: material, font: false}\n")

    built = build(tmp_path / "site", cwd=tmp_path)

    assert built.returncode == 1
    assert "contains a link 'gone.md'" in built.stderr


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "commands.html").read_text())

    for name, command in main.commands.items():
        assert f"sqlmigrate {name}" in text
        for option in (option for each in command.params for option in each.opts if option.startswith("--")):
            assert option in text, f"{name} {option}"


def shape(name: str) -> list[str]:
    """A page's headings by their depth, its tables by their columns, its commands without their comments."""
    lines = re.findall(r"^(?:#+(?= )|\|.*|\$.*|!\[)", (ROOT / name).read_text(), re.MULTILINE)
    return [f"| {line.count('|')}" if line[0] == "|" else line.partition("  #")[0].strip() for line in lines]


def test_both_readmes_have_the_same_parts() -> None:
    assert shape("README.md") == shape("README.zh-CN.md")


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site on the loopback address."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has none for root
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield running
        running.close()


def opened(browser: Browser, url: str, width: int, scheme: str = "light") -> Page:
    """A page; a request to elsewhere or an error in the console fails the test."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url, wait_until="networkidle")
    here = url.split("/")[2]
    assert [one for one in requests if urlsplit(one).netloc not in (here, "")] == []
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
def test_a_page_is_read_without_a_server(browser: Browser, site: Path) -> None:
    page = opened(browser, (site / "index.html").as_uri(), 1280)
    page.locator("article a", has_text="Quick start").first.click()
    assert page.locator("article h1", has_text="Quick start").is_visible()
    page.close()


@pytest.mark.debian
@pytest.mark.parametrize("served", ["by a server", "from a directory"])
def test_search_finds_a_message(browser: Browser, site: Path, address: str, served: str) -> None:
    page = opened(browser, f"{address}/index.html" if served == "by a server" else (site / "index.html").as_uri(), 1280)
    page.keyboard.press("/")
    page.keyboard.type("half-rolled-back")
    page.locator(".md-search-result__item a[href*='troubleshooting.html']").first.wait_for(timeout=10_000)
    page.close()
