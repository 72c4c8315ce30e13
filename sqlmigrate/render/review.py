"""A review as text for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.render import summary
from sqlmigrate.render.escape import in_line, visible
from sqlmigrate.render.levels import COLOURS
from sqlmigrate.render.phrases import DOING, named, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint import Finding
    from sqlmigrate.locks import TableLock
    from sqlmigrate.planning.review import Review, ReviewedStep
    from sqlmigrate.render.summary import Excerpt, TransactionExcerpt

# How many lines of a statement, and of a step, are shown.
_LINES = 40
_LINES_OF_STEP = 400
_INDENT = " " * 7


def review(made: Review) -> str:
    """Returns the review, step by step; the summary is at the end, where the reader of a terminal sees it first."""
    steps = [line for step in made.steps for line in (*_step(step), "")]
    hooks = [line for hook in made.hooks for line in (*_step(hook), "")]
    around = [style("hooks around each migration, or after an error:", bold=True), *hooks] if hooks else []
    return "\n".join([*steps, *around, *_irreversible(made), *map(problem, made.plan.problems), *_end(made)])


def _step(reviewed: ReviewedStep) -> Iterator[str]:
    step = reviewed.step
    yield f"{DOING[step.action]:<9}  {style(in_line(named(step)), bold=True)}"
    yield style(in_line(step.path), dim=True)
    for transaction in summary.excerpts(reviewed, _LINES, _LINES_OF_STEP):
        yield from _transaction(transaction)
    for finding in reviewed.findings:
        yield from _finding(finding)


def _transaction(transaction: TransactionExcerpt) -> Iterator[str]:
    yield style(f"  {transaction.begin or 'outside a transaction'}", fg="cyan")
    for excerpt in transaction.excerpts:
        yield from _statement(excerpt)
    if transaction.more:
        yield f"{_INDENT}{transaction.more}"
    if transaction.begin:
        yield style("  commit", fg="cyan")


def _statement(excerpt: Excerpt) -> Iterator[str]:
    statement = excerpt.statement
    first, *rest = excerpt.sql.split("\n")
    yield f"{style(f'{statement.line:>5}', dim=True)}  {first}"
    yield from (f"{_INDENT}{line}" for line in rest)
    if excerpt.more:
        yield style(f"{_INDENT}{excerpt.more}", dim=True)
    yield from (f"{_INDENT}{_lock(lock)}" for lock in statement.locks)
    yield from (style(f"{_INDENT}{_new_table_lock(lock)}", dim=True) for lock in statement.new_table_locks)
    if statement.hidden:
        yield style(f"{_INDENT}may take further locks: {in_line(statement.hidden)}", fg="yellow")
    if statement.lost:
        yield style(f"{_INDENT}cannot be undone: {in_line(statement.lost)}", fg="red")
    for finding in statement.findings:
        yield from _finding(finding)


def _finding(finding: Finding) -> Iterator[str]:
    message = f"{in_line(finding.message)} [{finding.rule}]"
    yield f"{_INDENT}{style(finding.level.value, fg=COLOURS[finding.level])}: {message}"
    yield from (style(f"{_INDENT}  {line}", fg="cyan") for line in visible(finding.safer).splitlines())


def _lock(lock: TableLock) -> str:
    effect = f"→ {lock.mode.value} on {in_line(lock.relation)}: {summary.effect(lock.mode)}"
    effect += f"; {lock.work}" if lock.work else ""
    if lock.mode.blocks_writes:
        return style(effect, fg="red" if lock.mode.blocks_reads else "yellow")
    return style(effect, dim=True)


def _new_table_lock(lock: TableLock) -> str:
    return f"→ {lock.mode.value} on {in_line(lock.relation)}, a table that this plan creates: blocks nobody"


def _irreversible(made: Review) -> list[str]:
    steps = summary.irreversible(made)
    lines = [f"  {in_line(named(step.step))}: {'; '.join(map(in_line, step.irreversible))}" for step in steps]
    return [style("cannot be undone:", fg="red"), *lines, ""] if steps else []


def _end(made: Review) -> list[str]:
    head = f"{summary.title(made)} of database {in_line(made.inputs['database'])}: "
    lines = textwrap.wrap(head + summary.sentence(made), 120, break_long_words=False, break_on_hyphens=False)
    return [*(style(line, bold=True) for line in lines), f"digest {made.digest}"]
