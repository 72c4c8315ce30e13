"""Lines and columns in a text, counted from 1. Pure."""

from __future__ import annotations

from sqlmigrate.model import Location


def after(text: str, line: int = 1, column: int = 1) -> tuple[int, int]:
    """Returns line and column of the character that follows a text, which starts at the given line and column."""
    newlines = text.count("\n")
    return line + newlines, len(text) - text.rfind("\n") if newlines else column + len(text)


def locate(path: str, text: str, at: int, line: int = 1, column: int = 1) -> Location:
    """Returns the location of the character at an offset in a text, with its line, padded on the left."""
    before = text[:at]
    start = before.rfind("\n") + 1
    shown = text[start:].partition("\n")[0].rstrip("\r")
    return Location(path, *after(before, line, column), shown if start else " " * (column - 1) + shown)
