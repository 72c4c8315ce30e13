"""The one place that prints: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sqlmigrate.errors import SqlMigrateError
    from sqlmigrate.events import Event

# Names of events, by the least verbose level that shows them.
_LEVELS = ("error", "warning", "info", "debug")
_LEVEL_OF = {
    "WaitingForLock": "warning",
    "Blocked": "warning",
    "Retrying": "warning",
    "Began": "debug",
    "Running": "debug",
    "PassedOver": "debug",
    "Advancing": "debug",
}
_LIVE = ("Running", "Advancing")


class Console:
    """Writes what `render` makes. On a terminal the last line is live: it says what runs, and is overwritten."""

    def __init__(self, output_format: str = "text", log_level: str = "info") -> None:
        self._json = output_format == "json"
        self._shown = _LEVELS[: _LEVELS.index(log_level) + 1]
        self._terminal = sys.stderr.isatty()
        self._live = False
        self._content: dict[str, object] = {}

    def result(self, kind: str, *values: object) -> None:
        """A command's result; `kind` names a function of `render.text` and of `render.shape`."""
        if self._json:
            self._gather(kind, values)
            return
        from sqlmigrate.render import text  # imported where there is something to show

        self._clear()
        click.echo(getattr(text, kind)(*values), color=_colour(sys.stdout.isatty()))

    def text(self, text: str) -> None:
        """A result that is text already, for another program to read."""
        click.echo(text)

    def event(self, event: Event) -> None:
        """A line of progress, at once."""
        from sqlmigrate.render import progress

        kind = type(event).__name__
        live = self._terminal and kind in _LIVE and "info" in self._shown
        if live or _LEVEL_OF.get(kind, "info") in self._shown:
            self._clear()
            click.echo(progress.line(event), err=True, nl=not live, color=_colour(self._terminal))
            self._live = live

    def error(self, error: SqlMigrateError) -> None:
        """An error; as JSON also on stdout, in the result's place."""
        from sqlmigrate.render import text

        self._clear()
        if self._json:
            self._gather("error", (error,))
        click.echo(text.error(error), err=True, color=_colour(self._terminal))

    def ask(self, question: str) -> bool:
        """Asks a person on a terminal; where there is none the answer is no."""
        self._clear()
        return sys.stdin.isatty() and click.confirm(question, err=True)

    def close(self) -> None:
        """Prints the JSON: one object, also where a command shows several things or fails behind one."""
        if self._content:
            import json

            click.echo(json.dumps(self._content, ensure_ascii=False, indent=2))

    def _gather(self, kind: str, values: tuple[object, ...]) -> None:
        from sqlmigrate.render import shape

        self._content |= {"version": shape.VERSION, **getattr(shape, kind)(*values)}

    def _clear(self) -> None:
        if self._live:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._live = False


def _colour(terminal: bool) -> bool:  # noqa: FBT001  # a fact, not a direction
    return terminal and "NO_COLOR" not in os.environ
