"""The linter reports nothing about the migrations of this repository, which contain no ignore comment."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlmigrate.lint import Finding, Options, lint
from tests.servers import ROOT

MIGRATIONS = ROOT / "migrations"
FILES = [str(path) for path in sorted(MIGRATIONS.glob("*.sql"))]


def linted(options: Options) -> list[Finding]:
    return lint(FILES, [str(MIGRATIONS)], options)


def test_migrations_contain_no_ignore_comment() -> None:
    assert len(FILES) > 30
    assert not [path for path in FILES if "ignore" in Path(path).read_text()]


@pytest.mark.parametrize("version", [15, 16, 17, 18])
def test_migrations_are_clean(version: int) -> None:
    assert linted(Options(postgres=version)) == []


def test_later_files_index_the_foreign_keys() -> None:
    """An index that is built concurrently cannot be in the file that adds the foreign key."""
    found = linted(Options(preset="all"))
    assert {finding.rule for finding in found} <= {"foreign-key-without-index"}
    wanted = [finding.safer.sql.split(" on ")[1].rstrip(");").replace(" ", "") for finding in found]
    behind = "".join("".join(Path(path).read_text().lower().split()) for path in FILES if "index_" in path)
    assert wanted
    assert all(f"on{index}" in behind for index in wanted)


def test_replay_has_no_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(ROOT / ".local"))
    assert linted(Options(replay=True)) == []
