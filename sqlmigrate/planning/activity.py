"""What the holder of the migration lock does: its run, the statement that it runs, and what that waits for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ConfigurationError, ScriptError, StatementFailed
from sqlmigrate.files import source
from sqlmigrate.history.tables import UNDONE_VERSION
from sqlmigrate.model import Action, Step
from sqlmigrate.server import lock
from sqlmigrate.server.monitor import blocking_backend
from sqlmigrate.sql.scanner import statements
from sqlmigrate.sql.segments import cuts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlmigrate.history.history import History
    from sqlmigrate.model import Applied, Blocker, Holder
    from sqlmigrate.server.connection import Connection

    _Locks = set[tuple[str, str]]  # the names of relations, and the modes

# A run's backend is that of the lock, so a run that was interrupted is not active.
_RUN = f"""
select r.run_id, r.action, r.began_at, r.db_user, r.os_user, r.host, pg_catalog.cardinality(r.versions), u.version,
       coalesce(pg_catalog.array_position(r.versions, u.version), 0)
from {{runs}} r, lateral (select {UNDONE_VERSION} as version) u
where r.ended_at is null and r.backend_pid = {{pid}} order by r.began_at desc limit 1
"""
# Behind a transaction pooler, another backend than the holder of the lock runs the statements.
_WORKER = """
select a.pid, coalesce(a.state, '') = 'active', a.query_start, a.xact_start,
       coalesce(nullif(pg_catalog.concat_ws(': ', a.wait_event_type, a.wait_event), 'Client: ClientRead'), '')
from pg_catalog.pg_stat_activity a
where a.pid = {pid} or a.datname = pg_catalog.current_database() and a.application_name = {program}
order by a.application_name = {program} desc limit 1
"""
_LOCKS = """
select c.relname::text, l.mode, l.granted from pg_catalog.pg_locks l join pg_catalog.pg_class c on c.oid = l.relation
where l.pid = {pid} and l.locktype = 'relation'
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
"""
_VISIBLE = "select relname::text from pg_catalog.pg_class where relname::text = any(%(names)s)"
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
    """The statement that runs: its number, if `first` and `last` are equal; otherwise it is one of these.

    `line` and `text` are those of the first of them; `text` is its first line.
    """

    path: str
    first: int
    last: int
    total: int
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Activity:
    """The holder of the lock; its run, if it is one of sqlmigrate; the statement that runs, and what it waits for."""

    holder: Holder
    run: ActiveRun | None = None
    step: Step | None = None
    position: Position | None = None
    since: datetime | None = None
    waits_for: str = ""
    blockers: tuple[Blocker, ...] = ()


class _HeldLock(NamedTuple):
    relation: str
    mode: str
    is_granted: bool


def active_run(connection: Connection, history: History, key: int) -> ActiveRun | None:
    """Returns the run that holds the lock; None if there is none, or if this role cannot read the table of runs."""
    holder = lock.holder(connection, key)
    return _run_of(connection, history, holder.pid) if holder else None


def activity(connection: Connection, history: History, key: int, directories: Sequence[str]) -> Activity | None:
    """Returns what the holder of the lock does; None if nobody holds it."""
    holder = lock.holder(connection, key)
    if holder is None:
        return None
    run = _run_of(connection, history, holder.pid)
    if run is None or not run.version:
        return Activity(holder, run)
    program = connection.literal(f"sqlmigrate {run.version}")
    workers = connection.rows(_WORKER.format(pid=holder.pid, program=program))
    pid, is_active, query_start, xact_start, wait_event = workers[0] if workers else (holder.pid, False, None, None, "")
    locks = [_HeldLock(*row) for row in connection.rows(_LOCKS.format(pid=pid))]
    step = _step(run, directories, history.rows())
    awaited = [f"{_mode(held.mode)} on {held.relation}" for held in locks if not held.is_granted]
    return Activity(
        holder,
        run,
        step,
        _position(step, locks, connection) if step and is_active else None,
        (xact_start or query_start) if is_active else None,
        (" and ".join(awaited) or wait_event) if is_active else "",
        blocking_backend(connection, pid),
    )


def _run_of(connection: Connection, history: History, pid: int) -> ActiveRun | None:
    if history.format < 2:
        return None
    try:
        rows = connection.rows(history.tables.fill(_RUN, pid=pid))
    except StatementFailed:  # not permitted
        return None
    return ActiveRun(*rows[0]) if rows else None


def _step(run: ActiveRun, directories: Sequence[str], rows: Iterable[Applied]) -> Step | None:
    try:
        migrations = source.find(directories).migrations
    except ConfigurationError:  # the directory is on another machine
        return None
    row = next((row for row in rows if row.id == run.version), None)
    migration = next((migration for migration in migrations if migration.id == run.version), None)
    return Step(migration, Action(run.action), row) if migration else None


def _position(step: Step, locks: Sequence[_HeldLock], connection: Connection) -> Position | None:
    """Returns the statement that runs. The server does not tell its number, but a statement locks its tables first."""
    try:
        script, opened = source.open_script(step.path, cuts_of(step))
    except ScriptError:
        return None
    items = [
        item
        for segment in script.segments[:1]
        for piece in segment.pieces
        for item in statements(opened.text(piece), piece.line, piece.column, escapes=piece.escapes)
    ]
    if not items:
        return None
    taken = _visible([_locks_of(item.text) for item in items], connection)
    first, last = _narrowed(taken, locks)
    number, item = script.segments[0].first + 1, items[first]
    text = _PASSWORD.sub(r"\1'...'", item.text.partition("\n")[0])
    return Position(step.path, number + first, number + last, script.statements, item.line, text)


def _visible(taken: Sequence[_Locks], connection: Connection) -> list[_Locks]:
    """Removes the locks on relations that other sessions do not see: those that the script creates or renames."""
    names = {relation for locks in taken for relation, _ in locks}
    visible = {name for (name,) in connection.rows(_VISIBLE, {"names": [*names]})} if names else set()
    return [{lock for lock in locks if lock[0] in visible} for locks in taken]


def _narrowed(taken: Sequence[_Locks], locks: Sequence[_HeldLock]) -> tuple[int, int]:
    """Returns the first and the last statement that may run, given the locks that the backend holds or waits for."""
    held = {(lock.relation, _mode(lock.mode)) for lock in locks if lock.is_granted}
    awaited = {(lock.relation, _mode(lock.mode)) for lock in locks if not lock.is_granted}
    first, earlier = 0, set[tuple[str, str]]()
    for index, needed in enumerate(taken):
        if needed & awaited:
            return index, index
        if needed - held:
            return first, max(index - 1, 0)
        if needed - earlier:
            first = index
        earlier |= needed
    return first, len(taken) - 1


def _locks_of(text: str) -> _Locks:
    from sqlmigrate.locks import locks_of

    try:
        return {(_bare(lock.relation), lock.mode.value) for lock in locks_of(text)}
    except ConfigurationError:  # the parser is not installed
        return set()


def _bare(name: str) -> str:
    return name.rpartition(".")[2].strip('"')


def _mode(name: str) -> str:
    """Returns a lock mode of pg_locks as the documentation writes it: `ACCESS EXCLUSIVE`."""
    return " ".join(re.findall("[A-Z][a-z]+", name.removesuffix("Lock"))).upper()
