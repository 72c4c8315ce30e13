"""Proves down files: applies each migration, rolls it back, applies it again, and compares the database each time."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.catalog.reading import SnapshotReader
from sqlmigrate.catalog.snapshot import Key, Snapshot
from sqlmigrate.errors import MigrationFailed
from sqlmigrate.execution.stepping import Stepper
from sqlmigrate.history.tables import parse_table_name, tables_of
from sqlmigrate.model import Action, PlanRequest
from sqlmigrate.scratch import rows
from sqlmigrate.scratch.judge import Judge, RoundTripLevel
from sqlmigrate.scratch.replay import existing_role, missing_role, replayed
from sqlmigrate.server.scratch import opened, scratch_server
from sqlmigrate.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.files.source import MigrationFiles
    from sqlmigrate.model import Migration
    from sqlmigrate.scratch.judge import RoundTripFinding
    from sqlmigrate.scratch.replay import Replayed
    from sqlmigrate.server.connection import Connection


class RoundTrip(NamedTuple):
    """The result: the migrations that were rolled back and applied again, those without a down file, the findings."""

    checked: tuple[str, ...]
    without_down: tuple[str, ...]
    findings: tuple[RoundTripFinding, ...]

    @property
    def faults(self) -> tuple[RoundTripFinding, ...]:
        """The findings that are faults."""
        return tuple(finding for finding in self.findings if finding.level is RoundTripLevel.FAULT)


def round_trip(
    settings: Settings, files: MigrationFiles, major: int, on_migration: Callable[[str], None] = lambda _: None
) -> RoundTrip:
    """Applies each migration on a scratch server, rolls it back and applies it again.

    Args:
        settings: only `dir` and `history_table` count.
        files: the migrations, in order.
        major: the major version of PostgreSQL.
        on_migration: is called with each migration that is checked.

    Raises:
        ConfigurationError: the embedded server is not installed.
        ConnectionFailed: the server did not start.
        PlanRefused, MigrationFailed: an up file has errors, or fails.
    """
    findings: list[RoundTripFinding] = []
    position, is_wiped = 0, False
    while position < len(files.migrations):
        before = files._replace(migrations=files.migrations[:position])
        with replayed(settings, before, major) as made, _trip(made, files) as trip:
            try:
                position += trip.check_from(position, findings, on_migration)
            except _RoleExists as error:
                position = error.position
                if is_wiped:
                    raise error.failed from error.failed.__cause__
        if trip.needs_wipe:
            is_wiped = True
            with scratch_server(major) as server:
                server.wipe()
    downs = {migration.id: migration.down is not None for migration in files.migrations}
    checked, others = ([name for name, has_down in downs.items() if has_down is wanted] for wanted in (True, False))
    return RoundTrip(tuple(checked), tuple(others), tuple(findings))


class _RoleExists(Exception):  # an event, not an error
    """A role that the files create is on the server, from other files."""

    def __init__(self, position: int, failed: MigrationFailed) -> None:
        super().__init__()
        self.position = position
        self.failed = failed


@contextmanager
def _trip(made: Replayed, files: MigrationFiles) -> Iterator[_Trip]:
    target = Target(made.settings, lambda _: None)
    with target.locked() as locked, opened(made.settings.database) as connection:
        yield _Trip(Stepper(target, locked, made.settings, lambda _: None), connection, made, files)


class _Trip:
    """A scratch database with the migrations so far, and rows in its tables."""

    def __init__(self, stepper: Stepper, connection: Connection, made: Replayed, files: MigrationFiles) -> None:
        self._stepper = stepper
        self._connection = connection
        self._server = made.server
        self._files = files
        left_out = tables_of(parse_table_name(made.settings.history_table))[1:]
        self._reader = SnapshotReader(connection, left_out)
        self._now = self._reader.read()
        self._filled: set[str] = set()
        self.needs_wipe = False
        self._fill(Snapshot({}, self._now.major))

    def check_from(self, position: int, findings: list[RoundTripFinding], on_migration: Callable[[str], None]) -> int:
        """Checks the migrations from a position on, until the database is not what it should be; returns how many."""
        for number in range(position, len(self._files.migrations)):
            migration = self._files.migrations[number]
            on_migration(migration.id)
            before = self._now
            if migration.down is None:
                self._apply_first(number)
                self._now = self._reader.read()
            else:
                found, is_sound = self._check(number)
                findings += found
                if not is_sound:
                    return number + 1 - position
            self._fill(before)
        return len(self._files.migrations) - position

    def _check(self, number: int) -> tuple[list[RoundTripFinding], bool]:
        """Returns the findings of one migration, and whether the next one can be checked on this database."""
        migration, before = self._files.migrations[number], self._now
        judge = Judge(migration, before)
        names = rows.mentioned(before, _text(migration))
        contents = [rows.read(self._connection, *names)]
        if self._apply_first(number):
            contents = [rows.read(self._connection, *names)]
        after = self._reader.read()
        contents.append(rows.read(self._connection, *names))
        try:
            self._stepper.run(PlanRequest(Action.ROLL_BACK, steps=1), self._until(number))
        except MigrationFailed as error:
            return [judge.failed("the down file fails", error)], False
        back = self._reader.read()
        contents.append(rows.read(self._connection, *names))
        found = [*judge.schema(after, back), *judge.rows(*contents)]
        try:
            self._stepper.run(PlanRequest(Action.APPLY), self._until(number))
        except MigrationFailed as error:
            is_explained = any(finding.level is RoundTripLevel.FAULT for finding in found)
            failed = judge.failed("the up file fails when it is applied again", error)
            return found if is_explained else [*found, failed], False
        self._now = self._reader.read()
        reported = {finding.key for finding in found}
        found += [finding for finding in judge.again(after, self._now) if finding.key not in reported]
        return found, self._now.objects == after.objects

    def _apply_first(self, number: int) -> bool:
        """Applies a migration, without the rows if it fails with them; returns whether they are gone.

        Raises:
            MigrationFailed: it also fails without rows.
        """
        created, is_emptied = "", False
        while True:
            try:
                self._stepper.run(PlanRequest(Action.APPLY), self._until(number))
            except MigrationFailed as error:
                if (role := missing_role(error)) not in {"", created}:
                    self._server.create_role(role)
                    created = role
                elif existing_role(error):
                    self.needs_wipe = True
                    raise _RoleExists(number, error) from error
                elif self._filled:
                    self._connection.run(f"truncate {', '.join(sorted(self._filled))} cascade")
                    self._filled, is_emptied = set(), True
                else:
                    raise
            else:
                return is_emptied

    def _until(self, number: int) -> MigrationFiles:
        return self._files._replace(migrations=self._files.migrations[: number + 1])

    def _fill(self, before: Snapshot) -> None:
        """Puts rows into the tables that are new, and takes values from new sequences."""
        new = [key for key in self._now.objects if key not in before.objects]
        tables = [identity for kind, identity in new if kind == "table"]
        gone = {table for table in self._filled if Key("table", table) not in self._now.objects}
        self._filled = (self._filled - gone) | rows.fill(self._connection, self._now, tables)
        rows.use_sequences(self._connection, self._now, [key for key in new if key.kind == "sequence"])


def _text(migration: Migration) -> str:
    """Returns the text of both files, only to find the names in it."""
    paths = [path for path in (migration.up, migration.down) if path]
    return "\n".join(Path(path).read_text(encoding="utf-8", errors="replace") for path in paths)
