"""Comments that suppress findings. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from sqlmigrate.config.suggestion import closest
from sqlmigrate.model import Location
from sqlmigrate.sql.place import after

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlmigrate.sql.item import Item

_OURS = re.compile(r"--[ \t]*sqlmigrate:[ \t]*ignore[ \t]*=[ \t]*(.*)", re.IGNORECASE)
_SQUAWK = re.compile(r"(?:--|/\*)[ \t]*squawk-ignore(-file)?(?![\w-])[ \t]*:?[ \t]*([^\n*]*)", re.IGNORECASE)
_REASON = re.compile(r"\(.*\)\s*$")
_BLANK_LINE = re.compile(r"\n(?=[ \t\r]*\n)")
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Ignore:
    """A rule that a comment suppresses, in the whole file or for one statement.

    The statement follows the comment; a `trailing` comment, on the last line of a statement, is about that statement.
    `rule` is empty where the comment names no rule. A comment for squawk that suppresses nothing is not reported:
    squawk has rules that sqlmigrate does not have.
    """

    rule: str
    location: Location
    whole_file: bool
    trailing: bool = False
    from_squawk: bool = False


def unused(ignore: Ignore, rules: Collection[str]) -> str:
    """Returns what is wrong with a comment that suppresses nothing."""
    if not ignore.rule:
        return "the comment names no rule; write ignore=rule, rule (reason)"
    if ignore.rule in rules:
        return f"the comment has no effect: {ignore.rule} finds nothing here"
    close = closest(ignore.rule, rules)
    return f"rule {ignore.rule} does not exist" + (f"; did you mean {close}?" if close else "")


class Covering:
    """Finds the comments that suppress a finding; each is named by its number in the list."""

    def __init__(self, ignores: Iterable[tuple[int, Ignore]]) -> None:
        """The numbers of the comments by the number of the statement, or None for the whole file, and by rule."""
        self._numbers: dict[tuple[int | None, str], list[int]] = {}
        for at, (statement, ignore) in enumerate(ignores):
            key = None if ignore.whole_file else statement, ignore.rule
            self._numbers.setdefault(key, []).append(at)

    def of(self, statement: int, rule: str) -> list[int]:
        """Returns the numbers of the comments that suppress the findings of a rule in a statement."""
        keys = product((statement, None), (rule, EVERYTHING)) if self._numbers else ()
        return [at for key in keys for at in self._numbers.get(key, ())]


def ignores_in(path: str, space: Item, *, head: bool) -> Iterator[Ignore]:
    """Yields the rules that the comments before a statement suppress.

    A comment at the head of the file, above a blank line, holds for the whole file.
    """
    last_blank = max((match.start() for match in _BLANK_LINE.finditer(space.text)), default=-1) if head else -1
    first_end = space.text.find("\n")
    for match, place in _placed(path, space, _OURS):
        trailing = not head and (first_end < 0 or match.start() <= first_end)
        whole = last_blank >= match.end()
        yield from (Ignore(rule, place, whole, trailing) for rule in _names(match[1]) or [""])
    for match, place in _placed(path, space, _SQUAWK):
        for rule in _squawk_names(match[2]) or [EVERYTHING]:
            yield from (Ignore(own, place, bool(match[1]), from_squawk=True) for own in SQUAWK.get(rule, (rule,)))


def ignores_within(path: str, statement: Item) -> Iterator[Ignore]:
    """Yields the rules that the comments in a statement, such as a DO block, suppress for the whole statement."""
    for match, place in _placed(path, statement, _OURS):
        start = statement.text.rfind("\n", 0, match.start()) + 1
        if "'" not in statement.text[start : match.start()]:  # after a quote it is part of a string
            yield from (Ignore(rule, place, whole_file=False) for rule in _names(match[1]) or [""])


def _names(text: str) -> list[str]:
    """Returns the names of the rules, with hyphens between their words."""
    parts = (re.split(r"[\s_]+", part.strip().lower()) for part in _REASON.sub("", text).split(","))
    return [name for words in parts if (name := "-".join(words))]


def _squawk_names(text: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", text.strip()) if name]


def _placed(path: str, item: Item, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], Location]]:
    """Yields the matches of a pattern with their locations."""
    at, line, column = 0, item.line, item.column
    for match in pattern.finditer(item.text):
        line, column = after(item.text[at : match.start()], line, column)
        at = match.start()
        yield match, Location(path, line, column, match[0].strip())


# squawk's rules, and the rules of sqlmigrate that report the same.
SQUAWK = {
    "adding-field-with-default": ("volatile-default-rewrites", "generated-column-rewrites"),
    "adding-foreign-key-constraint": ("foreign-key-scans",),
    "adding-not-nullable-field": ("set-not-null-scans", "required-column"),
    "adding-required-field": ("required-column",),
    "adding-serial-primary-key-field": ("serial-column-rewrites", "constraint-builds-index"),
    "ban-alter-domain-with-add-constraint": ("domain-constraint-scans",),
    "ban-concurrent-index-creation-in-transaction": ("not-in-transaction",),
    "changing-column-type": ("type-change-rewrites", "narrowing-type"),
    "constraint-missing-not-valid": ("check-scans", "foreign-key-scans", "validate-in-same-transaction"),
    "disallowed-unique-constraint": ("constraint-builds-index",),
    "require-concurrent-index-creation": ("index-not-concurrent", "index-on-partitioned-table"),
    "require-concurrent-index-deletion": ("drop-index-not-concurrent",),
    "require-concurrent-partition-detach": ("detach-not-concurrent",),
    "require-concurrent-reindex": ("reindex-not-concurrent",),
    "require-concurrent-refresh-materialized-view": ("refresh-not-concurrent",),
    "ban-vacuum-full": ("vacuum-full-rewrites",),
    "ban-cluster": ("cluster-rewrites",),
    "ban-char-field": ("char-type",),
    "ban-drop-column": ("drop-column",),
    "ban-drop-constraint": ("drop-constraint", "drop-primary-key"),
    "ban-drop-database": ("drop-database",),
    "ban-drop-default": ("drop-default",),
    "ban-drop-domain": ("drop-object",),
    "ban-drop-extension": ("drop-object",),
    "ban-drop-function": ("drop-function",),
    "ban-drop-generated-expression": ("drop-default",),
    "ban-drop-not-null": ("drop-not-null",),
    "ban-drop-schema": ("drop-object",),
    "ban-drop-sequence": ("drop-object",),
    "ban-drop-table": ("drop-table",),
    "ban-drop-trigger": ("drop-trigger",),
    "ban-drop-type": ("drop-object",),
    "ban-drop-view": ("drop-view",),
    "ban-disable-trigger": ("trigger-switched",),
    "ban-set-schema": ("set-schema",),
    "ban-truncate-cascade": ("truncate", "cascade"),
    "prefer-bigint-over-int": ("integer-key",),
    "prefer-bigint-over-smallint": ("integer-key",),
    "prefer-identity": ("serial-column",),
    "prefer-text-field": ("varchar-limit",),
    "prefer-timestamp-tz": ("timestamp-without-zone",),
    "renaming-column": ("rename-column",),
    "renaming-object": ("rename-object",),
    "renaming-table": ("rename-table",),
}
