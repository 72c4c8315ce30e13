"""What the files tell and what the server did, in one. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Decider, Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlmigrate.lint.replay.observation import Observation

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
    found: Sequence[Found],
    observations: Sequence[Observation],
    starts: Sequence[tuple[int, int]],
    levels: Mapping[str, Level | None],
) -> list[Found]:
    """The findings of a file, each with the number of its statement, as they stand once the server has run it.

    Args:
        found: what the rules said, and of which statement.
        observations: the statements as the server ran them, as far as they went.
        starts: line and column of the first statement, the second, …
        levels: of each rule; None where it is off.
    """
    numbered = {
        bisect_right(starts, (observation.start.line or 1, observation.start.column or 1)): observation
        for observation in observations
    }
    kept = [(number, decided) for number, finding in found for decided in _heard(finding, numbered.get(number), levels)]
    for number, observation in numbered.items():
        said = [finding for at, finding in kept if at == number]
        kept += [
            (number, added)
            for added in (_failure(observation, said) if observation.failed else _unforeseen(observation, said))
        ]
    return sorted(
        ((number, finding) for number, finding in kept if levels.get(finding.rule) is not None),
        key=lambda pair: pair[0],
    )


def _heard(finding: Finding, observation: Observation | None, levels: Mapping[str, Level | None]) -> Iterator[Finding]:
    """The finding as the server has it; none where the server does not do what it says."""
    foreseen = FORESEEN.get(finding.rule, ())
    if observation is None or observation.alone or observation.failed is not None or not foreseen:
        yield finding
        return
    did = next((effect for effect in observation.effects if effect.what in foreseen), None)
    if did is None:
        yield from () if finding.rule in CLAIMS else (finding,)
        return
    told = finding.level is not Level.INFO
    message = finding.message if told else _DOING[did.what].format(did.table)
    level = finding.level if told else levels.get(finding.rule) or Level.WARNING
    yield replace(finding, level=level, message=message, decided_by=Decider.SERVER)


def _unforeseen(observation: Observation, said: Sequence[Finding]) -> Iterator[Finding]:
    """What the server did and no rule said."""
    foreseen = {what for finding in said for what in FORESEEN.get(finding.rule, ())}
    for what, rule in BY_SERVER.items():
        tables = dict.fromkeys(effect.table for effect in observation.effects if effect.what == what)
        if tables and what not in foreseen:
            message = _DOING[what].format(", ".join(tables))
            yield Finding(rule, Level.WARNING, observation.start, message, decided_by=Decider.SERVER)
        if tables and what == "rewrites":
            return  # the rest comes of it


def _failure(observation: Observation, said: Sequence[Finding]) -> Iterator[Finding]:
    """That the statement fails: if it does everywhere, and no rule said so, or perhaps only here."""
    assert observation.failed is not None  # noqa: S101  # `judged` calls it for failures only
    if not observation.failed.sqlstate or observation.failed.sqlstate.startswith(_ELSEWHERE):
        message = f"{CANNOT_TELL}on the embedded server {observation.failed.message}"
        yield Finding("fails", Level.INFO, observation.place, message, decided_by=Decider.SERVER)
    elif not any(finding.level is Level.ERROR for finding in said):
        yield Finding(
            "fails",
            Level.ERROR,
            observation.place,
            f"it fails: {observation.failed.message}",
            decided_by=Decider.SERVER,
        )
