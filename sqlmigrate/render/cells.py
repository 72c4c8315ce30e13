"""Widths of text on a terminal, in cells, and texts cut to a width. Styles have no width."""

from __future__ import annotations

import re
import unicodedata

_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")
_RESET = "\x1b[0m"
_WITHOUT_WIDTH = ("Mn", "Me", "Cf")


def width(text: str) -> int:
    """Returns how many cells a line takes; a Chinese character takes two, a combining accent none."""
    text = _STYLE.sub("", text)
    return len(text) if text.isascii() else sum(map(_width_of, text))


def cut(text: str, cells: int) -> str:
    """Returns the line if it fits, otherwise its start with an ellipsis."""
    if width(text) <= cells:
        return text
    left = max(cells - 1, 0)
    kept: list[str] = []
    for part in _STYLE.split(text):
        if _STYLE.fullmatch(part):
            kept.append(part)
            continue
        for character in part:
            left -= _width_of(character)
            if left < 0:
                return "".join([*kept, "…"[:cells], _RESET if "\x1b" in text else ""])
            kept.append(character)
    return "".join(kept)


def _width_of(character: str) -> int:
    if unicodedata.category(character) in _WITHOUT_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
