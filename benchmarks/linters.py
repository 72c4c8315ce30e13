"""Compares findings of sqlmigrate and squawk in the labelled files of tests/lint and in the examples of the rules."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.reading import Unit, units
from sqlmigrate.lint.rules import FAMILIES
from sqlmigrate.lint.rules.correctness import server_only
from tests.lint.cases import LabelledFile, labelled_files
from tests.servers import Server

BIN = Path(sys.executable).parent
SQUAWK: list[str | Path] = [BIN / "uvx", "--from", "squawk-cli==2.70.0", "squawk", "--reporter", "json"]
# Rules of style, and rules that require what sqlmigrate does automatically: these findings are no hazards.
STYLE = {
    *("prefer-robust-stmts", "prefer-text-field", "prefer-identity", "prefer-timestamptz", "prefer-timestamp-tz"),
    *("prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-big-int", "ban-char-field"),
    *("require-lock-timeout", "require-statement-timeout", "require-timeout-settings", "require-table-schema"),
    *("require-enum-value-ordering",),
}
Found = set[tuple[str, int]]  # path and line


class Score(NamedTuple):
    """The number of hazardous statements and of those found, the number of clean statements and of false alarms."""

    hazards: int = 0
    found: int = 0
    clean: int = 0
    alarms: int = 0

    def __str__(self) -> str:
        found = f"found {self.found:4d} of {self.hazards:4d} {100 * self.found / self.hazards:6.1f} %"
        return found + (
            f"   false {self.alarms:4d} of {self.clean:4d} {100 * self.alarms / self.clean:5.1f} %"
            if self.clean
            else ""
        )


def lint(_: Server) -> None:
    with tempfile.TemporaryDirectory(prefix="sqlmigrate-bench-") as name:
        labelled = [(case, case.write(_directory(Path(name)))) for case in labelled_files()]
        for by, earlier in (("the file", False), ("earlier files", True)):
            some = [(case, path) for case, path in labelled if bool(case.earlier) is earlier]
            for tool, found in _found([path for _, path in some]).items():
                print(f"labelled, decided by {by:<14} {tool:<11} {score(some, found)}", flush=True)
        examples = list(_bad_examples(Path(name)))
        for tool, found in _found(examples).items():
            some_found = sum(str(path) in {at for at, _ in found} for path in examples)
            print(f"{'the rules, bad examples':<35} {tool:<11} {Score(len(examples), some_found)}", flush=True)


def _directory(parent: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=parent))


def _bad_examples(parent: Path) -> Iterator[Path]:
    """Yields the bad examples for PostgreSQL 18 of all rules, without style rules and rules that need a server."""
    rules = [rule for family in FAMILIES.values() for rule in family if rule not in server_only.RULES]
    for rule in (rule for rule in rules if rule.level is not Level.NOTICE):
        for example in (
            example for example in rule.examples if example.bad and example.postgres == 18 and not example.complete
        ):
            directory = _directory(parent)
            if example.earlier:
                (directory / "V1.0.0-001__earlier.up.sql").write_text(example.earlier)
            if example.up:
                (directory / example.name.replace(".down.", ".up.")).write_text(example.up)
            path = directory / example.name
            path.write_text(example.sql)
            yield path


def _found(paths: list[Path]) -> dict[str, Found]:
    return {"sqlmigrate": sqlmigrate(paths), "squawk": squawk(paths)}


def sqlmigrate(paths: Iterable[Path]) -> Found:
    findings = _json([BIN / "sqlmigrate", "validate", "--format", "json", *paths])["findings"]
    return {(finding["file"], finding["line"]) for finding in findings if finding["level"] in ("warning", "error")}


def squawk(paths: Iterable[Path]) -> Found:
    """squawk counts lines from 0."""
    findings = _json([*SQUAWK, *paths])
    return {(finding["file"], finding["line"] + 1) for finding in findings if finding["rule_name"] not in STYLE}


def _json(command: list[str | Path]) -> Any:
    return json.loads(subprocess.run(command, check=False, capture_output=True, text=True).stdout)


def score(cases: Iterable[tuple[LabelledFile, Path]], found: Found) -> Score:
    counts = Counter[str]()
    for case, path in cases:
        lines = {line for at, line in found if at == str(path)}
        for statement in statements(case.sql):
            if not case.hazards.isdisjoint(statement):
                counts.update(hazards=1, found=not lines.isdisjoint(statement))
            elif case.open.isdisjoint(statement):
                counts.update(clean=1, alarms=not lines.isdisjoint(statement))
    return Score(**counts)


def statements(sql: str) -> Iterator[range]:
    """Yields the lines of each statement. Two statements on the same line cannot be distinguished."""
    for unit in units("-", [sql]):
        if isinstance(unit, Unit) and unit.item is not unit.before:
            yield range(unit.item.line, unit.item.line + unit.item.text.count("\n") + 1)
