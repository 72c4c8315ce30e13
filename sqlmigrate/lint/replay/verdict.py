"""What the files tell and what the server did, in one. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Decider, Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlmigrate.lint.replay.seen import Seen

Found = tuple[int, Finding]
CANNOT_TELL = "cannot tell: "
# What each rule says that the server does, which says so too, or does not do it. A table that is written anew is read
# for that, and its indexes are built.
CLAIMS = {
    "attach-partition-scans": ("scans", "builds"),
    "check-scans": ("scans", "rewrites"),
    "constrained-domain-rewrites": ("rewrites",),
    "constraint-builds-index": ("builds", "scans"),
    "expression-change-rewrites": ("rewrites",),
    "foreign-key-scans": ("scans",),
    "generated-column-rewrites": ("rewrites",),
    "index-not-concurrent": ("builds",),
    "primary-key-using-nullable": ("scans", "rewrites"),
    "reindex-not-concurrent": ("builds",),
    "serial-column-rewrites": ("rewrites",),
    "set-access-method-rewrites": ("rewrites",),
    "set-logged-rewrites": ("rewrites",),
    "set-not-null-scans": ("scans", "rewrites"),
    "type-change-rewrites": ("rewrites", "scans", "builds"),
    "validate-in-same-transaction": ("scans",),
    "volatile-default-rewrites": ("rewrites",),
}
# What others say, of which the server does a part without a word.
FORESEEN = CLAIMS | {
    "cluster-rewrites": ("rewrites", "builds"),
    "default-partition-scans": ("scans",),
    "index-on-partitioned-table": ("builds",),
    "refresh-not-concurrent": ("rewrites", "builds"),
    "set-tablespace-rewrites": ("rewrites", "builds"),
}
# What the server does and no rule foresaw, by the rule that says so.
BY_SERVER = {"rewrites": "rewrites-table", "scans": "scans-table", "builds": "builds-index"}
_DOING = {
    "rewrites": "PostgreSQL writes {} anew under a lock",
    "scans": "PostgreSQL reads all of {} under a lock",
    "builds": "PostgreSQL builds an index of {} under a lock",
}
# Errors that come of rows, of what is installed, or of time, all of which may be otherwise where it counts.
_ELSEWHERE = ("0A", "22", "23", "40", "53", "54", "55P03", "57", "58", "P0", "XX")


def judged(
    found: Sequence[Found], seen: Sequence[Seen], starts: Sequence[tuple[int, int]], levels: Mapping[str, Level | None]
) -> list[Found]:
    """The findings of a file, each with the number of its statement, as they stand once the server has run it.

    Args:
        found: what the rules said, and of which statement.
        seen: the statements as the server ran them, as far as they went.
        starts: line and column of the first statement, the second, …
        levels: of each rule; None where it is off.
    """
    numbered = {bisect_right(starts, (one.start.line or 1, one.start.column or 1)): one for one in seen}
    kept = [(number, one) for number, finding in found for one in _heard(finding, numbered.get(number), levels)]
    for number, one in numbered.items():
        said = [finding for at, finding in kept if at == number]
        kept += [(number, added) for added in (_failure(one, said) if one.failed else _unforeseen(one, said))]
    return sorted(((number, one) for number, one in kept if levels.get(one.rule) is not None), key=lambda pair: pair[0])


def _heard(finding: Finding, seen: Seen | None, levels: Mapping[str, Level | None]) -> Iterator[Finding]:
    """The finding as the server has it; none where the server does not do what it says."""
    foreseen = FORESEEN.get(finding.rule, ())
    if seen is None or seen.alone or seen.failed is not None or not foreseen:
        yield finding
        return
    did = next((one for one in seen.did if one.what in foreseen), None)
    if did is None:
        yield from () if finding.rule in CLAIMS else (finding,)
        return
    told = finding.level is not Level.INFO
    message = finding.message if told else _DOING[did.what].format(did.table)
    level = finding.level if told else levels.get(finding.rule) or Level.WARNING
    yield replace(finding, level=level, message=message, decided_by=Decider.SERVER)


def _unforeseen(seen: Seen, said: Sequence[Finding]) -> Iterator[Finding]:
    """What the server did and no rule said."""
    foreseen = {what for finding in said for what in FORESEEN.get(finding.rule, ())}
    for what, rule in BY_SERVER.items():
        tables = dict.fromkeys(one.table for one in seen.did if one.what == what)
        if tables and what not in foreseen:
            message = _DOING[what].format(", ".join(tables))
            yield Finding(rule, Level.WARNING, seen.start, message, decided_by=Decider.SERVER)
        if tables and what == "rewrites":
            return  # the rest comes of it


def _failure(seen: Seen, said: Sequence[Finding]) -> Iterator[Finding]:
    """That the statement fails: if it does everywhere, and no rule said so, or perhaps only here."""
    assert seen.failed is not None  # noqa: S101 - asked before
    if not seen.failed.sqlstate or seen.failed.sqlstate.startswith(_ELSEWHERE):
        message = f"{CANNOT_TELL}on the embedded server {seen.failed.message}"
        yield Finding("fails", Level.INFO, seen.place, message, decided_by=Decider.SERVER)
    elif not any(finding.level is Level.ERROR for finding in said):
        yield Finding("fails", Level.ERROR, seen.place, f"it fails: {seen.failed.message}", decided_by=Decider.SERVER)
