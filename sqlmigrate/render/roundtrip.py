"""The result of `validate --roundtrip`: what down files leave behind, break or lose."""

from __future__ import annotations

from itertools import groupby
from textwrap import indent
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.render.escape import in_line
from sqlmigrate.render.phrases import count
from sqlmigrate.scratch.judge import RoundTripLevel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.scratch.judge import RoundTripFinding
    from sqlmigrate.scratch.roundtrip import RoundTrip


def text(result: RoundTrip) -> str:
    """Returns the findings of each migration, with the SQL that mends them, and how many down files are faulty."""
    lines = [line for _, found in groupby(result.findings, lambda each: each.migration) for line in _of(list(found))]
    faulty = {finding.migration for finding in result.faults}
    right = style(
        f"{count(result.checked, 'down file')} checked, {len(faulty)} faulty", fg="red" if faulty else "green"
    )
    others = f"; {count(result.without_down, 'migration')} without a down file" if result.without_down else ""
    return "\n".join([*lines, f"{right}{others}"])


def _of(found: list[RoundTripFinding]) -> Iterator[str]:
    yield f"{found[0].migration}  {found[0].path}"
    for finding in found:
        is_fault = finding.level is RoundTripLevel.FAULT
        level = style(finding.level.value, fg="red" if is_fault else "yellow")
        place = f"{finding.location}: " if finding.location else ""
        yield f"  {level}: {place}{in_line(finding.message)}"
        if finding.old and finding.new:
            yield indent(f"before: {finding.old}\nafter:  {finding.new}", "    ")
        if finding.mend:
            yield style("    → add to the down file:", fg="cyan")
            yield from (indent(f"{statement};", "      ") for statement in finding.mend)


def as_json(result: RoundTrip) -> dict[str, object]:
    """Returns `checked`, `without_down` and `findings`."""
    return {
        "checked": list(result.checked),
        "without_down": list(result.without_down),
        "findings": [_finding(finding) for finding in result.findings],
    }


def _finding(finding: RoundTripFinding) -> dict[str, object]:
    place = finding.location
    return {
        "version": finding.migration,
        "path": finding.path,
        "level": finding.level.value,
        "message": finding.message,
        "kind": finding.key.kind if finding.key else None,
        "identity": finding.key.identity if finding.key else None,
        "before": finding.old,
        "after": finding.new,
        "mend": list(finding.mend),
        "location": place and {"path": place.path, "line": place.line, "column": place.column},
    }
