"""Phrases that several kinds of text share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click import style

from sqlmigrate.model import Action, ProblemLevel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.model import Location, Problem, Step

DOING = {Action.APPLY: "apply", Action.ROLL_BACK: "roll back", Action.HOOK: "run"}


def count(things: Sequence[object], noun: str) -> str:
    """`1 migration`, `2 migrations`."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def named(step: Step) -> str:
    """A step's migration: version and name."""
    return f"{step.migration.id}  {step.migration.name}" if step.migration.version else step.migration.id


def problem(one: Problem) -> str:
    """A problem: where, what, and what to do."""
    level = style(one.level.value, fg="red" if one.level is ProblemLevel.ERROR else "yellow")
    return "\n".join(
        [f"{level}: {prefix(one.location)}{one.message} [{one.code}]", *marked(one.location), *hint_lines(one.hint)]
    )


def marked(place: Location | None) -> list[str]:
    """The line with a caret; a long one is cut to what surrounds the caret."""
    if place is None or not place.text:
        return []
    column = place.column or 1
    start = max(column - 60, 0)
    line = place.text[start : start + 100].replace("\t", " ")
    caret = [style(" " * (column - start + 1) + "^", fg="red")] if place.column else []
    return [f"  {line}", *caret]


def prefix(place: Location | None) -> str:
    """Returns the location and a colon, as a prefix of a message."""
    return f"{place}: " if place else ""


def hint_lines(hint: str) -> list[str]:
    """Returns what to do next, a line for each line of the hint."""
    return [style(f"  → {line}", fg="cyan") for line in hint.splitlines()]
