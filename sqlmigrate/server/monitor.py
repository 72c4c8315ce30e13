"""Watches the backend of a run from a second connection: who blocks it, and the progress of long statements."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import SqlMigrateError, StatementFailed
from sqlmigrate.events import Advancing, Blocked, Warned
from sqlmigrate.model import Blocker
from sqlmigrate.server.conflicts import conflicting
from sqlmigrate.server.program import parsed
from sqlmigrate.sql.sqlstate import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.events import Event
    from sqlmigrate.server.connection import Connection, Row

# pg_blocking_pids() returns 0 for a prepared transaction, which has no backend.
_BLOCKERS = rf"""
with w as (select a.pid as waiting, w.pid
           from pg_catalog.pg_stat_activity a, pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) w(pid)
           where {{condition}})
select b.pid, coalesce(b.usename::text, ''), coalesce(b.application_name, ''), coalesce(b.state, b.backend_type, ''),
       coalesce(extract(epoch from pg_catalog.clock_timestamp() - coalesce(b.xact_start, b.backend_start)), 0)::float8,
       pg_catalog.regexp_replace(coalesce(b.query, ''), '(password[[:space:]]+)''[^'']*''', E'\\1''...''', 'gi')
from (select distinct pid from w) w join pg_catalog.pg_stat_activity b using (pid)
union all
select distinct 0, p.owner::text, p.gid, 'prepared',
       extract(epoch from pg_catalog.clock_timestamp() - p.prepared)::float8,
       pg_catalog.format('COMMIT PREPARED %%L or ROLLBACK PREPARED %%L in database %%I', p.gid, p.gid, p.database)
from w join pg_catalog.pg_locks a on a.pid = w.waiting and not a.granted
     join pg_catalog.pg_locks h on h.granted and h.pid is null and h.locktype = a.locktype
          and (h.database, h.relation, h.page, h.tuple, h.transactionid::text, h.virtualxid, h.classid, h.objid,
           h.objsubid)
          is not distinct from
              (a.database, a.relation, a.page, a.tuple, a.transactionid::text, a.virtualxid, a.classid, a.objid,
               a.objsubid)
          and {conflicting("a.mode", "h.mode")}
     join pg_catalog.pg_locks x on x.virtualtransaction = h.virtualtransaction and x.pid is null
     join pg_catalog.pg_prepared_xacts p on p.transaction = x.transactionid and x.granted
where w.pid = 0
"""
_OF_BACKEND = "a.pid = %(pid)s"
_OF_PROGRAM = "a.application_name = %(program)s and a.datname = pg_catalog.current_database()"
# The watched migration may itself have locked the log table: the monitor must never wait for it.
_NEVER_WAIT = "set lock_timeout = '50ms'; set statement_timeout = '2s'; set idle_session_timeout = 0"
_NAME = """select application_name, coalesce(wait_event, '') = 'SyncRep' from pg_catalog.pg_stat_activity
where pid = %(pid)s"""
_PROGRESS = """
select 'index build: ' || pg_catalog.replace(phase, 'building index: ', ''),
       case when blocks_total > 0 then blocks_done else tuples_done end,
       case when blocks_total > 0 then blocks_total else tuples_total end,
       case when blocks_total > 0 then 'blocks' else 'rows' end
from pg_catalog.pg_stat_progress_create_index where pid = %(pid)s
union all select command || ': ' || phase, heap_blks_scanned, heap_blks_total, 'blocks'
from pg_catalog.pg_stat_progress_cluster where pid = %(pid)s
union all select 'VACUUM: ' || phase, heap_blks_scanned, heap_blks_total, 'blocks'
from pg_catalog.pg_stat_progress_vacuum where pid = %(pid)s
union all select 'ANALYZE: ' || phase, sample_blks_scanned, sample_blks_total, 'blocks'
from pg_catalog.pg_stat_progress_analyze where pid = %(pid)s
union all select 'COPY', tuples_processed, 0, 'rows' from pg_catalog.pg_stat_progress_copy where pid = %(pid)s
"""

# Seconds before the first look: a short statement does not need a second connection. This is early enough to see the
# blocker within a lock_timeout of 1 s.
_DELAY = 0.4
_INTERVAL = 0.4
_BLIND = "what the command waits for and how far it is cannot be shown"
_SYNC = "is committed locally, and waits for a synchronous standby (synchronous_standby_names)"
_PAUSE = 30  # seconds after a failure
_END = 0.2  # seconds to wait for the last look


def blocking(connection: Connection, program: str) -> tuple[Blocker, ...]:
    """Returns the backends that block another program, given the application_name of its connections."""
    rows = connection.rows(_BLOCKERS.format(condition=_OF_PROGRAM), {"program": program})
    return tuple(Blocker(*row) for row in rows)


def blocking_backend(connection: Connection, pid: int) -> tuple[Blocker, ...]:
    """Returns the backends that block a backend."""
    return tuple(Blocker(*row) for row in connection.rows(_BLOCKERS.format(condition=_OF_BACKEND), {"pid": pid}))


class Look(NamedTuple):
    """What the monitor saw; `finished` is None if it could not read the log table.

    `statement` is the number of the running statement, from 1, or 0; `latest` is the monotonic time of the run's newest
    commit that it saw, or 0.
    """

    name: str
    statement: int
    is_committed: bool  # locally; the commit waits for a synchronous standby
    blockers: tuple[Blocker, ...]
    finished: dict[str, int] | None
    latest: float
    progress: tuple[Advancing, ...]


class Monitor:
    """Opens its connection when something takes long, and never before. It looks in a thread, so it delays nothing.

    `look` is what was seen last of the present message, `blockers` are those seen last. `finished` is what the run has
    committed, by name, with milliseconds: more than the server has told where several migrations travel in one message.
    `tick` is to be called now and then while the backend `pid` works, `begin` when something new is sent to it. Only
    `tick` and `begin` report events. `awaits_standby` is whether the commit was last seen waiting for a
    synchronous standby.
    """

    def __init__(
        self,
        open_connection: Callable[[], Connection],
        pid: int,
        on_event: Callable[[Event], None],
        committed_steps: str = "",
    ) -> None:
        self._open = open_connection
        self._pid = pid
        self._committed_steps = committed_steps
        self._on_event = on_event
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None
        self._seen: Look | SqlMigrateError | None = None
        self._is_outdated = False  # what the thread sees is of an earlier message
        self._is_closed = False
        self._has_failed = False
        self._next = 0.0
        self._last: Event | None = None
        self.look: Look | None = None
        self.blockers: tuple[Blocker, ...] = ()
        self.finished: dict[str, int] = {}
        self.awaits_standby = False

    def begin(self) -> None:
        """Restarts the delay: a new message was sent."""
        self._next = time.monotonic() + _DELAY
        self._is_outdated = self._thread is not None
        self._last = self.look = None
        self.blockers = ()
        self.awaits_standby = False

    def tick(self) -> None:
        """Reports what was seen, and looks again if it is time to; after a failure, waits 30 s."""
        if self._thread is not None:
            if self._thread.is_alive():
                return
            self._thread = None
            if not self._is_outdated:
                self._take(self._seen)
            self._is_outdated = False
        if time.monotonic() >= self._next:
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Closes the connection; if a look is in progress, its thread does so."""
        self._is_closed = True
        if self._thread is not None:
            self._thread.join(_END)
        if self._thread is None or not self._thread.is_alive():
            self._close()

    def _look(self) -> None:
        try:
            self._seen = self._query()
        except SqlMigrateError as error:
            self._seen = error
        if self._is_closed:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _query(self) -> Look:
        if self._connection is None or self._connection.lost:
            self._connection = self._open()
            self._connection.run(_NEVER_WAIT)
        connection, pid = self._connection, {"pid": self._pid}
        blockers = blocking_backend(connection, self._pid)
        full_name, is_committed = next(iter(connection.rows(_NAME, pid)), ("", False))
        name, statement = parsed(full_name)
        rows = self._finished_on(connection) if self._committed_steps else None
        finished = {row[0]: row[1] for row in rows} if rows is not None else None
        latest = time.monotonic() - min(row[2] for row in rows) if rows else 0
        progress = () if blockers else tuple(Advancing(name, *row) for row in connection.rows(_PROGRESS, pid))
        return Look(name, statement, is_committed, blockers, finished, latest, progress)

    def _finished_on(self, connection: Connection) -> list[Row] | None:
        try:
            return connection.rows(self._committed_steps)
        except StatementFailed:
            return None

    def _take(self, seen: Look | SqlMigrateError | None) -> None:
        if isinstance(seen, StatementFailed) and seen.report.sqlstate in TEMPORARY:
            self._next = time.monotonic() + _INTERVAL  # another session holds a lock on a catalog for a moment
            return
        if not isinstance(seen, Look):
            self._next = time.monotonic() + _PAUSE
            self._warn(seen)
            return
        self._next = max(self._next, time.monotonic() + _INTERVAL)
        self.look = seen
        if seen.finished is not None:
            self.finished = seen.finished
        self.blockers = seen.blockers or self.blockers
        if seen.blockers and not self._is_reported(seen.blockers):
            self._report(Blocked(seen.name, seen.blockers))
        self.awaits_standby = seen.is_committed
        if seen.is_committed:
            self._report(Warned(f"{seen.name} {_SYNC}"))
        for progress in seen.progress:
            self._report(progress)

    def _warn(self, error: SqlMigrateError | None) -> None:
        if not self._has_failed and error is not None:
            self._has_failed = True
            self._on_event(Warned(f"{_BLIND}: {error.message}"))

    def _is_reported(self, blockers: tuple[Blocker, ...]) -> bool:
        return isinstance(self._last, Blocked) and _identities(self._last.blockers) == _identities(blockers)

    def _report(self, event: Event) -> None:
        if event != self._last:
            self._last = event
            self._on_event(event)


def _identities(blockers: tuple[Blocker, ...]) -> set[tuple[int, str]]:
    return {(blocker.pid, blocker.prepared) for blocker in blockers}
