"""One statement, one cause, one finding: which findings have the same cause as another, so that a reader sees one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import END
from sqlmigrate.lint.rules import RULES
from sqlmigrate.lint.rules.wording import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlmigrate.lint.finding import Finding
    from sqlmigrate.lint.ignore import Covering
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Name
    from sqlmigrate.model import Location

Found = tuple[int, "Finding"]

# The rewrite for a new column also checks the rows and builds the indexes.
_REWRITES_FOR_A_COLUMN = (
    "constrained-domain-rewrites",
    "generated-column-rewrites",
    "serial-column-rewrites",
    "volatile-default-rewrites",
)
# The rules whose finding about the same command says a part of what the finding of the first rule says:
# what its safer way does, also removes theirs.
CONTAINED: dict[str, Collection[str]] = {
    "backfill-with-ddl": ("whole-table-change",),
    "drop-database": ("cascade",),
    "index-not-concurrent": ("work-under-lock",),
    "index-on-partitioned-table": ("work-under-lock",),
    "narrowing-type": ("type-change-rewrites",),
    "redundant-index": ("index-not-concurrent", "index-on-partitioned-table", "work-under-lock"),
    "refresh-not-concurrent": ("work-under-lock",),
    "reindex-not-concurrent": ("work-under-lock",),
    "required-column": ("rows-rejected",),
    **dict.fromkeys(_REWRITES_FOR_A_COLUMN, ("check-scans", "constraint-builds-index")),
    "unknown-column": ("exists-already", "foreign-key-without-key"),
}
# Rules that say that the statement should not run: where a comment says that it should, what it does is reported.
_NEEDLESS = ("redundant-index",)
# The rules about a transaction that does too much: the first finding says so, and the file is to be divided anyway.
ONCE = ("backfill-with-ddl", "several-tables-locked")
# A statement that fails does nothing of what other rules warn of; drop-database does not say that it fails.
_FAILING = {rule.name for rule in RULES if rule.level is Level.ERROR} - {"drop-database"}
_PLURALS = {"column": "columns", "its": "their", "it": "them", "it,": "them,"}
_ANY = -1  # any part of a statement
_SEVERITY = {level: number for number, level in enumerate(Level)}


class _Subject(NamedTuple):
    """What a finding is about; `command` is a subcommand of ALTER TABLE, or None for the whole statement.

    `table` is the table if no file has dropped it before.
    """

    statement: int
    command: int | None
    transaction: int
    table: Name | None

    def places(self, number: int) -> Iterator[tuple[object, ...]]:
        """Yields the keys of the speakers about the same subcommand, about the whole statement, or about any part."""
        for place in (_ANY,) if self.command is None else (self.command, None):
            yield number, self.statement, place


class _Speaker(NamedTuple):
    """What a finding contains, it contains in every finding of its rule and severity."""

    rule: str
    severity: int
    ignored: bool

    def contains(self, finding: Finding) -> bool:
        severity = _SEVERITY[finding.level]
        is_unsure = self.rule == finding.rule and finding.level is Level.INFO
        is_denied = self.ignored and self.rule in _NEEDLESS
        contains = finding.rule in CONTAINED.get(self.rule, ()) and self.severity <= severity and not is_denied
        fails = self.rule in _FAILING and not self.ignored and finding.level is not Level.NOTICE
        return contains or ((fails or is_unsure) and self.severity < severity)


class Causes:
    """Remembers what the findings of a file are about, and leaves out those that another finding speaks for."""

    def __init__(self) -> None:
        self._subjects: dict[tuple[int, str, Location], _Subject] = {}

    def record(self, number: int, finding: Finding, case: Case) -> None:
        """Records the case of a finding in the statement with this number."""
        if case.kind != END:
            command = None if case.node is case.statement.body else id(case.node)
            table = case.name if case.name[1] and case.name not in case.catalog.dropped else None
            subject = _Subject(id(case.statement.body), command, case.state.transaction, table)
            self._subjects.setdefault((number, finding.rule, finding.location), subject)

    def is_moot(self, pair: Found, dropped: Collection[Name], transaction: int) -> bool:
        """Returns whether a transaction that drops these tables drops the table after the statement."""
        number, finding = pair
        subject = self._subject(number, finding)
        if finding.level is Level.ERROR or subject is None or subject.transaction != transaction:
            return False
        return subject.table in dropped

    def shown(self, found: Sequence[Found], covering: Covering) -> Iterator[Finding]:
        """Yields the findings to show, those of a rule at the same place, or about the same ALTER TABLE, as one.

        Complete SQL is about one subcommand, and --fix applies it there, so findings with such SQL stay apart.
        """
        by_place: dict[tuple[object, ...], list[Finding]] = {}
        for number, finding in self._speaking(found, covering):
            subject = self._subject(number, finding)
            is_part = subject is not None and subject.command is not None and not finding.safer.script
            at = (number, subject.statement) if subject is not None and is_part else finding.location
            place = (finding.rule, finding.level, finding.decided_by, at, finding.safer.script)
            by_place.setdefault(place, []).append(finding)
        for findings in by_place.values():
            if len(findings) == 1:
                yield findings[0]
                continue
            advice = joined([finding.safer.advice for finding in findings])
            message = joined([finding.message for finding in findings])
            yield replace(findings[0], message=message, safer=findings[0].safer._replace(advice=advice))

    def _speaking(self, found: Sequence[Found], covering: Covering) -> Iterator[Found]:
        """Yields the findings that neither a comment suppresses nor another finding speaks for.

        A comment that suppresses a finding suppresses those that it contains, except where it says that a statement
        does not fail, or is not needless.
        """
        ignored = {_key(pair) for pair in found if covering.of(*_key(pair))}
        first = [*self._first(found)]
        speakers: dict[tuple[object, ...], set[_Speaker]] = {}
        for number, finding in first:
            if (subject := self._subject(number, finding)) is not None:
                speaker = _Speaker(finding.rule, _SEVERITY[finding.level], (number, finding.rule) in ignored)
                for place in (subject.command, _ANY):
                    speakers.setdefault((number, subject.statement, place), set()).add(speaker)
        for number, finding in first:
            subject = self._subject(number, finding)
            beside = subject.places(number) if subject is not None else ()
            spoken_for = any(speaker.contains(finding) for place in beside for speaker in speakers.get(place, ()))
            if not spoken_for and (number, finding.rule) not in ignored:
                yield number, finding

    def _first(self, found: Sequence[Found]) -> Iterator[Found]:
        """Yields the findings without the later ones of a transaction for which the first speaks."""
        worst: dict[tuple[str, int], int] = {}
        for number, finding in found:
            subject = self._subject(number, finding)
            if finding.rule in ONCE and subject is not None:
                key, severity = (finding.rule, subject.transaction), _SEVERITY[finding.level]
                if worst.get(key, len(_SEVERITY)) <= severity:
                    continue
                worst[key] = severity
            yield number, finding

    def _subject(self, number: int, finding: Finding) -> _Subject | None:
        return self._subjects.get((number, finding.rule, finding.location))


def _key(found: Found) -> tuple[int, str]:
    return found[0], found[1].rule


def joined(messages: Sequence[str]) -> str:
    """Returns one message for those of several subcommands, which differ in a name: "drops the column a, b and c"."""
    words = [message.split(" ") for message in dict.fromkeys(messages)]
    if len(words) == 1 or len({len(parts) for parts in words}) > 1:
        return "; ".join(dict.fromkeys(messages))
    listed_words = [parts[0] if len(set(parts)) == 1 else _listed(parts) for parts in zip(*words, strict=True)]
    return " ".join(_PLURALS.get(word, word) for word in listed_words)


def _listed(words: Sequence[str]) -> str:
    """Returns different words as a list; a comma that follows each of them follows the list."""
    comma = "," if all(word.endswith(",") for word in words) else ""
    return listed(word.removesuffix(comma) for word in words) + comma
