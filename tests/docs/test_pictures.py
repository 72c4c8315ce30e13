"""The pictures of the terminal: `make docs-picture` draws each that a page shows, and none besides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.terminal_pictures import IMAGES, SCENES, picture_of

PAGE = IMAGES.parent / "terminal.md"


def test_the_page_shows_each_state_that_is_drawn() -> None:
    shown = re.findall(r"\]\(images/(terminal[\w-]*\.svg)\)", PAGE.read_text())
    drawn = [picture_of(scene).name for scene in SCENES]
    assert shown == drawn[1:]
    assert {path.name for path in IMAGES.glob("terminal*.svg")} == set(drawn)


@pytest.mark.parametrize("picture", [picture_of(scene) for scene in SCENES], ids=lambda path: path.stem)
def test_a_picture_loads_nothing_and_contains_a_command(picture: Path) -> None:
    svg = picture.read_text()
    assert re.findall(r"(?:href|src|url)[=(]\W?(?!#)(\w+:[^\"')]*)", svg) == []
    assert "sqlmigrate&#160;migrate" in svg
