"""How long statements will take on another database, from their durations in a rehearsal and the sizes of both. Pure.

The duration grows with the tables that a statement processed as a whole, and a little faster: sorts compare each row
more often, hash tables exceed the memory, and writes exceed the caches. The range allows for that, for other settings
and for concurrency; its ends differ by a factor of three. `benchmarks/estimates.py` measures how often it is right.
"""

from __future__ import annotations

from dataclasses import replace
from math import log2
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.locks.effects import Doing
from sqlmigrate.planning.rehearsed import Estimate, Rehearsal, RehearsedStep, RehearsedTransaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlmigrate.locks.effects import Effects
    from sqlmigrate.planning.rehearsed import RehearsedStatement
    from sqlmigrate.server.sizes import Sizes, TableSize

# The ends of the range, relative to the duration in proportion to the work.
LOW, HIGH = 0.85, 2.55
# A table with fewer rows takes a time in which the fixed costs of a statement prevail.
FEWEST_ROWS = 5_000
# Nothing is concluded about a table that is larger by more than this factor: it does not fit into memory.
_FARTHEST = 1_000
# A statement that reads or writes a smaller part of a table finds its rows by an index.
_PART = 0.01
# How much more than in proportion a larger table costs, by measurement: the join of the check of a foreign key, and the
# sorts and hash tables of queries.
_JOIN, _QUERY = 1.5, 1.3
_FIXED_MS = 1.0


class _Share(NamedTuple):
    """A table that a statement processed as a whole: its sizes in the rehearsal and there, and how often it did."""

    here: TableSize
    there: TableSize
    times: int


class Rates(NamedTuple):
    """How many milliseconds each kind of work, and each access method, took on a sample table."""

    sample: TableSize
    ms: Mapping[tuple[Doing, str], float]


class _Unknown(Exception):
    """The reason why no estimate can be made."""


class _Grounds(NamedTuple):
    """From what estimates are made: see `estimated`."""

    here: Sizes
    there: Sizes
    rates: Rates | None


def estimated(rehearsal: Rehearsal, here: Sizes, there: Sizes, rates: Rates | None = None) -> Rehearsal:
    """Adds to each statement how long it will take there, and how long its locks will be held.

    Args:
        rehearsal: The rehearsal.
        here: The sizes of its tables before it.
        there: The sizes of the tables of the database for which to estimate.
        rates: The rates of the server, for tables that had no rows in the rehearsal.
    """
    grounds = _Grounds(here, there, rates)
    return replace(rehearsal, steps=tuple(_step(step, grounds) for step in rehearsal.steps))


def _step(step: RehearsedStep, grounds: _Grounds) -> RehearsedStep:
    return replace(step, transactions=tuple(_transaction(each, grounds) for each in step.transactions))


def _transaction(transaction: RehearsedTransaction, grounds: _Grounds) -> RehearsedTransaction:
    """A transaction holds its locks to its end, so the durations of the later statements count, too."""
    statements: list[RehearsedStatement] = []
    until_end: list[Estimate] = []
    for statement in reversed(transaction.statements):
        took = _estimate(statement, grounds)
        until_end.append(took)
        statements.append(replace(statement, estimate=took, wait=_sum(until_end)))
    return replace(transaction, statements=tuple(reversed(statements)))


def _sum(estimates: Iterable[Estimate]) -> Estimate:
    every = [*estimates]
    if unknown := next((estimate for estimate in every if not estimate.is_known), None):
        return unknown
    longest = max(every, key=lambda estimate: estimate.high_ms or 0)
    low, high = sum(estimate.low_ms or 0 for estimate in every), sum(estimate.high_ms or 0 for estimate in every)
    return Estimate(low, high, longest.ground)


def _estimate(statement: RehearsedStatement, grounds: _Grounds) -> Estimate:
    if statement.effects is None:
        return Estimate(None, None, "the statement did not run in the rehearsal")
    try:
        shares = [*_shares(statement.effects, grounds.here, grounds.there)]
        if grounds.rates and any((share.here.rows or 0) < FEWEST_ROWS for share in shares):
            return _by_rates(statement.effects, grounds.there, grounds.rates)
        return _scaled(statement.effects, shares)
    except _Unknown as unknown:
        return Estimate(None, None, str(unknown))


def _scaled(effects: Effects, shares: list[_Share]) -> Estimate:
    measured = f"{effects.ms:,.0f} ms" if effects.ms >= 1 else "under 1 ms"
    if not shares:
        return Estimate(
            effects.ms * LOW, effects.ms * HIGH, f"{measured} in the rehearsal; no table was read as a whole"
        )
    largest = max(shares, key=lambda share: (share.there.rows or 0) * share.times)
    few = min(share.here.rows or 0 for share in shares)
    if largest.here.rows is None or largest.here.rows < FEWEST_ROWS:
        raise _Unknown(f"{_name(largest)} has too few rows in the rehearsal: {few:,.0f}")
    factor = _work(share.there for share in shares) / _work(share.here for share in shares)
    if factor > _FARTHEST:
        raise _Unknown(f"{_name(largest)} is {factor:,.0f} times as large as in the rehearsal")
    growth = _growth(effects, largest)
    ms = _FIXED_MS + max(effects.ms - _FIXED_MS, 0.05) * factor * growth
    rehearsed = f"{measured} for {largest.here.rows:,.0f} rows of {_name(largest)} in the rehearsal"
    ground = f"{rehearsed}, {factor:,.3g} times the work"
    return Estimate(ms * LOW, ms * HIGH, ground)


def _by_rates(effects: Effects, there: Sizes, rates: Rates) -> Estimate:
    """Estimates the work on tables that had no rows. What a query or a function does with rows is not known."""
    processed = {name for effort in effects.efforts for name in (effort.subject.name, effort.other)}
    if others := [rows.relation for rows in effects.rows if rows.relation not in processed]:
        raise _Unknown(f"{others[0].removeprefix('public.')} has no rows in the rehearsal: rehearse on a copy")
    total = 0.0
    for effort in effects.efforts:
        ms = rates.ms.get((effort.doing, effort.method))
        if ms is None:
            raise _Unknown(f"there is no rate for {effort.method} indexes: rehearse on a copy")
        share = _Share(rates.sample, there.tables[effort.subject.name], 1)
        total += ms * _work([share.there]) / _work([share.here]) * _growth(effects, share)
    ground = f"rates of {rates.sample.rows:,.0f} sample rows on the server of the rehearsal"
    return Estimate(total * LOW, total * HIGH, ground)


def _work(tables: Iterable[TableSize]) -> float:
    """Returns the work in rows, in the middle between rows and bytes: the costs of a statement depend on both."""
    every = [*tables]
    rows = sum(table.rows or 0 for table in every)
    return float((rows * max(sum(table.bytes for table in every), 1)) ** 0.5)


def _growth(effects: Effects, share: _Share) -> float:
    """Returns how much more a row costs in a larger table."""
    rows = share.here.rows or 1, share.there.rows or 1
    kinds = {effort.doing for effort in effects.efforts}
    if rows[1] < 2 * rows[0]:
        return 1.0
    factor = _JOIN if Doing.CHECKS in kinds else _QUERY if not kinds or effects.tag.startswith("REFRESH") else 1.0
    is_sorted = not kinds.isdisjoint((Doing.BUILDS, Doing.CHECKS))
    return float(factor * (log2(rows[1]) / log2(rows[0])) ** 0.5) if is_sorted else factor


def _shares(effects: Effects, here: Sizes, there: Sizes) -> Iterator[_Share]:
    times: dict[str, int] = {}
    for effort in effects.efforts:
        for name in filter(None, (effort.subject.name, effort.other)):
            times[name] = times.get(name, 0) + 1
    for rows in effects.rows:
        size = here.tables.get(rows.relation)
        known = size.rows or 0 if size else 0
        if rows.scans or rows.written > max(known * _PART, 100):
            times.setdefault(rows.relation, 1)
    for name, number in times.items():
        if name not in here.tables:
            continue  # a table that the migrations create
        if name not in there.tables:
            raise _Unknown(f"the statistics do not contain {name.removeprefix('public.')}")
        if there.tables[name].rows is None:
            raise _Unknown(f"the statistics do not tell the rows of {name.removeprefix('public.')}: run ANALYZE there")
        yield _Share(here.tables[name], there.tables[name], number)


def _name(share: _Share) -> str:
    return share.here.name.removeprefix("public.")
