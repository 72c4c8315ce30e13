"""The project's own migrations, up and down, as the linter sees them: without an ignore among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlmigrate.lint import Finding, Options, lint
from tests.servers import ROOT

MIGRATIONS = ROOT / "migrations"
FILES = [str(path) for path in sorted(MIGRATIONS.glob("*.sql"))]


def linted(options: Options) -> list[Finding]:
    return lint(FILES, [str(MIGRATIONS)], options)


def test_nothing_is_kept_quiet() -> None:
    assert len(FILES) > 30
    assert not [path for path in FILES if "ignore" in Path(path).read_text()]


@pytest.mark.parametrize("version", [15, 16, 17, 18])
def test_they_are_clean(version: int) -> None:
    assert linted(Options(postgres=version)) == []


def test_in_matters_of_style_their_indexes_come_in_the_files_behind() -> None:
    """Such an index is built concurrently, and so it is not in the file with the foreign key."""
    found = linted(Options(preset="all"))
    assert {one.rule for one in found} <= {"foreign-key-without-index"}
    wanted = [one.safer.split(" on ")[1].rstrip(");").replace(" ", "") for one in found]
    behind = "".join("".join(Path(path).read_text().lower().split()) for path in FILES if "index_" in path)
    assert wanted
    assert all(f"on{index}" in behind for index in wanted)


def test_the_server_has_nothing_to_say_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(ROOT / ".local"))
    assert linted(Options(replay=True)) == []
