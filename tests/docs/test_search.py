"""Tests the site's search, with its own scripts and its own index: it finds a message by any three of its words."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from playwright._impl._driver import compute_driver_executable

from tests.docs.test_reference import MESSAGES, documented

pytestmark = pytest.mark.anywhere

PAGE = "troubleshooting.html"
Results = list[list[str]]
Search = Callable[[str], Results]


@pytest.fixture(scope="module")
def process(site: Path) -> Iterator[subprocess.Popen[str]]:
    node, _ = compute_driver_executable()
    script = Path(__file__).with_name("search.js")
    pipe = subprocess.PIPE
    with subprocess.Popen([node, script, site], stdin=pipe, stdout=pipe, text=True) as process:
        yield process


@pytest.fixture(scope="module")
def search(process: subprocess.Popen[str]) -> Search:
    """Returns the function that searches: it returns the pages, best first, each as the locations of its entries."""

    def results(query: str) -> Results:
        assert process.stdin
        assert process.stdout
        print(json.dumps(query), file=process.stdin, flush=True)
        return cast("Results", json.loads(process.stdout.readline()))

    return results


def pages(results: Results) -> list[str]:
    return [entries[0].partition("#")[0] for entries in results]


def words(message: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"\w+", message)))


def reasons() -> set[str]:
    """Returns the messages of libpq and of the server on the page."""
    connections, server = (
        MESSAGES.partition(f"\n## {title}\n")[2] for title in ("Connections", "Messages of the server")
    )
    of_libpq = re.findall(r"^\| ([^|]+) \|", connections.partition("\n## ")[0], re.MULTILINE)
    of_server = re.findall(r"^\| \w{5} \| ([^|]+) \|", server, re.MULTILINE)
    return {
        reason for cell in (*of_libpq, *of_server) for reason in re.split(", (?=role|no|too|remaining|pg_hba)", cell)
    }


def messages() -> list[str]:
    """Returns the messages of at least three words, without statements of SQL."""
    texts = documented() | reasons()
    return sorted(message for message in texts if len(words(message)) >= 3 and not message.isupper())


def test_a_message_is_found_by_any_three_of_its_words(search: Search) -> None:
    draw = random.Random(10)
    queries = [" ".join(draw.sample(words(message), 3)) for message in messages() for _ in range(4)]

    assert len(queries) > 800
    assert [query for query in queries if PAGE not in pages(search(query))[:2]] == []


@pytest.mark.parametrize(
    "message",
    [
        "is not a version",
        "could not obtain the migration lock within",
        "no password supplied",
        "deadlock detected",
        "the file is a draft",
        "is blocked by",
    ],
)
def test_the_message_itself_is_a_result_and_leads_to_its_place(search: Search, site: Path, message: str) -> None:
    found = dict(zip(pages(results := search(message)), results, strict=True))
    anchors = [entry.partition("#")[2] for entry in found[PAGE] if "#message-" in entry]
    html = (site / PAGE).read_text()
    texts = [re.sub(r"<[^>]+>", "", html.partition(f'id="{anchor}"')[2][:2000]) for anchor in anchors]

    assert any(message in text for text in texts)


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("rollback", "rollback.html"),
        ("roll back", "rollback.html"),
        ("baseline", "baseline.html"),
        ("approval", "approval.html"),
        ("backup", "backup.html"),
        ("hooks", "hooks.html"),
        ("kubernetes", "containers.html"),
        ("linter", "lint.html"),
        ("rules", "rules.html"),
        ("generate", "generate.html"),
        ("pytest", "testing.html"),
        ("security", "security.html"),
        ("json", "json.html"),
        ("benchm", "benchmarks/index.html"),
    ],
)
def test_a_subject_is_found_by_its_name_or_the_start_of_it(search: Search, query: str, page: str) -> None:
    assert page in pages(search(query))[:3]


@pytest.mark.parametrize("query", ["--create-database", "--dry-run", '"lock-wait"', "sqlmigrate: -V"])
def test_a_query_contains_no_operators(search: Search, query: str) -> None:
    assert "commands.html" in pages(search(query))


def test_words_that_no_page_has_together_are_searched_one_by_one(search: Search) -> None:
    assert "containers.html" in pages(search("kubernetes zebra"))
    assert search("zebra") == []
    assert search("…") == []
    assert "containers.html" in pages(search("kubernetes"))
