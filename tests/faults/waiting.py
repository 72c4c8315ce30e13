"""What tests wait for."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from tests.polling import LIMIT, until
from tests.project import Project

__all__ = ["LIMIT", "OURS", "backends", "ended", "running", "until", "until_asleep"]

OURS = "datname = current_database() and application_name like 'sqlmigrate%'"


@contextlib.contextmanager
def running(project: Project, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the background, which does not outlive the block."""
    with project.start(*command, **environment) as process:
        try:
            yield process
        except AssertionError as error:
            process.kill()
            error.add_note(f"The command in the background wrote:\n{process.communicate()[1]}")
            raise
        finally:
            process.kill()


def until_asleep(project: Project) -> None:
    """Waits until a backend of sqlmigrate's is in pg_sleep()."""
    until(lambda: project.value(f"select count(*) from pg_stat_activity where {OURS} and wait_event = 'PgSleep'"))


def ended(process: subprocess.Popen[str]) -> str:
    """Waits until a process has ended; returns what it wrote to standard error."""
    return process.communicate(timeout=LIMIT)[1]


def backends(project: Project) -> list[int]:
    """The processes that serve sqlmigrate in this project's database, but for monitors."""
    return project.backends("application_name like 'sqlmigrate%' and application_name <> 'sqlmigrate monitor'")
