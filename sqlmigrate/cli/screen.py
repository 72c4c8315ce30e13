"""The progress on stderr: on a terminal, one line is redrawn in place; elsewhere, a long wait writes few lines."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.cli.pace import Pace
    from sqlmigrate.events import Event
    from sqlmigrate.render.progress import ProgressLines

_CLEAR_LINE = "\r\x1b[K"
_ROOM = 3  # columns: for ^C and the cursor
_DEFAULT_WIDTH = 80  # a new pseudo-terminal may report 0 columns


class Screen:
    """Shows the events of a command; `write` writes a text to stderr, with a line feed if its second argument is true.

    The modules that render are imported when there is something to show.
    """

    def __init__(self, write: Callable[[str, bool], None]) -> None:
        self._write = write
        self._can_redraw = is_terminal(sys.stderr) and not _is_dumb()
        self._has_colour = has_colour(sys.stderr)
        self._has_live_line = False
        self._pace: Pace | None = None
        self._lines: ProgressLines | None = None

    def show(self, event: Event, *, shows_level: bool, shows_live: bool) -> None:
        """Shows an event.

        Args:
            event: The event.
            shows_level: Whether events of its level are shown.
            shows_live: Whether the line that is redrawn in place is shown.
        """
        from sqlmigrate import events
        from sqlmigrate.cli.pace import Pace
        from sqlmigrate.render.progress import ProgressLines

        self._pace = self._pace or Pace()
        self._lines = self._lines or ProgressLines()
        if isinstance(event, events.Began):
            self._lines.begin(event.steps)
        if isinstance(event, events.Advancing):
            return  # a part of `Working`
        if self._can_redraw and isinstance(event, events.LIVE):
            if shows_live:
                self._redraw(event)
        elif shows_level and self._pace.is_due(event):
            self._append(self._lines.lines(event, _width() if self._can_redraw else 0))

    def clear(self) -> None:
        """Clears the line that is redrawn, so that another line can take its place."""
        if self._has_live_line:
            self._write(_CLEAR_LINE, False)
            self._has_live_line = False

    def _redraw(self, event: Event) -> None:
        """Draws a line that leaves room for ^C, which the terminal adds: in the next line, it would keep this one."""
        from sqlmigrate.render.progress import live

        text = self._coloured(live(event, _width() - _ROOM))
        self._write(f"{_CLEAR_LINE if self._has_live_line else ''}{text}", False)
        self._has_live_line = True

    def _append(self, lines: Sequence[str]) -> None:
        self.clear()
        self._write(self._coloured("\n".join(lines)), True)

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
