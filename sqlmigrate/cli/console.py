"""Prints everything that sqlmigrate prints: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

from sqlmigrate.cli.screen import Screen, has_colour, is_terminal
from sqlmigrate.config.options import LOG_LEVELS
from sqlmigrate.errors import ConfigurationError, SignalReceived
from sqlmigrate.files import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlmigrate.cli.feed import Feed
    from sqlmigrate.cli.logs import Log
    from sqlmigrate.cli.renderer import Renderer, Result
    from sqlmigrate.errors import SqlMigrateError
    from sqlmigrate.events import Event


class Console:
    """The standard streams of a command.

    A quiet console shows errors and answers; a log file has all lines of its level all the same.
    `close` calls the functions in `on_end` with `outcome`: the `Run`, or the error that ended the command.
    `has_lost_result` is whether stdout could not be written, and `requires_result` whether that is an error.
    """

    def __init__(
        self, output_format: str | None = None, log_level: str | None = None, *, is_quiet: bool = False
    ) -> None:
        self._from_options = output_format, log_level
        self._is_quiet = is_quiet
        self.set_defaults("text", "info")
        self._screen = Screen(lambda text, ends_line: _write(text, err=True, nl=ends_line))
        self._feed: Feed | None = None
        self._json: dict[str, object] = {}
        self._log: Log | None = None
        self._shows_progress = True
        self.outcome: object = None
        self.has_lost_result = False
        self.requires_result = False
        self.on_end: list[Callable[[object], None]] = []

    def set_defaults(self, output_format: str, log_level: str) -> None:
        """Sets the format and the log level that apply if no option gives them."""
        self.output_format = self._from_options[0] or output_format
        self._log_level = self._from_options[1] or log_level
        self._shown_levels = LOG_LEVELS[:1] if self._is_quiet else LOG_LEVELS[: LOG_LEVELS.index(self._log_level) + 1]

    def log_to(self, log_format: str, path: str) -> None:
        """Starts to write log lines: to a file, or, if no path is given, as JSON to stderr instead of the progress.

        Raises:
            ConfigurationError: the file cannot be opened.
        """
        if not path and log_format in ("", "text"):
            return
        from sqlmigrate.cli import logs  # most runs keep no log

        write = logs.File(path, self.warning).write if path else functools.partial(_write, err=True)
        self._log = logs.Log(log_format or "text", self._log_level if path else self._shown_levels[-1], write)
        self._shows_progress = bool(path)

    def show(
        self,
        result: Result,
        in_format: Callable[[str], str] | None = None,
        *,
        escape_in_files: bool = True,
        is_answer: bool = True,
    ) -> None:
        """Shows a command's result.

        Args:
            result: renders the result as text or for JSON.
            in_format: renders the result in any other format of the command; its argument is the format's name.
            escape_in_files: whether to escape control characters even if stdout is not a terminal. psql and
                Prometheus do not know these escapes.
            is_answer: whether the user asked for the result; a quiet console omits a report on what was done.
        """
        if self.output_format == "json":
            self._json |= _data(result)
            return
        if self._is_quiet and not is_answer:
            return
        self._screen.clear()
        shown = in_format(self.output_format) if in_format and self.output_format != "text" else _text(result)
        must_escape = escape_in_files or is_terminal(sys.stdout)
        self._write_result(_printable(shown) if must_escape else shown, color=has_colour(sys.stdout))

    def save(self, path: str, text: str) -> None:
        """Writes a text to a file atomically.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        try:
            atomic.save(path, f"{text}\n")
        except OSError as error:
            raise ConfigurationError(f'could not write file "{path}": {error.strerror}') from error

    def text(self, text: str) -> None:
        """Shows a text for another program, unchanged."""
        self._write_result(text)

    def event(self, event: Event) -> None:
        """Shows and logs an event at once."""
        if self._log:
            self._log.event(event)
        if self._shows_progress:
            (self._feed or self._begin_feed()).show(event, self._shown_levels)

    def warning(self, message: str) -> None:
        """Shows and logs that something other than the run failed."""
        from sqlmigrate.events import Warned

        self.event(Warned(message))

    def note(self, text: str) -> None:
        """Shows a line of information that is not part of a run."""
        if self._shows_progress and "info" in self._shown_levels:
            _write(f"  {_printable(text)}", err=True)

    def _begin_feed(self) -> Feed:
        from sqlmigrate.cli.feed import Feed  # imports the modules that render

        self._feed = Feed(self._screen)
        return self._feed

    def error(self, error: SqlMigrateError) -> None:
        """Shows and logs an error; with `--format json` it is also the result on stdout."""
        self._screen.clear()
        self.outcome = error
        if self.output_format == "json":
            self._json |= _data(lambda to: to.error(error))
        if self._log:
            self._log.error(error)
        if self._shows_progress:
            text = _text(lambda to: to.error(error))
            _write(_printable(text), err=True, color=has_colour(sys.stderr))

    def ask(self, question: str) -> bool:
        """Prompts the user; without a terminal, and at Ctrl-D, the answer is no."""
        self._screen.clear()
        try:
            return sys.stdin.isatty() and click.confirm(question, err=True)
        except click.Abort as abort:
            _write("", err=True)  # ends the line of the question
            if isinstance(abort.__context__, SignalReceived):  # click replaces it
                raise abort.__context__ from None
            return False

    def close(self) -> None:
        """Prints the JSON, as one object for all results and the error of the command, and calls `on_end`."""
        if self._json:
            self._write_result(_printable(_dump(self._json)))  # JSON has the same escapes
        for listener in self.on_end if self.outcome else ():
            listener(self.outcome)

    def _write_result(self, text: str, *, color: bool | None = None) -> None:
        try:
            _try_to_write(text, err=False, nl=True, color=color)
        except OSError as error:
            self.lose_result(error)

    def lose_result(self, error: OSError) -> None:
        """Reports that stdout could not be written, unless the reader has read what it needs."""
        _discard(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            self.has_lost_result = True
            level, colour = ("error", "red") if self.requires_result else ("warning", "yellow")
            message = f"{click.style(f'{level}:', fg=colour)} could not write the result: {error.strerror}"
            _write(message, err=True, color=has_colour(sys.stderr))


def as_json(result: Result) -> str:
    """Returns the JSON text of a result."""
    return _dump(_data(result))


def _write(text: str, *, err: bool = False, nl: bool = True, color: bool | None = None) -> None:
    """Writes to a standard stream.

    If that fails, because the reader closed the pipe or the disk is full, the run goes on, and later output of the
    stream is discarded.
    """
    with contextlib.suppress(OSError):
        _try_to_write(text, err=err, nl=nl, color=color)


def _try_to_write(text: str, *, err: bool, nl: bool, color: bool | None) -> None:
    try:
        click.echo(text, err=err, nl=nl, color=color)
    except OSError:
        _discard(sys.stderr if err else sys.stdout)
        raise


def _discard(stream: TextIO) -> None:
    """Discards the stream's later output: the exit flushes its buffer, which would fail again."""
    null_device = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_device, stream.fileno())
    os.close(null_device)


# The renderers are imported when there is something to show.


def _text(result: Result) -> str:
    from sqlmigrate.render import text

    renderer: Renderer[str] = text
    return str(result(renderer))


def _data(result: Result) -> dict[str, object]:
    from sqlmigrate.render import as_json

    renderer: Renderer[Mapping[str, object]] = as_json
    return {"version": as_json.VERSION, **result(renderer)}


def _printable(text: str) -> str:
    """Escapes control characters: a server's message or a file's name must not control the terminal."""
    from sqlmigrate.render.escape import printable

    return printable(text)


def _dump(content: dict[str, object]) -> str:
    import json

    return json.dumps(content, ensure_ascii=False, indent=2)
