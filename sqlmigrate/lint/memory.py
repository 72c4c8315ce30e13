"""The findings in files that are unchanged since an earlier call, as are all files before them."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.cache import Cache, digest, fingerprint
from sqlmigrate.lint.finding import Decider, Finding, Level, Safer
from sqlmigrate.lint.snapshot import Points
from sqlmigrate.lint.stored import load
from sqlmigrate.model import Location

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlmigrate.lint.timeline import Moment

CACHE = Cache("lint", most=20)
SCHEMAS = Cache("schema", most=5)
# Shorter runs are read as fast as a stored schema.
_LONG = 50
# A value of the cache holds the findings in a set of files. It keeps the findings in at most this many files.
_FILES = 10_000


class Memory:
    """The findings in some runs, by file; `question` is everything besides the files that determines the findings."""

    def __init__(self, runs: Iterable[list[Moment]], question: str) -> None:
        self._runs = [*runs]
        self._question = f"{fingerprint()}{question}"
        self._chain = self._read_chain()
        linted = {moment.path for run in self._runs for moment in run if moment.linted}
        self._keys = {path: key for path, (_, key) in self._chain.items() if path in linted}
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

    def resumed(self, runs: Iterable[list[Moment]], pending: Collection[str]) -> tuple[list[list[Moment]], Points]:
        """Returns the runs without the files before which the schema is stored, and where they start."""
        rest, starts = [], {}
        for run in runs:
            first = _first_to_read(run)
            snapshots = load(SCHEMAS.read_bytes(self._name(run)))
            start = snapshots.get(self._chain[run[first].path][0]) if run[first].path in self._chain else None
            is_known = start is not None and not any(moment.path in pending for moment in run[:first])
            if start is not None and is_known:
                starts[run[first].path] = start
            rest.append(run[first:] if is_known else run)
        return rest, Points(starts, *self._to_keep())

    def _to_keep(self) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
        """Returns the points before the last up file and after the last file of each run."""
        before, after = {}, {}
        for run in self._runs:
            ups = [moment.path for moment in run if not moment.down]
            if len(run) < _LONG or not ups or run[-1].path not in self._chain:
                continue
            before[ups[-1]] = self._name(run), self._chain[ups[-1]][0]
            after[run[-1].path] = self._name(run), self._chain[run[-1].path][1]
        return before, after

    def _name(self, run: Sequence[Moment]) -> str:
        return digest(self._question, os.path.dirname(os.path.abspath(run[0].path)))

    def remember(self, findings: Mapping[str, list[Finding]], schemas: Mapping[str, bytes]) -> None:
        """Stores the findings in each file, and the schemas to resume from, unless a file was changed meanwhile."""
        if self._read_chain() != self._chain:
            return
        for name, content in schemas.items():
            SCHEMAS.write_bytes(name, content)
        new = {self._keys[path]: [*map(_row, some)] for path, some in findings.items() if path in self._keys}
        kept = [(key, rows) for key, rows in self._rows.items() if key not in new]
        CACHE.write(self._key, dict([*kept, *new.items()][-_FILES:]))

    def _read_chain(self) -> dict[str, tuple[str, str]]:
        """Returns two keys for each file, made of paths and texts: of all files before it, and with the file."""
        return {path: (before, key) for run in self._runs for path, before, key in _chain(run, self._question)}


def _first_to_read(run: Sequence[Moment]) -> int:
    """Returns the number of the first file to lint, or of the up file before it if it is a down file."""
    first = next((number for number, moment in enumerate(run) if moment.linted), 0)
    while first > 0 and run[first].down:
        first -= 1
    return first


def _chain(run: Iterable[Moment], question: str) -> Iterable[tuple[str, str, str]]:
    key = question
    for moment in run:
        try:
            with open(moment.path, "rb") as file:
                text = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return
        before, key = key, digest(key, repr(moment._replace(linted=True)), text)
        yield moment.path, before, key


def _row(finding: Finding) -> list[Any]:
    _, *place = finding.location
    return [finding.rule, finding.level.value, place, finding.message, finding.safer, finding.decided_by.value]


def _finding(row: list[Any], path: str) -> Finding:
    rule, level, place, message, (sql, later, *rest), decider = row
    safer = Safer(sql, tuple(later), *rest)
    return Finding(rule, Level(level), Location(path, *place), message, safer, Decider(decider))
