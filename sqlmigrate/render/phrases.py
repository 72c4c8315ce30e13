"""Phrases and lines that several renderers share."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.config import duration
from sqlmigrate.model import Action, ProblemLevel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlmigrate.model import Applied, Location, Problem, RunSummary, Step

DOING = {Action.APPLY: "apply", Action.ROLL_BACK: "roll back", Action.HOOK: "run"}


def count(things: Sequence[object], noun: str) -> str:
    """Returns the number of things with the noun: `1 migration`, `2 migrations`."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def failure(row: Applied) -> str:
    """Returns when a migration failed, and the first line of its error; or when it was interrupted."""
    error = row.error_msg.partition("\n")[0]
    return f"failed at {when(row.executed_at)}: {error}" if error else f"was interrupted at {when(row.executed_at)}"


def when(moment: datetime) -> str:
    """Returns a point in time with its time zone."""
    return f"{moment.isoformat(' ')[:19]} {moment.tzname()}"  # strftime takes three times as long


def named(step: Step) -> str:
    """Returns the version and the name of a step's migration."""
    return f"{step.migration.id}  {step.migration.name}" if step.migration.version else step.migration.id


def took(milliseconds: int | None) -> str:
    """Returns a duration as a cell of a table."""
    return "–" if milliseconds is None else duration.shown(milliseconds)


def problem(problem: Problem) -> str:
    """Returns a problem with its location, the line of the file, and the hint."""
    level = style(problem.level.value, fg="red" if problem.level is ProblemLevel.ERROR else "yellow")
    return "\n".join(
        [
            f"{level}: {prefix(problem.location)}{problem.message} [{problem.code}]",
            *marked(problem.location),
            *hint_lines(problem.hint),
        ]
    )


def listed(problems: Iterable[Problem]) -> list[str]:
    """Returns each problem; a hint of several problems in succession is shown once, behind the last of them."""
    in_order = [*problems]
    hints = [*(each.hint for each in in_order[1:]), ""]
    return [
        problem(each._replace(hint="") if each.hint == following else each)
        for each, following in zip(in_order, hints, strict=False)
    ]


def marked(location: Location | None) -> list[str]:
    """Returns the line of the file with a caret below the column; a long line is cut around the caret."""
    if location is None or not location.text:
        return []
    column = location.column or 1
    start = max(column - 60, 0)
    line = location.text[start : start + 100].replace("\t", " ")
    caret = [_caret(column - start + 1)] if location.column else []
    return [f"  {line}", *caret]


@cache
def _caret(column: int) -> str:
    return style(" " * column + "^", fg="red")


def prefix(location: Location | None) -> str:
    """Returns the location and a colon, the prefix of a message."""
    return f"{location}: " if location else ""


def hint_lines(hint: str) -> list[str]:
    """Returns the lines of a hint, each behind an arrow."""
    return [style(f"  → {line}", fg="cyan") for line in hint.splitlines()]


def reached(summary: RunSummary | None) -> str:
    """Returns how long a run took, and where the database is after it."""
    if summary is None:
        return ""
    place = f"the database is at {summary.version}" if summary.version else "no version is applied"
    is_single = summary.pending == 1
    pending = f"{summary.pending} {'migration is' if is_single else 'migrations are'} pending"
    return f" in {duration.shown(summary.duration_ms)}; {place}, {pending if summary.pending else 'nothing is pending'}"
