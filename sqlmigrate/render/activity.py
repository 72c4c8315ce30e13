"""What the holder of the migration lock does, as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlmigrate.render.escape import in_line
from sqlmigrate.render.phrases import DOING, named, when

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.planning.activity import ActiveRun, Activity


def activity(result: Activity) -> str:
    """Returns the run, its statement and what that waits for; then the backend that holds the lock."""
    holder = result.holder
    fields = [*_work(result)]
    fields += [(name, str(getattr(holder, name))) for name in ("pid", "user", "application", "host", "state")]
    fields += [("connected", when(holder.since))] if holder.since else []  # a role may not see it
    if result.run is None:
        fields += [("query", " ".join(holder.query.split()))]
    return "\n".join(f"{name:<12} {in_line(value)}" for name, value in fields)


def _work(result: Activity) -> Iterator[tuple[str, str]]:
    if result.run is not None:
        yield from _run(result, result.run)
    if position := result.position:
        yield "file", f"{position.path}:{position.line}"
        yield "statement", f"{position.number} of {position.total}: {position.text}"
    if result.since:
        seconds = (datetime.now(UTC) - result.since).total_seconds()
        yield "running for", f"{max(seconds, 0):.0f} s, since {when(result.since)}"
    if result.waits_for:
        yield "waits for", result.waits_for
    for blocker in result.blockers:
        yield "blocked by", str(blocker)


def _run(result: Activity, run: ActiveRun) -> Iterator[tuple[str, str]]:
    if result.step:
        yield "migration", f"{DOING[result.step.action]} {named(result.step)}"
    elif run.version:
        yield "migration", f"{run.action} {run.version}"
    progress = f"step {run.step} of {run.steps}" if run.step else f"{run.steps} steps, all done"
    yield "run", f"{run.run_id}, {progress}, since {when(run.began_at)}"
    yield "started by", f"{run.db_user} ({run.os_user}@{run.host})"
