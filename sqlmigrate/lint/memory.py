"""What was found in files whose text, and all that came before them, is as it was: they are not looked at again."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlmigrate.lint import cache
from sqlmigrate.lint.finding import Decider, Finding, Level
from sqlmigrate.model import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlmigrate.lint.timeline import Moment

# Of more sets of files than these the oldest go, and of more files in a set those that were asked for the longest ago.
_KEPT = 20
_FILES = 10_000


class Memory:
    """The findings of some runs by the keys of their files; `asked` is all else that decides what is found."""

    def __init__(self, runs: Iterable[list[Moment]], asked: str) -> None:
        self._runs = [*runs]
        self._asked = f"{_code()}{asked}"
        self._keys = self._read_keys()
        places = sorted({os.path.dirname(os.path.abspath(path)) for path in self._keys})
        self._path = os.path.join(_directory(), f"{_digest(self._asked, *places)}.json")
        self._known: dict[str, list[list[Any]]] = {}
        with suppress(OSError, ValueError), open(self._path, encoding="utf-8") as file:
            self._known = json.load(file)

    def recall(self) -> dict[str, list[Finding]]:
        """What was found, by the path of the file."""
        with suppress(TypeError, ValueError, AttributeError):  # what can't be read is as if it were not there
            known = {path: self._known.get(key) for path, key in self._keys.items()}
            return {path: [_finding(one, path) for one in rows] for path, rows in known.items() if rows is not None}
        return {}

    def remember(self, found: Mapping[str, list[Finding]]) -> None:
        """Keeps what was found in each file, unless one was written to meanwhile."""
        if self._read_keys() != self._keys:
            return
        made = {self._keys[path]: [*map(_row, some)] for path, some in found.items() if path in self._keys}
        kept = [one for one in self._known.items() if one[0] not in made] if isinstance(self._known, dict) else []
        cache.keep(self._path, json.dumps(dict([*kept, *made.items()][-_FILES:])), _KEPT)

    def _read_keys(self) -> dict[str, str]:
        """A key for each file that is linted: of its own name, place and text, and of those of all before it."""
        return {path: key for run in self._runs for path, key in _keys(run, self._asked)}


def _keys(run: Iterable[Moment], asked: str) -> Iterable[tuple[str, str]]:
    key = asked
    for moment in run:
        try:
            with open(moment.path, "rb") as file:
                text = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return
        key = _digest(key, repr(moment._replace(linted=True)), text)
        if moment.linted:
            yield moment.path, key


def _digest(*parts: str) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _row(one: Finding) -> list[Any]:
    at = one.location
    return [one.rule, one.level.value, at.line, at.column, at.text, one.message, one.safer, one.decided_by.value]


def _finding(row: list[Any], path: str) -> Finding:
    rule, level, line, column, text, message, safer, by = row
    return Finding(rule, Level(level), Location(path, line, column, text), message, safer, Decider(by))


@lru_cache
def _code() -> str:
    """Of this program, and of the grammar: another one may find other things."""
    from importlib import metadata  # only for this

    top = os.path.dirname(os.path.dirname(__file__))
    paths = (os.path.join(place, name) for place, _, names in os.walk(top) for name in names if name.endswith(".py"))
    stamps = [(path, status.st_size, status.st_mtime_ns) for path in sorted(paths) for status in [os.stat(path)]]
    return _digest(repr(stamps), metadata.version("postgast"))


def _directory() -> str:
    return cache.place("lint")
