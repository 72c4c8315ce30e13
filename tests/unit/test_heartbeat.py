from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sqlmigrate.events import Advancing, Event, Working
from sqlmigrate.execution.heartbeat import Heartbeat
from sqlmigrate.model import Blocker
from sqlmigrate.server.monitor import Look
from tests.unit.samples import step

BLOCKER = Blocker(9, "app", "web", "active", 1, "select 1")
PROGRESS = Advancing("sqlmigrate v1.0.0-001", "COPY", 5, 0, "rows")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def prepared(number: int, statements: int = 3) -> Any:
    segment = SimpleNamespace(statements=statements, end=statements)
    script = SimpleNamespace(statements=statements, segments=(segment,))
    return SimpleNamespace(step=step(number), script=script, segment=segment, next=0)


def look(name: str, statement: int = 0, latest: float = 0, *, is_blocked: bool = False) -> Look:
    blockers = (BLOCKER,) if is_blocked else ()
    progress = () if is_blocked else (PROGRESS,)
    return Look(name, statement, is_committed=False, blockers=blockers, finished={}, latest=latest, progress=progress)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def happened() -> list[Event]:
    return []


@pytest.fixture
def heartbeat(clock: Clock, happened: list[Event]) -> Heartbeat:
    return Heartbeat(happened.append, clock)


def test_each_second_is_reported_once(heartbeat: Heartbeat, clock: Clock, happened: list[Event]) -> None:
    heartbeat.beat()
    heartbeat.begin([prepared(1)])
    for now in (100.2, 100.9, 101.0, 101.2, 101.9, 102.1, 107.5):
        clock.now = now
        heartbeat.beat()

    assert happened == [Working(step(1), seconds, 0, 3) for seconds in (1, 2, 7)]


def test_the_monitor_tells_the_step_and_the_statement(
    heartbeat: Heartbeat, clock: Clock, happened: list[Event]
) -> None:
    heartbeat.begin([prepared(1), prepared(2)])
    clock.now = 105
    heartbeat.beat(look("sqlmigrate v1.0.0-001", 2))
    heartbeat.beat(look("sqlmigrate v1.0.0-002", 1, latest=103, is_blocked=True))
    heartbeat.beat(look("another program"))

    assert happened == [
        Working(step(1), 5, 2, 3, (), PROGRESS),
        Working(step(2), 2, 1, 3, (BLOCKER,)),
        Working(step(1), 5, 0, 3, (), PROGRESS),
    ]


def test_a_step_that_is_sent_again_goes_on(heartbeat: Heartbeat, clock: Clock, happened: list[Event]) -> None:
    first, second = prepared(1), prepared(2, statements=1)
    heartbeat.begin([first])
    clock.now = 103
    heartbeat.begin([first])
    heartbeat.beat()
    heartbeat.begin([second])
    clock.now = 104
    heartbeat.beat()

    assert happened == [Working(step(1), 3, 0, 3), Working(step(2), 1, 1, 1)]
