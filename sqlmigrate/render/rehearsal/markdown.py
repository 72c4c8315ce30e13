"""A rehearsal as Markdown for a pull request on GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.render.escape import code, escaped
from sqlmigrate.render.rehearsal import phrases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.locks.effects import Effects
    from sqlmigrate.planning.rehearsed import Rehearsal, RehearsedStatement, RehearsedStep


def rehearsal(result: Rehearsal) -> str:
    """Returns a table of the statements of each migration."""
    lines = ["## Rehearsal", "", f"{escaped(phrases.sentence(result).capitalize())}.", ""]
    if result.failure:
        place = f"{code(str(result.failure.location))}: " if result.failure.location else ""
        lines += [f"**Failed**: {place}{escaped(result.failure.message)}", ""]
    return "\n".join([*lines, *(line for step in result.steps for line in _step(step))]).rstrip()


def _step(rehearsed: RehearsedStep) -> Iterator[str]:
    migration = rehearsed.step.migration
    yield f"### {code(migration.id)} {code(migration.name)}"
    yield ""
    yield from ("| line | statement | took | locks | work |", "| --- | --- | --- | --- | --- |")
    yield from map(_row, rehearsed.statements)
    yield ""


def _row(statement: RehearsedStatement) -> str:
    if statement.effects is None:
        end = (
            f"**failed**: {escaped(statement.failed)}"
            if statement.failed
            else f"left out: {escaped(statement.skipped)}"
        )
        return f"| {statement.location.line} | {code(statement.sql)} | – | – | {end} |"
    took = escaped(phrases.measured(statement))
    if statement.estimate is not None:
        took += f"; estimate: {escaped(phrases.spread(statement.estimate))} ({escaped(statement.estimate.ground)})"
    effects = statement.effects
    work = "; ".join(map(escaped, phrases.work(effects)))
    return (
        f"| {statement.location.line} | {code(statement.sql)} | {took} | {_locks(statement, effects)} | {work or '–'} |"
    )


def _locks(statement: RehearsedStatement, effects: Effects) -> str:
    locks = [
        f"{lock.mode.value} on {code(phrases.name(lock.subject.name))}"
        + (f" **{lock.mode.effect}**" if lock.mode.blocks_writes else "")
        + (f", {waiting}" if (waiting := phrases.waiters(lock, statement.wait)) else "")
        for lock in phrases.shown_locks(effects)
    ]
    return "; ".join(locks) or "–"
