"""A rehearsal as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click import style

from sqlmigrate.render.escape import in_line
from sqlmigrate.render.phrases import DOING, count, listed, named
from sqlmigrate.render.rehearsal import phrases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.locks.effects import TakenLock
    from sqlmigrate.planning.rehearsed import (
        Estimate,
        Rehearsal,
        RehearsedStatement,
        RehearsedStep,
        RehearsedTransaction,
    )
    from sqlmigrate.server.sizes import Sizes, TableSize

_INDENT = " " * 7


def rehearsal(result: Rehearsal) -> str:
    """Returns each statement with what it did; the summary is at the end, where the reader sees it first."""
    if not result.steps:
        return "\n".join([*listed(result.warnings), "nothing to rehearse"])
    steps = [line for step in result.steps for line in (*_step(step), "")]
    end = style(phrases.sentence(result), bold=True)
    return "\n".join([*steps, *listed(result.warnings), end])


def _step(rehearsed: RehearsedStep) -> Iterator[str]:
    step = rehearsed.step
    yield f"{DOING[step.action]:<9}  {style(in_line(named(step)), bold=True)}"
    yield style(in_line(step.path), dim=True)
    for transaction in rehearsed.transactions:
        yield from _transaction(transaction)


def _transaction(transaction: RehearsedTransaction) -> Iterator[str]:
    yield style("  outside a transaction" if transaction.is_alone else "  begin", fg="cyan")
    for statement in transaction.statements:
        yield from _statement(statement)
    if not transaction.is_alone:
        yield style("  commit", fg="cyan")


def _statement(statement: RehearsedStatement) -> Iterator[str]:
    measured = phrases.measured(statement)
    line = style(f"{statement.location.line or 1:>5}", dim=True)
    yield f"{line}  {in_line(statement.sql)}" + (style(f"  [{measured}]", dim=True) if measured else "")
    if statement.skipped:
        yield style(f"{_INDENT}left out: {in_line(statement.skipped)}", fg="yellow")
    if statement.failed:
        yield style(f"{_INDENT}failed: {in_line(statement.failed)}", fg="red")
    if statement.effects is not None:
        yield from (f"{_INDENT}{_lock(lock, statement.wait)}" for lock in phrases.shown_locks(statement.effects))
        yield from (f"{_INDENT}{in_line(work)}" for work in phrases.work(statement.effects))
    if statement.estimate is not None:
        shown = f"estimate: {phrases.spread(statement.estimate)} ({statement.estimate.ground})"
        yield style(f"{_INDENT}{in_line(shown)}", fg="cyan")


def stats(sizes: Sizes) -> str:
    """Returns a line for each table, the largest first."""
    tables = sorted(sizes.tables.values(), key=lambda table: (-table.bytes, table.name))
    lines = [f"  {phrases.size(table.bytes):>8}  {_rows(table):>16}  {in_line(table.name)}" for table in tables]
    total = sum(table.bytes for table in tables)
    return "\n".join([*lines, f"{count(tables, 'table')}, {phrases.size(total)}, in {in_line(sizes.database)}"])


def _rows(table: TableSize) -> str:
    return "rows unknown" if table.rows is None else f"{table.rows:,.0f} rows"


def _lock(lock: TakenLock, wait: Estimate | None) -> str:
    waiting = phrases.waiters(lock, wait)
    effect = f"→ {lock.mode.value} on {in_line(phrases.name(lock.subject.name))}: {lock.mode.effect}"
    effect += f"; {waiting}" if waiting else ""
    if lock.mode.blocks_writes:
        return style(effect, fg="red" if lock.mode.blocks_reads else "yellow")
    return style(effect, dim=True)
