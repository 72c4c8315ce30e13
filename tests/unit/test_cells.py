from __future__ import annotations

import pytest
from click import style

from sqlmigrate.render.cells import cut, width


@pytest.mark.parametrize(
    ("text", "cells"),
    [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("漢字", 4), ("ｗ", 2), (style("abc", fg="red"), 3), ("✓ …", 3)],
)
def test_width_counts_the_cells_of_a_terminal(text: str, cells: int) -> None:
    assert width(text) == cells


@pytest.mark.parametrize(
    ("text", "cells", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abcd", 1, "…"),
        ("abcd", 0, ""),
        ("漢字漢字", 5, "漢字…"),
        ("漢字漢字", 4, "漢…"),
        ("ae\u0301bcd", 4, "ae\u0301b…"),
        (style("abcd", fg="red"), 3, "\x1b[31mab…\x1b[0m"),
        (style("ab", fg="red") + "cd", 4, "\x1b[31mab\x1b[0mcd"),
    ],
)
def test_a_line_is_cut_to_the_cells_that_there_are(text: str, cells: int, expected: str) -> None:
    assert cut(text, cells) == expected
    assert width(cut(text, cells)) <= cells
