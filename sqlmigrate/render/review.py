"""A review as text for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.render import summary, waves
from sqlmigrate.render.escape import in_line, visible
from sqlmigrate.render.levels import COLOURS
from sqlmigrate.render.phrases import DOING, listed, named, when

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.execution.runner import Approvable
    from sqlmigrate.lint import Finding
    from sqlmigrate.locks import TableLock
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.planning.review import Review, ReviewedStep
    from sqlmigrate.render.summary import Excerpt, TransactionExcerpt

# How many lines of a statement, and of a step, are shown.
_LINES = 40
_LINES_OF_STEP = 400
_INDENT = " " * 7


def review(made: Review, *, is_complete: bool = True) -> str:
    """Returns the review, step by step; the summary is at the end, where the reader of a terminal sees it first.

    If it is not complete, what cannot be undone is omitted.
    """
    steps = [line for step in made.steps for line in (*_step(step), "")]
    hooks = [line for hook in made.hooks for line in (*_step(hook), "")]
    around = [style("hooks around each migration, or after an error:", bold=True), *hooks] if hooks else []
    losses = _irreversible(made) if is_complete else []
    divided = [*waves.lines(made.plan), ""] if made.plan.waves else []
    return "\n".join([*steps, *around, *divided, *losses, *listed(made.plan.problems), *_end(made)])


def approvable(result: Approvable) -> str:
    """Returns what the HTML page shows, the losses first; without the parser, the SQL and the losses in the file."""
    made, file = result.review, result.file
    lines = [*_head(file, result.host), *(style(f"note: {in_line(note)}", fg="yellow") for note in result.notes), ""]
    if made is not None:
        losses = _irreversible(made) or ["no step is known to be irreversible", ""]
        return "\n".join([*lines, *losses, *_blocked(made), review(made, is_complete=False)])
    lost = [f"  {in_line(version)}: {'; '.join(map(in_line, why))}" for version, why in file.irreversible.items()]
    losses = [style("cannot be undone, according to the plan file:", fg="red"), *lost, ""] if lost else []
    steps = [f"  {DOING[step.action]:<9}  {in_line(named(step))}" for step in result.plan.steps]
    hint = style("locks are not shown: pip install 'sqlmigrate[lint]'", dim=True)
    return "\n".join([*lines, *losses, *steps, "", *result.sql, *listed(result.plan.problems), hint])


def _head(file: PlanFile, host: str) -> Iterator[str]:
    yield style(f"{summary.title(file.request)} of database {in_line(file.inputs['database'])} on {host}", bold=True)
    if made := file.origin:
        yield f"made by {in_line(made.made_by)} at {when(made.made_at)}"


def _blocked(made: Review) -> list[str]:
    tables = [
        f"  {in_line(table.relation)}: {table.mode.effect} ({table.mode.value}), "
        + "; ".join(
            f"{in_line(step.migration.id)} line {', '.join(map(str, lines))}" for step, lines in table.lines.items()
        )
        for table in summary.blocked(made)
    ]
    none = "no statement is known to block reads or writes"
    return [style("blocks others:", fg="yellow"), *tables, ""] if tables else [none, ""]


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
    yield from (style(f"{_INDENT}  {line}", fg="cyan") for line in visible(finding.safer.script).splitlines())
    if finding.safer.advice:
        yield f"{_INDENT}  advice: {in_line(finding.safer.advice)}"


def _lock(lock: TableLock) -> str:
    effect = f"→ {lock.mode.value} on {in_line(lock.relation)}: {lock.mode.effect}"
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
    head = f"{summary.title(made.request)} of database {in_line(made.inputs['database'])}: "
    lines = textwrap.wrap(head + summary.sentence(made), 120, break_long_words=False, break_on_hyphens=False)
    return [*(style(line, bold=True) for line in lines), f"digest {made.digest}"]
