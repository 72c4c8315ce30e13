"""Phrases that all formats of a rehearsal share."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from sqlmigrate.config import duration
from sqlmigrate.locks.effects import Doing
from sqlmigrate.render.phrases import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.locks.effects import Effects, Effort, TakenLock, TouchedRows
    from sqlmigrate.planning.rehearsed import Estimate, Rehearsal, RehearsedStatement

_UNITS = (("B", 1), ("kB", 1024), ("MB", 1024**2), ("GB", 1024**3), ("TB", 1024**4))
# What CREATE INDEX and others do to the locks of indexes blocks nobody who is not already blocked on the table.
_INDEXES = ("i", "I")


def name(relation: str) -> str:
    """Returns the name of a relation without the default schema."""
    return relation.removeprefix("public.")


def size(number: float) -> str:
    """Returns a number of bytes: `812 kB`."""
    unit, factor = next((pair for pair in reversed(_UNITS) if number >= pair[1]), _UNITS[0])
    value = number / factor
    return f"{value:.1f} {unit}" if value < 10 and factor > 1 else f"{value:.0f} {unit}"


def took(ms: float) -> str:
    """Returns the duration of a statement: `0.8 ms`."""
    return f"{ms:.1f} ms" if ms < 9.95 else duration.shown(round(ms))


def shown_locks(effects: Effects) -> list[TakenLock]:
    """Returns the locks that a reader wants to see: all but those on indexes whose table is locked as strongly."""
    tables = {lock.subject.name: lock.mode for lock in effects.locks}
    return [
        lock
        for lock in effects.locks
        if lock.subject.kind not in _INDEXES
        or (lock.mode.blocks_writes and tables.get(lock.subject.parent, lock.mode) < lock.mode)
    ]


def work(effects: Effects) -> Iterator[str]:
    """Yields what a statement did to existing tables: `rewrites orders`, `builds orders_pkey on orders (btree)`."""
    for (doing, table), efforts in groupby(effects.efforts, lambda effort: (effort.doing, effort.subject.name)):
        yield _work(doing, name(table), list(efforts))
    yield from filter(None, map(_rows, effects.rows))


def _work(doing: Doing, table: str, efforts: list[Effort]) -> str:
    match doing:
        case Doing.BUILDS:
            indexes = (f"{effort.name} ({effort.method})" if effort.method else effort.name for effort in efforts)
            return f"builds {', '.join(indexes)} on {table}"
        case Doing.CHECKS:
            keys = (f"{effort.name} against {name(effort.other)}" for effort in efforts)
            return f"checks all rows of {table} for {', '.join(keys)}"
        case _:
            return f"{doing.value} {table}"


def _rows(rows: TouchedRows) -> str:
    numbers = (("inserts", rows.inserted), ("updates", rows.updated), ("deletes", rows.deleted))
    parts = [f"{verb} {number:,}" for verb, number in numbers if number]
    total = rows.written
    return f"{' and '.join(parts)} {'row' if total == 1 else 'rows'} of {name(rows.relation)}" if parts else ""


def measured(statement: RehearsedStatement) -> str:
    """Returns the duration of a statement and how much WAL was written."""
    effects = statement.effects
    if effects is None:
        return ""
    return took(effects.ms) + (f", {size(effects.wal)} WAL" if effects.wal else "")


def spread(estimate: Estimate) -> str:
    """Returns a range of durations: `6.0 to 18 min`, `under 0.1 s`, `an unknown time`."""
    if estimate.low_ms is None or estimate.high_ms is None:
        return "an unknown time"
    low, high = estimate.low_ms / 1000, estimate.high_ms / 1000
    if high < 0.1:
        return "under 0.1 s"
    if high < 1:
        return f"{estimate.low_ms:.0f} to {estimate.high_ms:.0f} ms"
    unit, length = ("h", 3600) if high >= 7200 else ("min", 60) if high >= 120 else ("s", 1)
    return f"{_number(low / length)} to {_number(high / length)} {unit}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def waiters(lock: TakenLock, wait: Estimate | None) -> str:
    """Returns who waits for a lock, and how long; an empty text if nobody does, or it is not known."""
    if wait is None or not lock.mode.blocks_writes:
        return ""
    who = "readers and writers wait" if lock.mode.blocks_reads else "writers wait"
    return f"{who} {spread(wait)}"


def sentence(result: Rehearsal) -> str:
    """Returns what was rehearsed, where, and how it ended."""
    statements = [*result.statements]
    parts = [count(result.steps, "migration"), count(statements, "statement")]
    if left := result.left_out:
        parts.append(f"{len(left)} left out")
    end = "rolled back" if result.on == "target" else "on a copy"
    failed = "; the last one failed" if result.failure else ""
    return f"rehearsed {', '.join(parts)} in {result.place}, PostgreSQL {result.server_version}, {end}{failed}"
