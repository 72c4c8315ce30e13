"""How often the client waits for the server: what makes a run over a slow network slow."""

from __future__ import annotations

import time

import pytest

from sqlmigrate.execution import executor
from sqlmigrate.server import monitor
from tests.project import Project
from tests.proxy import proxied


def timed(project: Project, delay: float) -> tuple[int, float]:
    """Round trips and seconds of a run over everything, which is taken back afterwards."""
    with proxied(project.database, delay) as proxy:
        began = time.monotonic()
        steps = project.migrator(database_url=proxy.conninfo).migrate().steps
        took = time.monotonic() - began
    project.migrator().rollback(steps=len(steps))
    return proxy.round_trips, took


def test_a_hundred_migrations_in_at_most_ten_round_trips(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a message takes longer on a busy machine costs smaller messages, and a look at who is in the way.
    monkeypatch.setattr(executor, "_BATCH_SECONDS", 60)
    monkeypatch.setattr(monitor, "_DELAY", 60)
    for number in range(1, 101):
        project.add(number, f"create table t{number} (id int primary key)", f"drop table t{number}")

    round_trips, quick = timed(project, delay=0)
    slow_round_trips, slow = timed(project, delay=0.05)

    assert round_trips <= 10
    assert slow_round_trips <= 10
    assert slow < quick + 5  # half of what one for each would take


def test_nothing_to_do_takes_five_round_trips_at_most(project: Project) -> None:
    project.add(1, "create table t ()")
    project.migrator().migrate()

    with proxied(project.database) as proxy:
        assert project.migrator(database_url=proxy.conninfo).migrate().steps == ()

    assert proxy.round_trips <= 5
