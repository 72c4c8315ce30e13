"""The findings in files that are unchanged since an earlier call, as are all files before them."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.cache import Cache, digest, fingerprint
from sqlmigrate.lint.finding import Decider, Finding, Level, Safer
from sqlmigrate.model import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlmigrate.lint.timeline import Moment

CACHE = Cache("lint", most=20)
# A value of the cache holds the findings in a set of files. It keeps the findings in at most this many files.
_FILES = 10_000


class Memory:
    """The findings in some runs, by file; `question` is everything besides the files that determines the findings."""

    def __init__(self, runs: Iterable[list[Moment]], question: str) -> None:
        self._runs = [*runs]
        self._question = f"{fingerprint()}{question}"
        self._keys = self._read_keys()
        directories = sorted({os.path.dirname(os.path.abspath(path)) for path in self._keys})
        self._key = digest(self._question, *directories)
        value = CACHE.read(self._key)
        self._rows: dict[str, list[list[Any]]] = value if isinstance(value, dict) else {}

    def recall(self) -> dict[str, list[Finding]]:
        """Returns the stored findings, by path."""
        with suppress(TypeError, ValueError):  # a damaged value counts as missing
            stored = {path: self._rows.get(key) for path, key in self._keys.items()}
            return {path: [_finding(row, path) for row in rows] for path, rows in stored.items() if rows is not None}
        return {}

    def remember(self, findings: Mapping[str, list[Finding]]) -> None:
        """Stores the findings in each file, unless a file was changed meanwhile."""
        if self._read_keys() != self._keys:
            return
        new = {self._keys[path]: [*map(_row, some)] for path, some in findings.items() if path in self._keys}
        kept = [(key, rows) for key, rows in self._rows.items() if key not in new]
        CACHE.write(self._key, dict([*kept, *new.items()][-_FILES:]))

    def _read_keys(self) -> dict[str, str]:
        """Returns a key for each linted file, made of path and text of the file and of all files before it."""
        return {path: key for run in self._runs for path, key in _keys(run, self._question)}


def _keys(run: Iterable[Moment], question: str) -> Iterable[tuple[str, str]]:
    key = question
    for moment in run:
        try:
            with open(moment.path, "rb") as file:
                text = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return
        key = digest(key, repr(moment._replace(linted=True)), text)
        if moment.linted:
            yield moment.path, key


def _row(finding: Finding) -> list[Any]:
    rule, level, (_, *place), message, safer, decider = astuple(finding)
    return [rule, level.value, place, message, safer, decider.value]


def _finding(row: list[Any], path: str) -> Finding:
    rule, level, place, message, (sql, later, *rest), decider = row
    safer = Safer(sql, tuple(later), *rest)
    return Finding(rule, Level(level), Location(path, *place), message, safer, Decider(decider))
