"""What the holder of the migration lock does, as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlmigrate.render.escape import in_line
from sqlmigrate.render.phrases import DOING, named, when

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.model import Holder
    from sqlmigrate.planning.activity import ActiveRun, Activity

_HIDDEN = "only members of pg_read_all_stats see its host, its state, and since when it runs"
_QUERY = 100  # characters; a run sends many statements in one message


def activity(result: Activity) -> str:
    """Returns the run, its statement and what that waits for; then the backend that holds the lock."""
    fields = [*_work(result), *_backend(result.holder, with_query=result.run is None)]
    return "\n".join(f"{name:<12} {in_line(value)}" for name, value in fields)


def _backend(holder: Holder, *, with_query: bool) -> Iterator[tuple[str, str]]:
    for name in ("pid", "user", "application", "host", "state"):
        if value := getattr(holder, name):
            yield name, str(value)
    if holder.since:
        yield "connected", when(holder.since)
    if not holder.state:
        yield "hidden", _HIDDEN
    elif with_query:
        yield "query", " ".join(holder.query.split())[:_QUERY]


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
    for pid, program in result.beside:
        yield "beside", f"{program}, pid {pid}"


def _run(result: Activity, run: ActiveRun) -> Iterator[tuple[str, str]]:
    if result.step:
        yield "migration", f"{DOING[result.step.action]} {named(result.step)}"
    elif run.version:
        yield "migration", f"{run.action} {run.version}"
    progress = f"step {run.step} of {run.steps}" if run.step else f"{run.steps} steps, all done"
    yield "run", f"{run.run_id}, {progress}, since {when(run.began_at)}"
    yield "started by", f"{run.db_user} ({run.os_user}@{run.host})"
