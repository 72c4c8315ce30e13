"""Each kind of work of the benchmark has an estimate, from tables that are small enough for a test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks.estimates import KINDS, filled, rehearsed, sizes
from sqlmigrate.server.sizes import Sizes
from tests.servers import Server, execute

SMALL, FACTOR = 6_000, 50
NAME = f"estimates_{os.getpid()}"


@pytest.fixture(scope="module")
def stats(server: Server) -> Iterator[Sizes]:
    """The sizes of a database that has as many times the rows, and the same widths."""
    here = sizes(filled(server.conninfo, NAME, SMALL))
    tables = {
        name: type(table)(name, (table.rows or 0) * FACTOR, table.bytes * FACTOR, table.width)
        for name, table in here.tables.items()
    }
    yield Sizes(here.database, here.server_version, here.taken_at, tables)
    execute(server.conninfo, f"drop database {NAME} with (force)")


def test_there_are_enough_kinds_of_work() -> None:
    assert len(KINDS) >= 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_work_has_an_estimate(server: Server, stats: Sizes, kind: str) -> None:
    estimate = rehearsed(server.conninfo, NAME, KINDS[kind], stats)
    assert estimate.low_ms, estimate.ground
    assert estimate.high_ms
    assert estimate.high_ms / estimate.low_ms <= 3.0001
    assert f"{FACTOR} times the work" in estimate.ground or kind in ("foreign key", "validate foreign key", "refresh")
