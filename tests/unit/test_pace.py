from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sqlmigrate import events
from sqlmigrate.cli.pace import Pace
from sqlmigrate.model import Blocker, Holder
from tests.unit.samples import step

HOLDER = Holder(7, "dba", "psql", "local", "active", datetime(2026, 1, 2, tzinfo=UTC), "select 1")


@pytest.mark.parametrize(
    "kind",
    [
        lambda seconds: events.Working(step(1), seconds),
        lambda seconds: events.WaitingForLock(HOLDER, seconds),
        lambda seconds: events.WaitingForServer("refused", seconds),
        lambda seconds: events.BackingUp("kept", seconds),
    ],
    ids=["working", "lock", "server", "backup"],
)
def test_a_long_wait_writes_lines_at_growing_intervals(kind: object) -> None:
    pace = Pace()
    assert callable(kind)
    due = [seconds for seconds in range(1000) if pace.is_due(kind(seconds))]
    assert due == [0, 1, 2, 5, 10, 30, 60, 120, 300, 600, 900]


def test_a_moment_that_was_missed_is_made_up_for() -> None:
    pace = Pace()
    seen = [3, 4, 6, 7, 40, 59, 61, 350, 400, 650]
    due = [seconds for seconds in seen if pace.is_due(events.Working(step(1), seconds))]
    assert due == [3, 6, 40, 61, 350, 650]


def test_the_next_migration_and_another_holder_are_due_at_once() -> None:
    pace = Pace()
    waits = [
        events.WaitingForLock(HOLDER, 3),
        events.WaitingForLock(HOLDER, 4),
        events.WaitingForLock(None, 4),
        events.Working(step(1), 3),
        events.Working(step(1), 4),
        events.Working(step(2), 1),
    ]
    assert [pace.is_due(wait) for wait in waits] == [True, False, True, True, False, True]


def test_two_migrations_that_run_at_the_same_time_have_a_rhythm_each() -> None:
    pace = Pace()
    seen = [(seconds, number) for seconds in range(12) for number in (1, 2)]
    due = [pair for pair in seen if pace.is_due(events.Working(step(pair[1]), pair[0]))]
    assert due == [(seconds, number) for seconds in (0, 1, 2, 5, 10) for number in (1, 2)]
    assert pace.is_due(events.Working(step(1), 1))


def test_other_events_are_always_due() -> None:
    pace = Pace()
    assert all(pace.is_due(events.Notice("NOTICE", "again")) for _ in range(3))


def test_a_blocker_is_due_once() -> None:
    pace = Pace()
    first, second = (Blocker(pid, "app", "web", "active", 1, "select 1") for pid in (8, 9))
    older = first._replace(age=2)
    blocked = [
        events.Blocked("sqlmigrate v1.0.0-001", (first,)),
        events.Blocked("sqlmigrate v1.0.0-001", (older,)),
        events.Working(step(1), 1),
        events.Blocked("sqlmigrate v1.0.0-001", (older,)),
        events.Blocked("sqlmigrate v1.0.0-001", (first, second)),
        events.Blocked("sqlmigrate v1.0.0-002", (first, second)),
    ]
    assert [pace.is_due(event) for event in blocked] == [True, False, True, False, True, True]
