"""A scratch project: a directory of migrations and a database, with what tests do to them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmigrate import Migrator, load_settings
from sqlmigrate.events import Event
from tests import inprocess
from tests.polling import happens
from tests.servers import ROOT, Server, execute


@dataclass
class Project:
    server: Server
    database: str
    root: Path
    events: list[Event] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        return self.root / "migrations"

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def add(self, number: int, up: str | bytes, down: str | None = None, name: str = "step") -> Path:
        """Writes migration v1.0.0-number."""
        if down is not None:
            self.write(f"V1.0.0-{number:03d}__{name}.down.sql", down)
        return self.write(f"V1.0.0-{number:03d}__{name}.up.sql", up)

    def migrator(self, **settings: Any) -> Migrator:
        """A migrator with settings as text, under their option's names; its events are gathered in `events`."""
        given = {"database_url": self.database, "dir": (str(self.directory),), **settings}
        return Migrator(load_settings(given, {}), self.events.append)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sqlmigrate", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SQLMIGRATE_", "PG", "DB_"))}
        own = {"DATABASE_URL": self.database, "SQLMIGRATE_DIR": str(self.directory), "PYTHONPATH": str(ROOT)}
        return {**kept, **own, **more}

    def cli(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the command line in the project's directory, not on a terminal, and in this process if it can be."""
        if inprocess.needs_a_process(arguments, environment):
            return self.run(self.command(*arguments), stdin, **environment)
        return inprocess.run(arguments, self.root, self.environment(**environment), stdin)

    def run(self, command: list[str], stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a program in the same way."""
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
            cwd=self.root,
            env=self.environment(**environment),
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """The same, in the background."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env=self.environment(**environment),
        )

    def query(self, *statements: str) -> list[tuple[Any, ...]]:
        return execute(self.database, *statements)

    def value(self, statement: str) -> Any:
        return self.query(statement)[0][0]

    def backends(self, condition: str) -> list[int]:
        """The pids of the backends that meet a condition: of this database only, as tests share a server."""
        where = f"datname = current_database() and pid <> pg_backend_pid() and ({condition})"
        return [row[0] for row in self.query(f"select pid from pg_stat_activity where {where}")]

    def versions(self) -> Sequence[tuple[str, bool]]:
        """Version and success of each row of the history, in order."""
        return [(row[0], row[1]) for row in self.query("select version, success from migrations order by version")]

    def has_free_lock(self) -> bool:
        """Whether nobody holds an advisory lock in the database; a closed connection's goes a moment later."""
        ours = "locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"
        return happens(lambda: not self.value(f"select exists (select from pg_locks where {ours})"))

    def schema(self) -> str:
        return self.server.schema(self.database)
