"""The waves of a plan: which migrations run side by side, and why no others do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.render.escape import in_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.model import Plan, Wave


def title(plan: Plan) -> str:
    """Returns the heading of the waves."""
    return f"waves on {plan.connections} connections (the catalog is read again before each)"


def members(wave: Wave) -> str:
    """Returns the versions of a wave, and the statements of its only step that run side by side."""
    ids = ", ".join(in_line(step.migration.id) for step in wave.steps)
    inside = "".join(f", statements {first} to {last} side by side" for first, last in wave.statements)
    return f"{ids}{inside}"


def lines(plan: Plan) -> Iterator[str]:
    """Yields a line for each wave, with the reason below; none for a serial plan."""
    if plan.connections < 2:
        return
    yield f"{title(plan)}:"
    width = len(str(len(plan.waves)))
    for number, wave in enumerate(plan.waves, 1):
        yield f"  {number:>{width}}  {members(wave)}"
        if wave.reason:
            yield f"  {'':{width}}    {in_line(wave.reason)}"
