"""Lines and columns in a text, counted from 1. Pure."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate

from sqlmigrate.model import Location


def after(text: str, line: int = 1, column: int = 1) -> tuple[int, int]:
    """Returns line and column of the character that follows a text, which starts at the given line and column."""
    newlines = text.count("\n")
    return line + newlines, len(text) - text.rfind("\n") if newlines else column + len(text)


def locate(path: str, text: str, at: int, line: int = 1, column: int = 1) -> Location:
    """Returns the location of the character at an offset in a text, with its line, padded on the left."""
    at = min(at, len(text))
    starts = _starts(text)
    number = bisect_left(starts, at + 1) - 1
    start = starts[number]
    shown = _shown(text, start, starts[number + 1] if number + 1 < len(starts) else len(text) + 1, column)
    return Location(path, line + number, at - start + 1 if number else column + at, shown)


# Many findings can be in one long statement or line: these are kept so that each does not take time and memory for all
# of the text.
@lru_cache(maxsize=2)
def _starts(text: str) -> list[int]:
    """Returns the offset of each line."""
    return [0, *accumulate(len(line) + 1 for line in text.split("\n")[:-1])]


@lru_cache(maxsize=2)
def _shown(text: str, start: int, end: int, column: int) -> str:
    shown = text[start : end - 1].rstrip("\r")
    return shown if start else " " * (column - 1) + shown
