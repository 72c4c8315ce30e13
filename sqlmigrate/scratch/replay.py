"""Makes a database from migration files on the scratch server, with the runner that `migrate` uses."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlmigrate.config.settings import Settings
from sqlmigrate.errors import MigrationFailed, StatementFailed
from sqlmigrate.execution.runner import Runner
from sqlmigrate.model import Action, PlanRequest
from sqlmigrate.server.scratch import ScratchServer, scratch_server
from sqlmigrate.sql.sqlstate import DUPLICATE_OBJECT, UNDEFINED_OBJECT
from sqlmigrate.target import Target
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.events import Event
    from sqlmigrate.files.source import MigrationFiles

_DATABASE = "scratch"
_SUPERUSER = "postgres"
_EXISTING_ROLE = re.compile(r'role "(.*)" already exists')
_MISSING_ROLE = re.compile(r'role "(.*)" does not exist')


@dataclass(frozen=True, slots=True)
class Replayed:
    """A scratch database in which migrations are applied: the settings for a `Target`, and its server."""

    settings: Settings
    server: ScratchServer
    files: MigrationFiles

    def runner(self, find: Callable[[], MigrationFiles], on_event: Callable[[Event], None] = lambda _: None) -> Runner:
        """Returns a runner of other files on this database."""
        return Runner(Target(self.settings, on_event), self.settings, on_event, find)


@contextmanager
def replayed(
    settings: Settings,
    files: MigrationFiles,
    major: int,
    database: str = _DATABASE,
    role: str = _SUPERUSER,
) -> Iterator[Replayed]:
    """Yields a scratch database in which a role has applied all migrations of `files`, as `migrate` does.

    Unchanged files are not run again: the schema is kept on the server. Roles that the files expect are created.

    Args:
        settings: only `dir` and `history_table` count; the database that they name is not connected to.
        files: the migrations to apply, in order, and the hooks.
        major: the target's major version; the server's is the nearest that is installed.
        database: the name of the database, for files that name it.
        role: the owner of the database, a superuser.

    Raises:
        ConfigurationError: the embedded server is not installed.
        ConnectionFailed: the server did not start.
        PlanRefused, MigrationFailed: the files have errors.
    """
    with scratch_server(major) as server:
        replay = _Rebuild(settings, files, server, database, role)
        try:
            yield replay.run()
        finally:
            server.drop(database)


class _Rebuild:
    def __init__(
        self, settings: Settings, files: MigrationFiles, server: ScratchServer, database: str, role: str
    ) -> None:
        self._settings = Settings(dir=settings.dir, history_table=settings.history_table)
        self._files = files
        self._server = server
        self._database = database
        self._role = role

    def run(self) -> Replayed:
        """Applies the files; if they fail after what other files have left on the server, without it."""
        try:
            return self._run()
        except MigrationFailed:
            self._server.drop(self._database)
            if not self._server.wipe():
                raise
            return self._run()

    def _run(self) -> Replayed:
        keys = keys_of(self._settings, self._files, self._database, self._role)[1:]
        number = self._server.longest(keys)
        conninfo = self._server.create(self._database, keys[number - 1] if number else "", self._role)
        replayed = Replayed(replace(self._settings, database=conninfo), self._server, self._files)
        if number < len(keys):
            self._apply(replayed)
            self._server.keep(self._database, keys[-1])
        return replayed

    def _apply(self, replayed: Replayed) -> None:
        created = ""
        while True:
            try:
                replayed.runner(lambda: self._files).run(PlanRequest(Action.APPLY))
            except MigrationFailed as error:
                if (role := missing_role(error)) in {"", created}:
                    raise
                self._server.create_role(role)
                created = role
            else:
                return


def keys_of(settings: Settings, files: MigrationFiles, database: str, role: str) -> list[str]:
    """Returns the key of the schema after each migration; the first key is that of the empty database."""
    hooks = [f"{hook.name} {hook.checksum}" for hook in files.hooks.present]
    key = repr([__version__, settings.history_table, database, role, *hooks])
    keys = [hashlib.sha256(key.encode()).hexdigest()[:32]]
    for migration in files.migrations:
        keys.append(hashlib.sha256(f"{keys[-1]} {migration.id} {migration.checksum}".encode()).hexdigest()[:32])
    return keys


def missing_role(error: MigrationFailed) -> str:
    """Returns the role for lack of which a migration failed, or an empty string."""
    return _role_in(error, UNDEFINED_OBJECT, _MISSING_ROLE)


def existing_role(error: MigrationFailed) -> str:
    """Returns the role that a migration could not create because it exists, or an empty string."""
    return _role_in(error, DUPLICATE_OBJECT, _EXISTING_ROLE)


def _role_in(error: MigrationFailed, sqlstate: str, pattern: re.Pattern[str]) -> str:
    cause = error.__cause__
    if not isinstance(cause, StatementFailed) or cause.report.sqlstate != sqlstate:
        return ""
    match = pattern.fullmatch(cause.report.message)
    return match[1] if match else ""
