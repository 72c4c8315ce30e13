"""Remembers the findings in files: a file is linted again if it changed, or the schema that the files before create.

The files of a directory are divided into parts of some versions each. With the findings, the changes of the schema by
each part are stored. If a file changes, its part is linted again; if the part changes the schema as before, the
findings in later files are still valid.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.cache import Cache, digest, fingerprint, opened, sealed
from sqlmigrate.lint.finding import Decider, Finding, Level, Safer
from sqlmigrate.lint.parts import Block, PartedRun
from sqlmigrate.lint.snapshot import Points
from sqlmigrate.model import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlmigrate.lint.timeline import Moment

CACHE = Cache("lint", most=20)
# The findings in at most this many files are kept.
_FILES = 10_000
_BLOCK = 256 * 1024
# Shorter runs are read as fast as a stored schema.
_LONG = 50


class Memory:
    """The findings in some runs, by file; `question` is everything besides the files that determines the findings.

    If the runs are not divided into parts, each is linted from its first file on.
    """

    def __init__(self, runs: Sequence[list[Moment]], question: str, *, divides: bool) -> None:
        question = f"{fingerprint()}{question}"
        self.points = Points()
        self._texts = _texts(moment.path for run in runs for moment in run)
        self._findings: dict[str, list[Finding]] = {m.path: [] for run in runs for m in run if m.linted}
        directories = sorted({os.path.dirname(os.path.abspath(path)) for path in self._findings})
        self._key = digest(question, *directories)
        self._rows = dict(line.split(b"\t", 1) for line in opened(CACHE.read_bytes(self._key)).splitlines())
        self._new: dict[bytes, bytes] = {}
        self._runs = [PartedRun(run, self._texts, question, divides=divides and len(run) >= _LONG) for run in runs]
        self._blocks: list[tuple[PartedRun, Block]] = []
        self._is_spoiled = False

    def rest(self) -> list[list[Moment]]:
        """Returns the files to lint next, which start at `points`; nothing if the findings in all files are known."""
        self._blocks = [
            (run, block) for run in self._runs if (block := run.next(self._recall, self._leads_to)) is not None
        ]
        blocks = [block for _, block in self._blocks]
        self.points = Points(
            {block.moments[0].path: block.start for block in blocks},
            frozenset(path for block in blocks for path in block.before),
            {block.moments[-1].path: block.after for block in blocks if block.after},
        )
        return [block.moments for block in blocks]

    def add(self, findings: Iterable[Finding], changes: Mapping[str, bytes]) -> None:
        """Adds what was found in these files."""
        paths = [moment.path for _, block in self._blocks for moment in block.moments]
        linted = {moment.path for _, block in self._blocks for moment in block.moments if moment.linted}
        for finding in findings:
            self._findings[finding.location.path].append(finding)
        self._is_spoiled = self._is_spoiled or any(
            self._texts.get(path) != text for path, text in _texts(paths).items()
        )
        for run, block in self._blocks:
            keys, parts = run.add(block, changes)
            self._new |= {_part(end): key.encode() for end, key in parts.items() if end}
            self._new |= {key.encode(): _line(self._findings[path]) for path, key in keys.items() if path in linted}

    def findings(self) -> list[Finding]:
        """Returns the findings in all files."""
        return [finding for some in self._findings.values() for finding in some]

    def store(self) -> None:
        """Stores what is new, unless a file was changed meanwhile."""
        if self._is_spoiled:
            return
        for run in self._runs:
            run.store()
        if self._new:
            kept = [(key, line) for key, line in self._rows.items() if key not in self._new]
            rows = [*kept, *self._new.items()][-_FILES:]
            CACHE.write_bytes(self._key, sealed(b"".join(b"%s\t%s\n" % row for row in rows)))

    def _recall(self, path: str, key: str) -> bool:
        line = self._rows.get(key.encode())
        if line is None:
            return False
        self._findings[path] = [_finding(row, path) for row in json.loads(line)]
        return True

    def _leads_to(self, end: str) -> str:
        return self._rows.get(_part(end), b"").decode()


def _part(end: str) -> bytes:
    """Returns the key under which the key of the part behind a file is stored."""
    return f"{end}:".encode()


def _texts(paths: Iterable[str]) -> dict[str, str]:
    """Returns the digests of the files that can be read."""
    texts = {}
    for path in paths:
        with suppress(OSError), open(path, "rb", buffering=0) as file:
            text = hashlib.sha256()
            while block := file.read(_BLOCK):
                text.update(block)
            texts[path] = text.hexdigest()
    return texts


def _line(findings: Iterable[Finding]) -> bytes:
    return json.dumps([*map(_row, findings)]).encode()


def _row(finding: Finding) -> list[Any]:
    _, *place = finding.location
    return [finding.rule, finding.level.value, place, finding.message, finding.safer, finding.decided_by.value]


def _finding(row: list[Any], path: str) -> Finding:
    rule, level, place, message, (sql, later, *rest), decider = row
    safer = Safer(sql, tuple(later), *rest)
    return Finding(rule, Level(level), Location(path, *place), message, safer, Decider(decider))
