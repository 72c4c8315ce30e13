"""The one place that prints: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.cli.logs import Log
    from sqlmigrate.errors import SqlMigrateError
    from sqlmigrate.events import Event

_LEVELS = ("error", "warning", "info", "debug")
_FOR_PROGRAMS = ("metrics", "plan")  # Prometheus and psql know no such escapes as `_printable` makes
_LIVE = ("BackingUp", "Running", "Advancing")


class Console:
    """Writes what `render` makes. On a terminal the last line is live: it says what runs, and is overwritten.

    Those in `on_end` hear at the very end what a run did, or the error that ended the command.
    """

    def __init__(self, output_format: str | None = None, log_level: str | None = None) -> None:
        self._given = output_format, log_level
        self.fall_back_on("text", "info")
        self._terminal = _is_terminal(sys.stderr)
        self._live = False
        self._content: dict[str, object] = {}
        self._log: Log | None = None
        self._for_people = True
        self._end: object = None
        self.on_end: list[Callable[[object], None]] = []

    def fall_back_on(self, output_format: str, log_level: str) -> None:
        """How to show things and how much of them, where that was not given."""
        self.output_format = self._given[0] or output_format
        self._json = self.output_format == "json"
        self._log_level = self._given[1] or log_level
        self._shown = _LEVELS[: _LEVELS.index(self._log_level) + 1]

    def log_to(self, log_format: str, path: str) -> None:
        """From now on lines of a log are written: to a file, or as JSON to stderr in place of what people read there.

        Raises:
            ConfigurationError: the file can't be opened.
        """
        if not path and log_format in ("", "text"):
            return
        from sqlmigrate.cli import logs  # most runs keep none

        write = logs.File(path, self.warning).write if path else functools.partial(_write, err=True)
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
        text, terminal = _rendered(self.output_format, kind, values), _is_terminal(sys.stdout)
        _write(_printable(text) if terminal or kind not in _FOR_PROGRAMS else text, color=_colour(terminal))

    def save(self, path: str, output_format: str, kind: str, *values: object) -> None:
        """Writes a result to a file, whole or not at all; see `files.save`.

        Raises:
            ConfigurationError: the file can't be written.
        """
        text = _as_json(kind, values) if output_format == "json" else _rendered(output_format, kind, values)
        try:
            atomic.save(path, f"{text}\n")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error

    def text(self, text: str) -> None:
        """A result that is text already, for another program to read."""
        click.echo(text)

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
            _write(_printable(progress.line(event)), err=True, nl=not live, color=_colour(self._terminal))
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
            _write(_printable(text.error(error)), err=True, color=_colour(self._terminal))

    def ask(self, question: str) -> bool:
        """Asks a person on a terminal; where there is none the answer is no."""
        self._clear()
        with contextlib.suppress(click.Abort):  # Ctrl-D
            return sys.stdin.isatty() and click.confirm(question, err=True)
        return False

    def close(self) -> None:
        """Prints the JSON: one object, also where a command shows several things or fails behind one."""
        if self._content:
            _write(_printable(_dumped(self._content)))  # these escapes are JSON's own
        for listener in self.on_end if self._end else ():
            listener(self._end)

    def _gather(self, kind: str, values: tuple[object, ...]) -> None:
        self._content |= _shaped(kind, values)

    def _clear(self) -> None:
        if self._live:
            _write("\r\x1b[K", nl=False, err=True)
            self._live = False


def _is_terminal(stream: TextIO | None) -> bool:
    """A closed stream is None."""
    return stream is not None and stream.isatty()


def _write(text: str, *, err: bool = False, nl: bool = True, color: bool | None = None) -> None:
    """What can't be shown, to a reader who left or on a full disk, decides nothing; from then on it goes nowhere."""
    try:
        click.echo(text, err=err, nl=nl, color=color)
    except OSError as error:
        stream = sys.stderr if err else sys.stdout
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # what is left in its buffer would fail again at the exit
        os.close(nowhere)
        if not err and not isinstance(error, BrokenPipeError):
            _write(f"the result could not be shown: {error.strerror}", err=True)


# What renders is imported where there is something to show.


def _rendered(output_format: str, kind: str, values: tuple[object, ...]) -> str:
    """A result in a format: each is a module of `render`, each kind of result a function there."""
    from importlib import import_module

    return str(getattr(import_module(f"sqlmigrate.render.{output_format}"), kind)(*values))


def _printable(text: str) -> str:
    """What a server says, or a file is called, is not to steer the terminal."""
    from sqlmigrate.render.unseen import printable

    return printable(text)


def _as_json(kind: str, values: tuple[object, ...]) -> str:
    return _dumped(_shaped(kind, values))


def _shaped(kind: str, values: tuple[object, ...]) -> dict[str, object]:
    from sqlmigrate.render import shape

    return {"version": shape.VERSION, **getattr(shape, kind)(*values)}


def _dumped(content: dict[str, object]) -> str:
    import json

    return json.dumps(content, ensure_ascii=False, indent=2)


def _colour(terminal: bool) -> bool:  # a fact, not a direction
    return terminal and "NO_COLOR" not in os.environ
