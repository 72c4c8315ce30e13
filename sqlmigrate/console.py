"""The one place that prints: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING

import click

from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.errors import SqlMigrateError
    from sqlmigrate.events import Event
    from sqlmigrate.logs import Log

_LEVELS = ("error", "warning", "info", "debug")
_LIVE = ("BackingUp", "Running", "Advancing")


class Console:
    """Writes what `render` makes. On a terminal the last line is live: it says what runs, and is overwritten.

    `on_end` hears at the very end what a run did, or the error that ended the command.
    """

    def __init__(self, output_format: str = "text", log_level: str = "info") -> None:
        self._format = output_format
        self._json = output_format == "json"
        self._log_level = log_level
        self._shown = _LEVELS[: _LEVELS.index(log_level) + 1]
        self._terminal = sys.stderr.isatty()
        self._live = False
        self._content: dict[str, object] = {}
        self._log: Log | None = None
        self._for_people = True
        self._end: object = None
        self.on_end: Callable[[object], None] | None = None

    def log_to(self, log_format: str, path: str) -> None:
        """From now on lines of a log are written: to a file, or as JSON to stderr in place of what people read there.

        Raises:
            ConfigurationError: the file can't be opened.
        """
        if not path and log_format in ("", "text"):
            return
        from sqlmigrate import logs  # most runs keep none

        write = logs.File(path, self.warning).write if path else functools.partial(click.echo, err=True)
        self._log = logs.Log(log_format or "text", self._log_level, write)
        self._for_people = bool(path)

    def result(self, kind: str, *values: object) -> None:
        """A command's result; `kind` names a function of `render.text` and of `render.shape`."""
        if kind == "run":
            self._end = values[0]
        if self._json:
            self._gather(kind, values)
            return
        self._clear()
        click.echo(_rendered(self._format, kind, values), color=_colour(sys.stdout.isatty()))

    def save(self, path: str, output_format: str, kind: str, *values: object) -> None:
        """Writes a result to a file, whole or not at all.

        Raises:
            ConfigurationError: the file can't be written.
        """
        text = _as_json(kind, values) if output_format == "json" else _rendered(output_format, kind, values)
        beside = f"{path}.{os.getpid()}.part"
        try:
            with open(beside, "w", encoding="utf-8") as file:
                file.write(f"{text}\n")
            os.replace(beside, path)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error

    def event(self, event: Event) -> None:
        """A line of progress, at once."""
        if self._log:
            self._log.event(event)
        if self._for_people:
            self._progress(event)

    def warning(self, message: str) -> None:
        """That something beside the run went wrong."""
        from sqlmigrate.events import Warned

        self.event(Warned(message))

    def _progress(self, event: Event) -> None:
        from sqlmigrate.events import level_of
        from sqlmigrate.render import progress

        live = self._terminal and type(event).__name__ in _LIVE and "info" in self._shown
        if live or level_of(event) in self._shown:
            self._clear()
            click.echo(progress.line(event), err=True, nl=not live, color=_colour(self._terminal))
            self._live = live

    def error(self, error: SqlMigrateError) -> None:
        """An error; as JSON also on stdout, in the result's place."""
        from sqlmigrate.render import text

        self._clear()
        self._end = error
        if self._json:
            self._gather("error", (error,))
        if self._log:
            self._log.error(error)
        if self._for_people:
            click.echo(text.error(error), err=True, color=_colour(self._terminal))

    def ask(self, question: str) -> bool:
        """Asks a person on a terminal; where there is none the answer is no."""
        self._clear()
        return sys.stdin.isatty() and click.confirm(question, err=True)

    def close(self) -> None:
        """Prints the JSON: one object, also where a command shows several things or fails behind one."""
        if self._content:
            click.echo(_dumped(self._content))
        if self.on_end and self._end:
            self.on_end(self._end)

    def _gather(self, kind: str, values: tuple[object, ...]) -> None:
        self._content |= _shaped(kind, values)

    def _clear(self) -> None:
        if self._live:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._live = False


# What renders is imported where there is something to show.


def _rendered(output_format: str, kind: str, values: tuple[object, ...]) -> str:
    """A result in a format: each is a module of `render`, each kind of result a function there."""
    from importlib import import_module

    return str(getattr(import_module(f"sqlmigrate.render.{output_format}"), kind)(*values))


def _as_json(kind: str, values: tuple[object, ...]) -> str:
    return _dumped(_shaped(kind, values))


def _shaped(kind: str, values: tuple[object, ...]) -> dict[str, object]:
    from sqlmigrate.render import shape

    return {"version": shape.VERSION, **getattr(shape, kind)(*values)}


def _dumped(content: dict[str, object]) -> str:
    import json

    return json.dumps(content, ensure_ascii=False, indent=2)


def _colour(terminal: bool) -> bool:  # noqa: FBT001  # a fact, not a direction
    return terminal and "NO_COLOR" not in os.environ
