"""The progress on stderr: on a terminal, one line is redrawn in place; elsewhere, a long wait writes few lines."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_CLEAR_LINE = "\r\x1b[K"
_ROOM = 3  # columns: for ^C and the cursor
_DEFAULT_WIDTH = 80  # a new pseudo-terminal may report 0 columns


class Screen:
    """Lines on stderr; on a terminal, the last one can be redrawn.

    `write` writes a text to stderr, with a line feed if its second argument is true. `can_redraw` is false elsewhere.
    """

    def __init__(self, write: Callable[[str, bool], None]) -> None:
        self._write = write
        self._has_colour = has_colour(sys.stderr)
        self._has_live_line = False
        self.can_redraw = is_terminal(sys.stderr) and not _is_dumb()

    @property
    def cells(self) -> int:
        """The width of the terminal, or 0."""
        return _width() if self.can_redraw else 0

    def append(self, text: str) -> None:
        """Writes a line, or several."""
        self.clear()
        self._write(self._coloured(text), True)

    def redraw(self, line: Callable[[int], str]) -> None:
        """Draws a line that leaves room for ^C, which the terminal adds: in the next line, it would keep this one.

        Args:
            line: returns the line in the given width.
        """
        text = self._coloured(line(_width() - _ROOM))
        self._write(f"{_CLEAR_LINE if self._has_live_line else ''}{text}", False)
        self._has_live_line = True

    def clear(self) -> None:
        """Clears the line that is redrawn, so that another line can take its place."""
        if self._has_live_line:
            self._write(_CLEAR_LINE, False)
            self._has_live_line = False

    def _coloured(self, text: str) -> str:
        return text if self._has_colour else click.unstyle(text)


def is_terminal(stream: TextIO | None) -> bool:
    """Returns whether a stream is a terminal; a closed standard stream is None."""
    return stream is not None and stream.isatty()


def has_colour(stream: TextIO | None) -> bool:
    """Returns whether to write styles to a stream: https://no-color.org."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and not _is_dumb()


def _is_dumb() -> bool:
    """Returns whether the terminal is known to have no control sequences."""
    return os.environ.get("TERM") in ("dumb", "unknown")


def _width() -> int:
    """Returns the number of columns now; the user may resize the window at any time."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _DEFAULT_WIDTH
    except OSError:
        return _DEFAULT_WIDTH
