"""What the holder of the migration lock does: its run, the statement that it runs, and what that waits for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from sqlmigrate.errors import ConfigurationError, ScriptError, StatementFailed
from sqlmigrate.files import source
from sqlmigrate.history.tables import UNDONE_VERSION
from sqlmigrate.model import Action, Step
from sqlmigrate.server import lock
from sqlmigrate.server.monitor import blocking_backend
from sqlmigrate.server.program import parsed, program_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from sqlmigrate.history.history import History
    from sqlmigrate.model import Applied, Blocker, Holder
    from sqlmigrate.server.connection import Connection

T = TypeVar("T")
# A run's backend is that of the lock, so a run that was interrupted is not active.
_RUN = f"""
select r.run_id, r.action, r.began_at, r.db_user, r.os_user, r.host, pg_catalog.cardinality(r.versions), u.version,
       coalesce(pg_catalog.array_position(r.versions, u.version), 0)
from {{runs}} r, lateral (select {UNDONE_VERSION} as version) u
where r.ended_at is null and r.backend_pid = {{pid}} order by r.began_at desc limit 1
"""
# Behind a transaction pooler, another backend than the holder of the lock runs the statements. The state and the times
# are hidden from some roles, but its name and its locks are not. One query reads both, so that they belong to the same
# statement of the script.
_WORKER = """
select a.pid, a.application_name, coalesce(a.state, 'active') = 'active', a.query_start, a.xact_start,
       coalesce(nullif(pg_catalog.concat_ws(': ', a.wait_event_type, a.wait_event), 'Client: ClientRead'), ''),
       array(
           select pg_catalog.format('%s on %s', l.mode, c.relname)
           from pg_catalog.pg_locks l join pg_catalog.pg_class c on c.oid = l.relation
           where l.pid = a.pid and l.locktype = 'relation' and not l.granted and l.database =
               (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
       )
from pg_catalog.pg_stat_activity a
where a.pid = {pid}
   or a.datname = pg_catalog.current_database() and pg_catalog.starts_with(a.application_name, {program})
order by pg_catalog.starts_with(a.application_name, {program}) desc limit 1
"""
_BEGIN = "begin isolation level read committed read only; set local lock_timeout = '1s'"
_PASSWORD = re.compile(r"(password\s+)'[^']*'", re.IGNORECASE)


class ActiveRun(NamedTuple):
    """A run that holds the lock: who started it, and the number of the step that it has not completed."""

    run_id: str
    action: str
    began_at: datetime
    db_user: str
    os_user: str
    host: str
    steps: int
    version: str
    step: int


class Position(NamedTuple):
    """The statement that runs: its number, counted from 1, its line in the file, and the first line of its text."""

    path: str
    number: int
    total: int
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Activity:
    """The holder of the lock; its run, if it is one of sqlmigrate; the statement that runs, and what it waits for.

    `beside` are the other connections that run statements of the run at the same time: their PIDs, and their programs.
    """

    holder: Holder
    run: ActiveRun | None = None
    step: Step | None = None
    position: Position | None = None
    since: datetime | None = None
    waits_for: str = ""
    blockers: tuple[Blocker, ...] = ()
    beside: tuple[tuple[int, str], ...] = ()


def activity(connection: Connection, history: History, key: int, directories: Sequence[str]) -> Activity | None:
    """Returns what the holder of the lock does; None if nobody holds it."""
    holder = lock.holder(connection, key)
    if holder is None:
        return None
    run = run_of(connection, history, holder.pid)
    if run is None or not run.version:
        return Activity(holder, run)
    program = connection.literal(program_name(run.version))
    worker = next(iter(connection.rows(_WORKER.format(pid=holder.pid, program=program))), None)
    if worker is None:
        return Activity(holder, run)
    pid, name, is_active, query_start, xact_start, wait_event, locks = worker
    if parsed(name)[0] != program_name(run.version):  # the run has gone on since its rows were read
        run = run_of(connection, history, holder.pid) or run
    step = _step(run, directories, _unless_locked(connection, history.rows))
    if not is_active:
        return Activity(holder, run, step)
    return Activity(
        holder,
        run,
        step,
        _position(step, parsed(name)[1]) if step else None,
        xact_start or query_start,
        " and ".join(map(_as_documented, locks)) or wait_event,
        blocking_backend(connection, pid),
        tuple(worker for worker in lock.workers(connection, key) if worker[0] != pid),
    )


def run_of(connection: Connection, history: History, pid: int) -> ActiveRun | None:
    """Returns the run of the backend that holds the lock; None if there is none, or if this role cannot see it."""
    if history.format < 2:
        return None
    rows = _unless_locked(connection, lambda: connection.rows(history.tables.fill(_RUN, pid=pid)))
    return ActiveRun(*rows[0]) if rows else None


def running(connection: Connection, history: History, key: int, pid: int, ids: Iterable[str]) -> set[str]:
    """Returns those of the migrations that the run of the backend that holds the lock has come to and not completed."""
    run = run_of(connection, history, pid)
    if run is None:
        return set()
    programs = {parsed(program)[0] for _, program in lock.workers(connection, key)}
    return {run.version, *(identity for identity in ids if program_name(identity) in programs)}


def _unless_locked(connection: Connection, read: Callable[[], list[T]]) -> list[T]:
    """Reads a history table; returns no rows if it stays locked, perhaps by the run itself, or is not permitted."""
    connection.run(_BEGIN)
    try:
        return read()
    except StatementFailed:
        return []
    finally:
        connection.run("rollback")


def _step(run: ActiveRun, directories: Sequence[str], rows: Iterable[Applied]) -> Step | None:
    try:
        migrations = source.find(directories).migrations
    except ConfigurationError:  # the directory is on another machine
        return None
    row = next((row for row in rows if row.id == run.version), None)
    migration = next((migration for migration in migrations if migration.id == run.version), None)
    return Step(migration, Action(run.action), row) if migration else None


def _position(step: Step, number: int) -> Position | None:
    """Returns the statement with the number, or the next one if it runs outside a transaction block and has none: 0."""
    from sqlmigrate.sql.scanner import statements  # `status` asks only for the run
    from sqlmigrate.sql.segments import cuts_of

    try:
        script, opened = source.open_script(step.path, cuts_of(step))
    except ScriptError:
        return None
    if not script.segments or (number == 0 and script.segments[0].statements > 1):
        return None
    items = [
        item
        for segment in script.segments
        for piece in segment.pieces
        for item in statements(opened.text(piece), piece.line, piece.column, escapes=piece.escapes)
    ]
    index = number - 1 - script.segments[0].first if number else 0
    if not 0 <= index < len(items):
        return None
    text = _PASSWORD.sub(r"\1'...'", items[index].text.partition("\n")[0])
    return Position(step.path, script.segments[0].first + index + 1, script.statements, items[index].line, text)


def _as_documented(lock: str) -> str:
    """Returns a lock with its mode as the documentation writes it: `ACCESS EXCLUSIVE on orders`."""
    mode, _, rest = lock.partition(" ")
    return " ".join([*re.findall("[A-Z][a-z]+", mode.removesuffix("Lock"))]).upper() + f" {rest}"
