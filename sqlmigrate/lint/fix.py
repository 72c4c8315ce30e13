"""Fixes for findings with one right fix: CONCURRENTLY, NOT VALID and its VALIDATE, the safer SQL of one file, comments.

CONCURRENTLY and NOT VALID are inserted, so that the format and the comments of the statement stay; other safer SQL
replaces a statement without comments.

The linter checks every change before it is proposed: the change must remove its finding and add no other.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ConfigurationError, ScriptError
from sqlmigrate.files.naming import file_name, parse_file_name
from sqlmigrate.lint.linter import Options, lint
from sqlmigrate.sql.item import Kind
from sqlmigrate.sql.scanner import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlmigrate.lint.finding import Finding
    from sqlmigrate.model import Version

    _Editor = Callable[[str, int, str, int, Finding], Iterator["_Edit"]]

_B = r"(?:\s|--[^\n]*\n|/\*.*?\*/)+"
_PART = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})?"
_FLAGS = re.IGNORECASE | re.DOTALL
# CONCURRENTLY follows these keywords.
_CONCURRENTLY = {
    rule: re.compile(words, _FLAGS)
    for rule, words in {
        "index-not-concurrent": rf"create{_B}(?:unique{_B})?index\b",
        "drop-index-not-concurrent": rf"drop{_B}index\b",
        "reindex-not-concurrent": rf"reindex{_B}(?:\([^)]*\)\s*)?(?:index|table|schema|database)\b",
        "refresh-not-concurrent": rf"refresh{_B}materialized{_B}view\b",
        "detach-not-concurrent": rf"alter{_B}table{_B}.*?\bdetach{_B}partition{_B}{_NAME}",
    }.items()
}
_NOT_VALID = ("foreign-key-scans", "check-scans")
_CONSTRAINT = re.compile(rf"constraint{_B}({_PART}){_B}(?:foreign{_B}key|check)\b", _FLAGS)
_TABLE = re.compile(rf"alter{_B}table{_B}(?:if{_B}exists{_B})?(?:only{_B})?({_NAME})", _FLAGS)
_TOKEN = re.compile(r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\s+|[\w$]+|.""", re.DOTALL)
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Fix:
    """The contents of a file before and after the fix; `before` is None for a new file."""

    path: str
    before: str | None
    after: str


class _Edit(NamedTuple):
    """Text in place of that up to `end`; `validate` is the statement that must follow in a migration of its own."""

    at: int
    end: int
    text: str
    rule: str
    validate: str = ""


@dataclass(slots=True)
class Fixer:
    """Proposes fixes; `earlier` and `options` are those of the call of `lint` that returned the findings."""

    earlier: Sequence[str]
    options: Options
    _taken: set[Version] = field(default_factory=set)

    def fixes(self, findings: Sequence[Finding]) -> list[Fix]:
        """Returns the changes that remove findings."""
        return self._fixed(findings, _edit)

    def ignores(self, findings: Sequence[Finding]) -> list[Fix]:
        """Returns the comments that suppress findings."""
        return self._fixed(findings, _comment)

    def _fixed(self, findings: Sequence[Finding], editor: _Editor) -> list[Fix]:
        paths = dict.fromkeys(finding.location.path for finding in findings)
        return [
            fix
            for path in paths
            for fix in self._fix_file(path, editor, [finding for finding in findings if finding.location.path == path])
        ]

    def _fix_file(self, path: str, editor: _Editor, findings: Sequence[Finding]) -> Iterator[Fix]:
        before = _read(path)
        bom = before[: before.startswith(_BOM)]
        text, validate = before.removeprefix(_BOM), []
        changed_from = len(text)
        for edit in sorted(set(_edits(path, text, findings, editor)), reverse=True):
            if edit.end > changed_from:
                continue
            changed = text[: edit.at] + edit.text + text[edit.end :]
            following = self._following(path, [edit.validate]) if edit.validate else {}
            if bool(following) == bool(edit.validate) and self._is_better(path, (text, changed), edit.rule, following):
                text, changed_from = changed, edit.at
                validate += [edit.validate] if edit.validate else []
        if bom + text != before:
            yield Fix(path, before, bom + text)
        if validate:
            for new, content in self._following(path, validate[::-1]).items():
                self._taken.add(_version(new))
                yield Fix(new, None, content)

    def _is_better(self, path: str, texts: tuple[str, str], rule: str, following: Mapping[str, str]) -> bool:
        """Returns whether the rule has fewer findings, no other rule has more, and the new files have none."""
        old, new = (self._count(path, {path: text}) for text in texts)
        if new[rule] >= old[rule] or any(new[name] > old[name] for name in new):
            return False
        return not any(self._count(new_path, {path: texts[1], **following}) for new_path in following)

    def _count(self, path: str, texts: Mapping[str, str]) -> Counter[str]:
        found = lint([*texts], self.earlier, replace(self.options, texts={**self.options.texts, **texts}))
        return Counter(finding.rule for finding in found if finding.location.path == path)

    def _following(self, path: str, statements: Sequence[str]) -> dict[str, str]:
        """Returns a migration after all others that runs the statements; with a down file if the fixed one has one."""
        directory, own = os.path.split(path)
        name = parse_file_name(own)
        if name is None or name.version is None or name.direction == "down":
            return {}
        known = [existing for existing in map(parse_file_name, os.listdir(directory or ".")) if existing is not None]
        last = max({existing.version for existing in known if existing.version} | self._taken | {name.version})
        version = last._replace(sequence=last.sequence + 1)
        up = "".join(
            [
                f"-- Validates the constraint that {own} adds as NOT VALID.\n",
                *(f"{statement}\n" for statement in statements),
            ]
        )
        made = {file_name(version, _title(statements), "up"): up}
        if any(existing.id == name.id and existing.direction == "down" for existing in known):
            made[file_name(version, _title(statements), "down")] = "-- Nothing to roll back.\n"
        return {os.path.join(directory, new): text for new, text in made.items()}


def write(fix: Fix) -> None:
    """Writes the fixed file.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    try:
        with open(fix.path, "w", encoding="utf-8", newline="") as file:
            file.write(fix.after)
    except OSError as error:
        raise ConfigurationError(f"{fix.path} cannot be written: {error.strerror}") from error


def _read(path: str) -> str:
    """Returns the contents of a file; empty if it cannot be read, so that nothing is fixed."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _edits(path: str, text: str, findings: Sequence[Finding], editor: _Editor) -> Iterator[_Edit]:
    statements = statements_of(path, text)
    for finding in findings:
        at = offset_of(text, finding)
        for start, statement in statements:
            if start <= at < start + len(statement):
                yield from editor(text, start, statement, at, finding)


def statements_of(path: str, text: str) -> list[tuple[int, str]]:
    """Returns offset and text of each statement, up to the first error of the scanner."""
    found, at = [], 0
    with suppress(ScriptError):
        for item in scan(path, [text]):
            if item.kind is Kind.STATEMENT:
                found.append((at, item.source))
            at += len(item.source)
    return found


def offset_of(text: str, finding: Finding) -> int:
    """Returns the offset of a finding in the text of its file."""
    place = finding.location
    lines = text.split("\n")[: (place.line or 1) - 1]
    return sum(len(line) + 1 for line in lines) + (place.column or 1) - 1


def _edit(_: str, start: int, statement: str, at: int, finding: Finding) -> Iterator[_Edit]:
    rule, edits = finding.rule, list[_Edit]()
    if rule in _CONCURRENTLY:
        edits = [*_concurrently(start, statement, rule)]
    elif rule in _NOT_VALID:
        edits = [*_not_valid(start, statement, at - start, rule)]
    yield from edits or _replacement(start, statement, finding)


def _replacement(start: int, statement: str, finding: Finding) -> Iterator[_Edit]:
    """Yields safer SQL in place of a statement: that of one file, or a constraint that the next file validates."""
    safer = finding.safer
    is_whole = len(safer.later) == (finding.rule in _NOT_VALID)
    if is_whole and safer.sql and not (safer.adds or safer.advice or "--" in statement or "/*" in statement):
        yield _Edit(start, start + len(statement), safer.sql, finding.rule, *safer.later)


def _concurrently(start: int, statement: str, rule: str) -> Iterator[_Edit]:
    words = _CONCURRENTLY[rule].match(statement)
    several = rule == "drop-index-not-concurrent" and "," in statement
    if words and not several:
        word = " CONCURRENTLY" if words[0].split()[0].isupper() else " concurrently"
        at = start + words.end()
        yield _Edit(at, at, word, rule)


def _not_valid(start: int, statement: str, at: int, rule: str) -> Iterator[_Edit]:
    table, constraint = _TABLE.match(statement), _CONSTRAINT.match(statement, at)
    if table and constraint:
        word = " NOT VALID" if statement[:5].isupper() else " not valid"
        validate = f"alter table {table[1]} validate constraint {constraint[1]};"
        end = start + _end_of_command(statement, at)
        yield _Edit(end, end, word, rule, validate)


def _end_of_command(statement: str, at: int) -> int:
    """Returns where the last token of a subcommand ends: before the next comma or semicolon."""
    depth, end = 0, at
    for token in _TOKEN.finditer(statement, at):
        if token[0].isspace() or token[0].startswith(("--", "/*")):
            continue
        depth += (token[0] in "([") - (token[0] in ")]")
        if depth == 0 and token[0] in ",;":
            break
        end = token.end()
    return end


def _comment(text: str, start: int, _: str, __: int, finding: Finding) -> Iterator[_Edit]:
    newline = "\r\n" if "\r\n" in text else "\n"
    line = text.rfind("\n", 0, start) + 1
    before = text[line:start]
    comment = f"-- sqlmigrate: ignore={finding.rule}{newline}"
    if before.strip():
        yield _Edit(start, start, newline + comment, finding.rule)
    else:
        yield _Edit(line, line, before + comment, finding.rule)


def _title(statements: Sequence[str]) -> str:
    names = [statement.rpartition(" ")[2].strip('";') for statement in statements]
    return f"validate_{re.sub(r'[^A-Za-z0-9_]+', '_', names[0])}" if len(names) == 1 else "validate_constraints"


def _version(path: str) -> Version:
    name = parse_file_name(os.path.basename(path))
    if name is None or name.version is None:
        raise ValueError(path)
    return name.version
