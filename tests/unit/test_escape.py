from __future__ import annotations

import re
from pathlib import Path

import pytest
from click import style, unstyle

import sqlmigrate
from sqlmigrate.render.escape import printable, visible
from sqlmigrate.render.levels import COLOURS as LEVEL_COLOURS

COLOURS = ("red", "green", "yellow", "cyan")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("é\t日本\n", "é\t日本\n"),
        ("a\x1b[2Jb", r"a\u001b[2Jb"),
        ("a\rb\x07", r"a\u000db\u0007"),
        ("\x9b8m", r"\u009b8m"),
        ("user\u202egpj.exe", r"user\u202egpj.exe"),
        ("\x1b[8mhidden", r"\u001b[8mhidden"),
        ("\x1b]0;title\x07", r"\u001b]0;title\u0007"),
    ],
)
def test_invisible_characters_are_escaped(text: str, expected: str) -> None:
    assert visible(text) == printable(text) == expected


def test_the_styles_of_the_output_are_kept() -> None:
    text = "".join(
        [*(style("x", fg=colour) for colour in COLOURS), style("x", bold=True), style("x", dim=True), "y\r\n"]
    )
    assert printable(text) == text
    assert unstyle(printable(text)) == "xxxxxxy\r\n"


def test_every_colour_in_use_is_kept() -> None:
    sources = "".join(path.read_text() for path in Path(sqlmigrate.__path__[0]).rglob("*.py"))
    assert set(re.findall(r"""fg=["'](\w+)["']""", sources)) <= set(COLOURS)


def test_each_level_of_a_finding_keeps_its_colour() -> None:
    for colour in LEVEL_COLOURS.values():
        assert printable(style("info", fg=colour)) == style("info", fg=colour)
