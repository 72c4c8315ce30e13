"""How the duration of a statement follows from a rehearsal and from the sizes of the tables."""

from __future__ import annotations

import pytest

from sqlmigrate.locks import Mode
from sqlmigrate.locks.effects import Doing, Effects, Effort, StandingRelation, TakenLock, TouchedRows
from sqlmigrate.model import Action, Location, Migration, Step
from sqlmigrate.planning.estimates import HIGH, LOW, Rates, estimated
from sqlmigrate.planning.rehearsed import (
    Estimate,
    Rehearsal,
    RehearsedStatement,
    RehearsedStep,
    RehearsedTransaction,
)
from sqlmigrate.render.rehearsal import phrases
from sqlmigrate.server.sizes import Sizes, TableSize

ORDERS, CUSTOMERS = (
    StandingRelation("public.orders", "orders", "r"),
    StandingRelation("public.customers", "customers", "r"),
)
REWRITE = Effects(1000.0, (TakenLock(ORDERS, Mode.ACCESS_EXCLUSIVE),), (Effort(Doing.REWRITES, ORDERS),))
BRIEF = Effects(2.0, (TakenLock(CUSTOMERS, Mode.ACCESS_EXCLUSIVE),))


def sizes(**rows: float | None) -> Sizes:
    tables = {
        f"public.{name}": TableSize(f"public.{name}", count, int(count or 0) * 100) for name, count in rows.items()
    }
    return Sizes("shop", 18, "2026-01-01T00:00:00Z", tables)


HERE, THERE = sizes(orders=100_000, customers=10_000), sizes(orders=10_000_000, customers=1_000_000)


def rehearsal(*effects: Effects | None) -> Rehearsal:
    step = Step(Migration("v1.0.0-001", None, "a", "a.sql", ""), Action.APPLY)
    statements = tuple(RehearsedStatement(Location("a.sql", 1, 1), "x", each) for each in effects)
    return Rehearsal("target", "shop on db", 18, (RehearsedStep(step, (RehearsedTransaction(statements),)),))


def estimates(*effects: Effects | None, here: Sizes = HERE, there: Sizes = THERE) -> list[RehearsedStatement]:
    return [*estimated(rehearsal(*effects), here, there).statements]


def estimate(effects: Effects | None, here: Sizes = HERE, there: Sizes = THERE) -> Estimate:
    (statement,) = estimates(effects, here=here, there=there)
    assert statement.estimate is not None
    return statement.estimate


def test_a_rewrite_takes_time_in_proportion_to_the_table() -> None:
    found = estimate(REWRITE)
    assert found.low_ms == pytest.approx(100_000 * LOW, rel=0.01)
    assert found.high_ms == pytest.approx(100_000 * HIGH, rel=0.01)
    assert found.ground == "1,000 ms for 100,000 rows of orders in the rehearsal, 100 times the work"


def test_the_ends_of_a_range_differ_by_a_factor_of_three() -> None:
    for effects in (REWRITE, BRIEF, Effects(5.0, rows=(TouchedRows("public.orders", updated=90_000),))):
        found = estimate(effects)
        assert found.high_ms
        assert found.low_ms
        assert found.high_ms / found.low_ms <= 3.0001


def test_a_statement_that_reads_no_table_as_a_whole_takes_as_long_there() -> None:
    found = estimate(Effects(10.0, rows=(TouchedRows("public.orders", updated=5),)))
    assert (found.low_ms, found.high_ms) == (10 * LOW, 10 * HIGH)


def test_a_sort_costs_more_for_each_row_of_a_larger_table() -> None:
    build = Effects(1000.0, efforts=(Effort(Doing.BUILDS, ORDERS, "i", "btree"),))
    assert (estimate(build).low_ms or 0) > (estimate(REWRITE).low_ms or 0)


def test_a_foreign_key_reads_both_tables() -> None:
    check = Effects(1000.0, efforts=(Effort(Doing.CHECKS, ORDERS, "k", other="public.customers"),))
    grown = sizes(orders=10_000_000, customers=9_000_000)
    assert (estimate(check, there=grown).low_ms or 0) > (estimate(check).low_ms or 0)


@pytest.mark.parametrize(
    ("effects", "here", "there", "reason"),
    [
        (None, HERE, THERE, "the statement did not run in the rehearsal"),
        (REWRITE, sizes(orders=10), THERE, "orders has too few rows in the rehearsal: 10"),
        (REWRITE, sizes(orders=None), THERE, "orders has too few rows in the rehearsal: 0"),
        (REWRITE, HERE, sizes(orders=1e9), "orders is 10,000 times as large as in the rehearsal"),
        (REWRITE, HERE, sizes(customers=5), "the statistics do not contain orders"),
        (REWRITE, HERE, sizes(orders=None), "the statistics do not tell the rows of orders: run ANALYZE there"),
    ],
)
def test_what_is_not_known_is_said(effects: Effects | None, here: Sizes, there: Sizes, reason: str) -> None:
    assert estimate(effects, here, there) == Estimate(None, None, reason)


RATES = Rates(
    TableSize("public.sample", 100_000, 10_000_000), {(Doing.REWRITES, ""): 100.0, (Doing.BUILDS, "btree"): 50.0}
)
EMPTY = sizes(orders=None, customers=None)


def by_rates(*efforts: Effort, rows: tuple[TouchedRows, ...] = ()) -> Estimate:
    effects = Effects(1.0, (), efforts, rows)
    (statement,) = estimated(rehearsal(effects), EMPTY, THERE, RATES).statements
    assert statement.estimate is not None
    return statement.estimate


def test_rates_of_a_sample_stand_in_for_rows() -> None:
    found = by_rates(Effort(Doing.REWRITES, ORDERS))
    assert found.low_ms == pytest.approx(10_000 * LOW)
    assert found.ground == "rates of 100,000 sample rows on the server of the rehearsal"


def test_rates_of_several_kinds_of_work_are_added() -> None:
    both = by_rates(Effort(Doing.REWRITES, ORDERS), Effort(Doing.BUILDS, ORDERS, "i", "btree"))
    assert (both.low_ms or 0) > 15_000 * LOW


def test_a_query_on_an_empty_table_is_unknown_in_spite_of_rates() -> None:
    unknown = "orders has no rows in the rehearsal: rehearse on a copy"
    assert by_rates(rows=(TouchedRows("public.orders", scans=1),)) == Estimate(None, None, unknown)
    gin = by_rates(Effort(Doing.BUILDS, ORDERS, "i", "gin"))
    assert gin == Estimate(None, None, "there is no rate for gin indexes: rehearse on a copy")


def test_a_lock_is_held_until_the_transaction_ends() -> None:
    first, second = estimates(BRIEF, REWRITE)
    assert first.wait
    assert second.wait == second.estimate
    assert first.wait.low_ms == pytest.approx(2 * LOW + (second.wait.low_ms or 0) if second.wait else 0)


def test_it_is_not_known_how_long_a_lock_is_held_if_a_later_statement_is_unknown() -> None:
    first, _ = estimates(BRIEF, None)
    assert first.wait == Estimate(None, None, "the statement did not run in the rehearsal")


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (1, 3, "under 0.1 s"),
        (50, 150, "50 to 150 ms"),
        (500, 1500, "0.5 to 1.5 s"),
        (30_000, 90_000, "30 to 90 s"),
        (360_000, 540_000, "6.0 to 9.0 min"),
        (3_600_000, 10_800_000, "1.0 to 3.0 h"),
        (None, None, "an unknown time"),
    ],
)
def test_a_range_is_shown_in_one_unit(low: float | None, high: float | None, shown: str) -> None:
    assert phrases.spread(Estimate(low, high, "")) == shown


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (Mode.ACCESS_EXCLUSIVE, "readers and writers wait 6.0 to 9.0 min"),
        (Mode.SHARE, "writers wait 6.0 to 9.0 min"),
        (Mode.SHARE_UPDATE_EXCLUSIVE, ""),
    ],
)
def test_a_lock_says_who_waits(mode: Mode, shown: str) -> None:
    assert phrases.waiters(TakenLock(ORDERS, mode), Estimate(360_000, 540_000, "")) == shown
    assert phrases.waiters(TakenLock(ORDERS, mode), None) == ""
