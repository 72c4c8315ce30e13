"""A history table that another session has locked: each command names this session while it waits."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from sqlmigrate import Migrator, load_settings
from sqlmigrate.events import Blocked, Event
from tests.project import Project

COMMANDS: dict[str, Callable[[Migrator], object]] = {
    "status": Migrator.status,
    "check": Migrator.check,
    "plan": Migrator.plan,
    "migrate": Migrator.migrate,
    "rollback": lambda migrator: migrator.rollback(steps=1),
    "info": Migrator.info,
    "repair": Migrator.repair,
    "history": Migrator.history,
}
CASES = [
    *(("migrations", command) for command in COMMANDS if command != "history"),
    ("migrations_log", "history"),
    ("migrations_log", "migrate"),
]


@pytest.mark.parametrize(("table", "command"), CASES)
def test_a_command_names_the_session_that_has_locked_the_history(project: Project, table: str, command: str) -> None:
    project.add(1, "create table a (x int);", "drop table a;")
    project.migrator().migrate()
    project.add(2, "select 1;")
    settings = load_settings({"database_url": project.database, "dir": (str(project.directory),)}, {})
    blockers: list[int] = []
    with psycopg.connect(project.database) as other:
        other.execute(f"lock table {table} in access exclusive mode")

        def note(event: Event) -> None:
            if isinstance(event, Blocked):
                blockers.extend(blocker.pid for blocker in event.blockers)
                other.rollback()

        COMMANDS[command](Migrator(settings, note))

        assert blockers == [other.info.backend_pid]
