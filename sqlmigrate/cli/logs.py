"""What a log keeps: one line an event, for `grep` and for programs."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlmigrate.errors import ConfigurationError, MigrationFailed, PlanRefused, SqlMigrateError, StatementFailed
from sqlmigrate.events import Began, Event, level_of
from sqlmigrate.model import Step
from sqlmigrate.render import shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.model import Problem

_LEVELS = ("error", "warning", "info", "debug")
_BOUND = ("backend_pid", "run_id")  # they are on each line, under shorter names
_BARE = re.compile(r"[\w.:/+@,%-]+")
# JSON leaves them as they are; some readers end a line at them, and terminals obey them.
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}


class Log:
    """Makes lines of what happens and hands them to `write`; what a run is known by is on each line once it began."""

    def __init__(self, log_format: str, log_level: str, write: Callable[[str], None]) -> None:
        if log_format not in _FORMATS:
            raise ConfigurationError(f"log-format: {log_format!r} is neither text nor json")
        self._line = _FORMATS[log_format]
        self._shown = _LEVELS[: _LEVELS.index(log_level) + 1]
        self._write = write
        self._run: dict[str, Any] = {}

    def event(self, event: Event) -> None:
        """A line of what happened, if it matters enough."""
        if isinstance(event, Began):
            self._run = {"pid": event.backend_pid, "run": event.run_id}
        level = level_of(event)
        if level in self._shown:
            self._log(
                level, _name(event), {name: value for name, value in _values(event).items() if name not in _BOUND}
            )

    def error(self, error: SqlMigrateError) -> None:
        """The line of what ended a command."""
        self._log("error", "failed", _of_error(error))

    def _log(self, level: str, name: str, values: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._write(self._line({"time": now, "level": level.upper(), "event": name, **values, **self._run}))


class File:
    """A file that lines are appended to. It is opened for each line, so that logrotate may move it away.

    `on_failure` hears once that a line could not be written; later ones are tried all the same.
    """

    def __init__(self, path: str, on_failure: Callable[[str], None]) -> None:
        self._path = path
        self._on_failure = on_failure
        try:
            self._append("")
        except OSError as error:
            raise ConfigurationError(f"the log file {path} can't be opened: {error.strerror}") from error

    def write(self, line: str) -> None:
        """Appends a line, at once."""
        try:
            self._append(f"{line}\n")
        except OSError as error:
            tell, self._on_failure = self._on_failure, _ignore
            tell(f"the log file {self._path} can't be written: {error.strerror}")

    def _append(self, text: str) -> None:
        with open(self._path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)


def _ignore(_: str) -> None:
    """Does nothing."""


def _name(event: Event) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()


def _values(event: Event) -> dict[str, Any]:
    """The fields of an event, as a log has them: a step is its version, several are how many they are."""
    found: dict[str, Any] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Step):
            found |= {"version": value.migration.id, "action": value.action.value}
        elif isinstance(value, tuple):
            found[field.name] = len(value) if field.name == "steps" else "; ".join(map(str, value))
        elif value not in (None, ""):
            found[field.name] = value if isinstance(value, int | float) else str(value)
    return found


def _of_error(error: SqlMigrateError) -> dict[str, Any]:
    cause = error.__cause__ if isinstance(error.__cause__, StatementFailed) else error
    found = {
        "kind": shape.kind(error),
        "message": error.message,
        "version": error.step.migration.id if isinstance(error, MigrationFailed) else "",
        "location": str(error.location or ""),
        "sqlstate": cause.report.sqlstate if isinstance(cause, StatementFailed) else "",
        "problems": "; ".join(map(_of_problem, error.problems)) if isinstance(error, PlanRefused) else "",
        "hint": error.hint,
    }
    return {name: value for name, value in found.items() if value}


def _of_problem(problem: Problem) -> str:
    return f"{problem.location}: {problem.message}" if problem.location else problem.message


def _text(record: dict[str, Any]) -> str:
    time, level, event, *rest = record.items()
    words = [f"{name}={_word(value)}" for name, value in rest]
    return " ".join([time[1], f"{level[1]:<5}", event[1], *words])


def _word(value: Any) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else _json(text)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).translate(_CONTROLS)


_FORMATS: dict[str, Callable[[dict[str, Any]], str]] = {"text": _text, "json": _json}
