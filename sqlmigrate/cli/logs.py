"""The log file: one line for each event, for `grep` and for programs."""

from __future__ import annotations

import json
import os
import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlmigrate.cli.pace import Pace
from sqlmigrate.config.options import LOG_LEVELS
from sqlmigrate.config.suggestion import did_you_mean
from sqlmigrate.errors import ConfigurationError, MigrationFailed, PlanRefused, SqlMigrateError, StatementFailed
from sqlmigrate.events import Began, Event, level_of
from sqlmigrate.model import Step
from sqlmigrate.render import as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.model import Problem

_RUN_FIELDS = ("backend_pid", "run_id")  # each line contains them, under shorter names
_BARE = re.compile(r"[\w.:/+@,%-]+")
# json.dumps does not escape them, some readers treat them as line ends, and terminals interpret them.
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}


class Log:
    """Passes a line for each event to `write`; each line of a run contains its id and its backend's pid."""

    def __init__(self, log_format: str, log_level: str, write: Callable[[str], None]) -> None:
        if log_format not in _FORMATS:
            hint = did_you_mean(log_format, _FORMATS)
            raise ConfigurationError(f"log-format: {log_format!r} is not one of text, json", hint=hint)
        self._line = _FORMATS[log_format]
        self._shown = LOG_LEVELS[: LOG_LEVELS.index(log_level) + 1]
        self._write = write
        self._run: dict[str, object] = {}
        self._pace = Pace()

    def event(self, event: Event) -> None:
        """Writes an event, if its level is high enough."""
        if isinstance(event, Began):
            self._run = {"pid": event.backend_pid, "run": event.run_id}
        level = level_of(event)
        if level in self._shown and self._pace.is_due(event):
            values = {name: value for name, value in _values(event).items() if name not in _RUN_FIELDS}
            self._log(level, _name(event), values)

    def error(self, error: SqlMigrateError) -> None:
        """Writes the error that ended the command."""
        self._log("error", "failed", _error_values(error))

    def _log(self, level: str, name: str, values: dict[str, object]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._write(self._line({"time": now, "level": level.upper(), "event": name, **values, **self._run}))


class File:
    """A file to which lines are appended; it is opened for each line, so that logrotate can move it.

    `on_failure` is called for the first line that cannot be written; later lines are still attempted.
    """

    def __init__(self, path: str, on_failure: Callable[[str], None]) -> None:
        self._path = path
        self._on_failure = on_failure
        try:
            self._append("")
        except OSError as error:
            hint = f'create directory "{os.path.dirname(path)}"' if isinstance(error, FileNotFoundError) else ""
            raise ConfigurationError(f'could not open log file "{path}": {error.strerror}', hint=hint) from error

    def write(self, line: str) -> None:
        """Appends a line at once."""
        try:
            self._append(f"{line}\n")
        except OSError as error:
            # Replaced before the call, because the warning is itself written to this file.
            on_failure, self._on_failure = self._on_failure, _ignore
            on_failure(f'could not write log file "{self._path}": {error.strerror}')

    def _append(self, text: str) -> None:
        with open(self._path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)


def _ignore(_: str) -> None:
    """Does nothing."""


def _name(event: Event) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()


def _values(event: Event) -> dict[str, object]:
    """Returns the fields of an event for the log; a step becomes its version, a tuple of steps its length."""
    values: dict[str, object] = {}
    compared = (field.name for field in fields(event) if field.compare)  # type: ignore[arg-type]  # all are dataclasses
    for name in compared:
        value = getattr(event, name)
        if isinstance(value, Step):
            values |= {"version": value.migration.id, "action": value.action.value}
        elif type(value) is tuple:  # not a named tuple, which has its own text
            values[name] = len(value) if name == "steps" else "; ".join(map(str, value))
        elif value not in (None, ""):
            values[name] = value if isinstance(value, int | float) else str(value)
    return values


def _error_values(error: SqlMigrateError) -> dict[str, object]:
    cause = error.__cause__ if isinstance(error.__cause__, StatementFailed) else error
    values = {
        "kind": as_json.error(error)["error"]["kind"],
        "message": error.message,
        "version": error.step.migration.id if isinstance(error, MigrationFailed) else "",
        "location": str(error.location or ""),
        "sqlstate": cause.report.sqlstate if isinstance(cause, StatementFailed) else "",
        "problems": "; ".join(map(_problem_text, error.problems)) if isinstance(error, PlanRefused) else "",
        "hint": error.hint,
    }
    return {name: value for name, value in values.items() if value}


def _problem_text(problem: Problem) -> str:
    return f"{problem.location}: {problem.message}" if problem.location else problem.message


def _text(record: dict[str, object]) -> str:
    time, level, event, *rest = record.items()
    pairs = [f"{name}={_quoted(value)}" for name, value in rest]
    return " ".join([f"{time[1]} {level[1]:<5} {event[1]}", *pairs])


def _quoted(value: object) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else _json(text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).translate(_CONTROLS)


_FORMATS: dict[str, Callable[[dict[str, object]], str]] = {"text": _text, "json": _json}
