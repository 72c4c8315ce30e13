"""The findings in the labelled files are the same in one process and in several, with a cache and without one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from sqlmigrate.lint import Finding, Options, lint, linter, memory, parts, timeline
from tests.lint.cases import labelled_files

ALONE = Options(preset="all")
STORED = replace(ALONE, remembers=True)
IN_PARALLEL = replace(ALONE, processes=3)
# The cases of one directory, as one history; every fifth case.
LENGTH, EVERY = 12, 5


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(timeline, "_WORTH_IT", 1)
    monkeypatch.setattr(memory, "_LONG", 2)
    monkeypatch.setattr(parts, "_LENGTH", 3)
    return list(written(tmp_path))


def written(directory: Path) -> Iterable[Path]:
    texts = [text for case in islice(labelled_files(), 0, None, EVERY) for text in (case.earlier, case.sql) if text]
    for number, text in enumerate(texts):
        home = directory / f"d{number // LENGTH}"
        home.mkdir(exist_ok=True)
        path = home / f"V1.0.0-{number % LENGTH:03d}__case.{'down' if number % 5 == 4 else 'up'}.sql"
        path.write_text(text)
        yield path


def linted(files: Iterable[Path], options: Options) -> list[Finding]:
    return lint(map(str, files), options=options)


def test_several_processes_find_the_same(files: list[Path]) -> None:
    assert linted(files, IN_PARALLEL) == linted(files, ALONE)


def test_the_cache_returns_the_same(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = linted(files, ALONE)
    assert linted(files, STORED) == expected
    monkeypatch.setattr(linter, "_shared", None)
    assert linted(files, STORED) == expected


@pytest.mark.parametrize("place", [-1, 0, LENGTH // 2])
def test_a_changed_file_of_each_directory_changes_nothing_else(files: list[Path], place: int) -> None:
    linted(files, STORED)
    for first in range(0, len(files), LENGTH):
        changed = files[first : first + LENGTH][place : place + 1 or None]
        for path in changed:
            path.write_text(path.read_text() + "alter table orders add column note text;\n")
    expected = linted(files, ALONE)
    assert linted(files, STORED) == expected
    assert linted(files, STORED) == expected


def test_files_linted_one_after_the_other_have_the_same_findings(files: list[Path]) -> None:
    expected = linted(files[:LENGTH], ALONE)
    for path in files[:LENGTH]:
        mine = [finding for finding in expected if finding.location.path == str(path)]
        assert linted([path], ALONE) == mine
