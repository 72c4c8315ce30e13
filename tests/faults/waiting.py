"""What tests wait for, and how long it takes."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tests.project import Project

T = TypeVar("T")
OURS = "datname = current_database() and application_name like 'sqlmigrate%'"


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextlib.contextmanager
def running(project: Project, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the background, which does not outlive the block."""
    with project.start(*command, **environment) as process:
        try:
            yield process
        finally:
            process.kill()


def until_asleep(project: Project) -> None:
    """Waits until a backend of sqlmigrate's is in pg_sleep()."""
    until(lambda: project.value(f"select count(*) from pg_stat_activity where {OURS} and wait_event = 'PgSleep'"))


def timed(action: Callable[[], T]) -> tuple[float, T]:
    began = time.monotonic()
    result = action()
    return time.monotonic() - began, result


def backends(project: Project) -> list[int]:
    """The processes that serve sqlmigrate in this project's database, but for monitors."""
    rows = project.query(f"select pid from pg_stat_activity where {OURS} and application_name <> 'sqlmigrate monitor'")
    return [row[0] for row in rows]
