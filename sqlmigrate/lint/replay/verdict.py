"""Combines the findings of the rules with the observations of the embedded server. Pure."""

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
# The effects that each rule claims, which the server reports if they happen. A table rewrite also scans the table and
# builds its indexes.
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
# Rules whose effects the server reports only in part.
FORESEEN = CLAIMS | {
    "cluster-rewrites": ("rewrites", "builds"),
    "default-partition-scans": ("scans",),
    "index-on-partitioned-table": ("builds",),
    "refresh-not-concurrent": ("rewrites", "builds"),
    "set-tablespace-rewrites": ("rewrites", "builds"),
}
# The rules that report effects that no other rule claims.
BY_SERVER = {"rewrites": "rewrites-table", "scans": "scans-table", "builds": "builds-index"}
_DOING = {
    "rewrites": "PostgreSQL rewrites {} under a lock that blocks writes",
    "scans": "PostgreSQL scans {} under a lock that blocks writes",
    "builds": "PostgreSQL builds an index on {} under a lock that blocks writes",
}
# Errors that depend on data, installed software or timing, which may differ on the production server.
_ELSEWHERE = ("0A", "22", "23", "40", "53", "54", "55P03", "57", "58", "P0", "XX")


def judged(
    found: Sequence[Found],
    observations: Sequence[Observation],
    starts: Sequence[tuple[int, int]],
    levels: Mapping[str, Level | None],
) -> list[Found]:
    """Returns the findings in a file, each with the number of its statement, after the server has run the file.

    Args:
        found: the findings of the rules, with the numbers of their statements.
        observations: the statements that the server ran, up to the first failure.
        starts: line and column of the first statement, the second, …
        levels: the level of each rule; None where it is off.
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
    """Yields the finding, confirmed by the server; nothing where the server did not do what the finding claims."""
    foreseen = FORESEEN.get(finding.rule, ())
    if observation is None or observation.alone or observation.failed is not None or not foreseen:
        yield finding
        return
    did = next((effect for effect in observation.effects if effect.what in foreseen), None)
    if did is None:
        yield from () if finding.rule in CLAIMS else (finding,)
        return
    certain = finding.level is not Level.INFO
    is_outline = "{" in finding.message  # only the server knows the name
    message = finding.message if certain and not is_outline else _DOING[did.what].format(did.table)
    level = finding.level if certain else levels.get(finding.rule) or Level.WARNING
    yield replace(finding, level=level, message=message, decided_by=Decider.SERVER)


def _unforeseen(observation: Observation, said: Sequence[Finding]) -> Iterator[Finding]:
    """Yields findings for the effects that no rule claimed."""
    foreseen = {what for finding in said for what in FORESEEN.get(finding.rule, ())}
    for what, rule in BY_SERVER.items():
        tables = dict.fromkeys(effect.table for effect in observation.effects if effect.what == what)
        if tables and what not in foreseen:
            message = _DOING[what].format(", ".join(tables))
            yield Finding(rule, Level.WARNING, observation.start, message, decided_by=Decider.SERVER)
        if tables and what == "rewrites":
            return  # the other effects are part of the rewrite


def _failure(observation: Observation, said: Sequence[Finding]) -> Iterator[Finding]:
    """Yields a finding for a failure: an error where it fails on every server, otherwise "cannot tell"."""
    assert observation.failed is not None  # noqa: S101  # `judged` calls it for failures only
    message = f"the statement fails: {observation.failed.message}"
    level = Level.ERROR
    if not observation.failed.sqlstate or observation.failed.sqlstate.startswith(_ELSEWHERE):
        ran = "the statement fails on" if observation.failed.sqlstate else "the file was not run on"
        message = f"{CANNOT_TELL}{ran} the embedded server: {observation.failed.message}"
        level = Level.INFO
    if not any(finding.level is Level.ERROR for finding in said):
        yield Finding("fails", level, observation.place, message, decided_by=Decider.SERVER)
