"""A review for a person at a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.render import summary
from sqlmigrate.render.findings import COLOURS
from sqlmigrate.render.phrases import DOING, named, problem
from sqlmigrate.render.unseen import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint import Finding
    from sqlmigrate.locks import TableLock
    from sqlmigrate.planning.review import Review, ReviewedStep
    from sqlmigrate.render.summary import Excerpt, Part

# Of a statement and of a step, so many lines are shown.
_LINES = 40
_LINES_OF_STEP = 400
_INDENT = " " * 7


def review(made: Review) -> str:
    """The whole, step by step; what it comes to stands at the end, where the terminal stops."""
    steps = [line for one in made.steps for line in (*_step(one), "")]
    hooks = [line for one in made.hooks for line in (*_step(one), "")]
    around = [style("around each migration, or after an error:", bold=True), *hooks] if hooks else []
    return "\n".join([*steps, *around, *_irreversible(made), *map(problem, made.plan.problems), *_end(made)])


def _step(one: ReviewedStep) -> Iterator[str]:
    step = one.step
    yield f"{DOING[step.action]:<9}  {style(summary.in_line(named(step)), bold=True)}"
    yield style(summary.in_line(step.path), dim=True)
    for part in summary.parts(one, _LINES, _LINES_OF_STEP):
        yield from _part(part)
    for found in one.findings:
        yield from _finding(found)


def _part(part: Part) -> Iterator[str]:
    yield style(f"  {part.begin or 'outside a transaction'}", fg="cyan")
    for excerpt in part.excerpts:
        yield from _statement(excerpt)
    if part.more:
        yield f"{_INDENT}{part.more}"
    if part.begin:
        yield style("  commit", fg="cyan")


def _statement(excerpt: Excerpt) -> Iterator[str]:
    statement = excerpt.statement
    first, *rest = excerpt.sql.split("\n")
    yield f"{style(f'{statement.line:>5}', dim=True)}  {first}"
    yield from (f"{_INDENT}{line}" for line in rest)
    if excerpt.more:
        yield style(f"{_INDENT}{excerpt.more}", dim=True)
    yield from (f"{_INDENT}{_lock(lock)}" for lock in statement.locks)
    yield from (style(f"{_INDENT}{_unseen(lock)}", dim=True) for lock in statement.new_table_locks)
    if statement.hidden:
        yield style(f"{_INDENT}may lock more: {summary.in_line(statement.hidden)}", fg="yellow")
    if statement.lost:
        yield style(f"{_INDENT}can't be undone: {summary.in_line(statement.lost)}", fg="red")
    for found in statement.findings:
        yield from _finding(found)


def _finding(one: Finding) -> Iterator[str]:
    said = f"{summary.in_line(one.message)} [{one.rule}]"
    yield f"{_INDENT}{style(one.level.value, fg=COLOURS[one.level])}: {said}"
    yield from (style(f"{_INDENT}  {line}", fg="cyan") for line in visible(one.safer).splitlines())


def _lock(lock: TableLock) -> str:
    said = f"→ {lock.mode.value} on {summary.in_line(lock.relation)}: {summary.effect(lock.mode)}"
    said += f"; {lock.work}" if lock.work else ""
    if lock.mode.blocks_writes:
        return style(said, fg="red" if lock.mode.blocks_reads else "yellow")
    return style(said, dim=True)


def _unseen(lock: TableLock) -> str:
    return f"→ {lock.mode.value} on {summary.in_line(lock.relation)}, which this plan makes: nobody waits"


def _irreversible(made: Review) -> list[str]:
    found = summary.irreversible(made)
    lines = [
        f"  {summary.in_line(named(one.step))}: {'; '.join(map(summary.in_line, one.irreversible))}" for one in found
    ]
    return [style("can't be undone:", fg="red"), *lines, ""] if found else []


def _end(made: Review) -> list[str]:
    where = f"{summary.title(made)} of database {summary.in_line(made.inputs['database'])}: "
    lines = textwrap.wrap(where + summary.sentence(made), 120, break_long_words=False, break_on_hyphens=False)
    return [*(style(line, bold=True) for line in lines), f"digest {made.digest}"]
