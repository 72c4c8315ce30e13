"""Comments that keep a finding from being shown. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmigrate.model import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.scanner import Item

_OURS = re.compile(r"--[ \t]*sqlmigrate:[ \t]*ignore[ \t]*=[ \t]*(.*)", re.IGNORECASE)
_SQUAWK = re.compile(r"(?:--|/\*)[ \t]*squawk-ignore(-file)?(?![\w-])[ \t]*:?[ \t]*([^\n*]*)", re.IGNORECASE)
_REASON = re.compile(r"\(.*\)\s*$")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Ignore:
    """One rule that a comment keeps quiet, in the whole file or for the statement below.

    Nothing is said of one `from_squawk` that keeps nothing quiet: squawk finds what we do not.
    """

    rule: str
    location: Location
    whole_file: bool
    from_squawk: bool = False


def ignores_in(path: str, space: Item, *, head: bool) -> Iterator[Ignore]:
    """The ignores in the comments before a statement.

    At the head of the file, above a blank line, they hold for the whole file.
    """
    for match in _OURS.finditer(space.text):
        whole = head and _BLANK_LINE.search(space.text, match.end()) is not None
        for rule in _names(match[1]):
            yield Ignore(rule, _place(path, space, match), whole)
    for match in _SQUAWK.finditer(space.text):
        for rule in _names(match[2]) or [EVERYTHING]:
            for own in SQUAWK.get(rule, (rule,)):
                yield Ignore(own, _place(path, space, match), bool(match[1]), from_squawk=True)


def _names(text: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", _REASON.sub("", text).strip()) if name]


def _place(path: str, space: Item, match: re.Match[str]) -> Location:
    before = space.text[: match.start()]
    line = space.line + before.count("\n")
    column = len(before) - before.rfind("\n") if "\n" in before else space.column + len(before)
    return Location(path, line, column, match[0].strip())


# squawk's names for what our rules look for.
SQUAWK = {
    "adding-field-with-default": ("volatile-default-rewrites", "generated-column-rewrites"),
    "adding-foreign-key-constraint": ("foreign-key-scans",),
    "adding-not-nullable-field": ("set-not-null-scans", "required-column"),
    "adding-required-field": ("required-column",),
    "adding-serial-primary-key-field": ("serial-column-rewrites", "constraint-builds-index"),
    "ban-alter-domain-with-add-constraint": ("domain-constraint-scans",),
    "ban-concurrent-index-creation-in-transaction": ("not-in-transaction",),
    "changing-column-type": ("type-change-rewrites",),
    "constraint-missing-not-valid": ("check-scans", "foreign-key-scans", "validate-in-same-transaction"),
    "disallowed-unique-constraint": ("constraint-builds-index",),
    "require-concurrent-index-creation": ("index-not-concurrent", "index-on-partitioned-table"),
    "require-concurrent-index-deletion": ("drop-index-not-concurrent",),
    "require-concurrent-partition-detach": ("detach-not-concurrent",),
    "require-concurrent-reindex": ("reindex-not-concurrent",),
    "require-concurrent-refresh-materialized-view": ("refresh-not-concurrent",),
    "ban-vacuum-full": ("vacuum-full-rewrites",),
    "ban-cluster": ("cluster-rewrites",),
}
