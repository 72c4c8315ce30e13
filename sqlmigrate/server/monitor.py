"""Watches the backend of a run from a second connection: who blocks it, and the progress of long statements."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError, DatabaseError, StatementFailed
from sqlmigrate.events import Advancing, Blocked
from sqlmigrate.model import Blocker

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.events import Event
    from sqlmigrate.server.connection import Connection

_BLOCKERS = r"""
select b.pid, coalesce(b.usename::text, ''), coalesce(b.application_name, ''), coalesce(b.state, b.backend_type),
       coalesce(extract(epoch from pg_catalog.clock_timestamp() - coalesce(b.xact_start, b.backend_start)), 0)::float8,
       pg_catalog.regexp_replace(coalesce(b.query, ''), '(password[[:space:]]+)''[^'']*''', E'\\1''...''', 'gi')
from (select distinct w.pid
      from pg_catalog.pg_stat_activity a, pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) w(pid)
      where {condition}) w join pg_catalog.pg_stat_activity b using (pid)
"""
_OF_BACKEND = "a.pid = %(pid)s"
_OF_PROGRAM = "a.application_name = %(program)s and a.datname = pg_catalog.current_database()"
# The watched migration may itself have locked the log table: the monitor must never wait for it.
_NEVER_WAIT = "set lock_timeout = '50ms'; set statement_timeout = '2s'"
_NEVER_END = "; set idle_session_timeout = 0"
_NAME = "select application_name from pg_catalog.pg_stat_activity where pid = %(pid)s"
_PROGRESS = """
select 'index build: ' || phase, case when blocks_total > 0 then blocks_done else tuples_done end,
       case when blocks_total > 0 then blocks_total else tuples_total end
from pg_catalog.pg_stat_progress_create_index where pid = %(pid)s
union all select command || ': ' || phase, heap_blks_scanned, heap_blks_total
from pg_catalog.pg_stat_progress_cluster where pid = %(pid)s
union all select 'VACUUM: ' || phase, heap_blks_scanned, heap_blks_total
from pg_catalog.pg_stat_progress_vacuum where pid = %(pid)s
"""
_PROGRESS_COPY = """
union all select command || ': rows', tuples_processed, 0 from pg_catalog.pg_stat_progress_copy where pid = %(pid)s
"""

# Seconds before the first look: a short statement does not need a second connection. This is early enough to see the
# blocker within a lock_timeout of 1 s.
_DELAY = 0.4
_INTERVAL = 0.4


def blocking(connection: Connection, program: str) -> tuple[Blocker, ...]:
    """Returns the backends that block another program, given the application_name of its connections."""
    rows = connection.rows(_BLOCKERS.format(condition=_OF_PROGRAM), {"program": program})
    return tuple(Blocker(*row) for row in rows)


class Monitor:
    """Opens its connection when something takes long, and never before.

    `blockers` are those seen last; `finished` is what the run has committed, by name, with milliseconds: more than the
    server has told where several migrations travel in one message. `tick` is to be called now and then while the
    backend `pid` works, `begin` when something new is sent to it.
    """

    def __init__(
        self,
        open_connection: Callable[[], Connection],
        pid: int,
        committed_steps: str,
        on_event: Callable[[Event], None],
    ) -> None:
        self._open = open_connection
        self._pid = pid
        self._committed_steps = committed_steps
        self._on_event = on_event
        self._connection: Connection | None = None
        self._next = 0.0
        self._last: Event | None = None
        self.blockers: tuple[Blocker, ...] = ()
        self.finished: dict[str, int] = {}

    def begin(self) -> None:
        """Restarts the delay: a new message was sent."""
        self._next = time.monotonic() + _DELAY
        self._last = None
        self.blockers = ()

    def tick(self) -> None:
        """Queries the server if it is time to; after a failed query, such as without a free connection, waits 30 s."""
        if time.monotonic() < self._next:
            return
        try:
            self._query()
            self._next = time.monotonic() + _INTERVAL
        except (DatabaseError, ConfigurationError):
            self._next = time.monotonic() + 30

    def close(self) -> None:
        """Closes the connection if it is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _query(self) -> None:
        if self._connection is None or self._connection.lost:
            self._connection = self._open()
            self._connection.run(_NEVER_WAIT + (_NEVER_END if self._connection.server_version >= 140000 else ""))
        pid = {"pid": self._pid}
        blockers = tuple(Blocker(*row) for row in self._connection.rows(_BLOCKERS.format(condition=_OF_BACKEND), pid))
        name = "".join(row[0] for row in self._connection.rows(_NAME, pid))
        self._read_log()
        if blockers:
            self.blockers = blockers
            same = isinstance(self._last, Blocked) and {b.pid for b in self._last.blockers} == {b.pid for b in blockers}
            if not same:
                self._report(Blocked(name, blockers))
            return
        copy = _PROGRESS_COPY if self._connection.server_version >= 140000 else ""
        for what, done, total in self._connection.rows(_PROGRESS + copy, pid):
            self._report(Advancing(name, what, done, total))

    def _read_log(self) -> None:
        with suppress(StatementFailed):
            self.finished = dict(self._connection.rows(self._committed_steps)) if self._connection else {}

    def _report(self, event: Event) -> None:
        if event != self._last:
            self._last = event
            self._on_event(event)
