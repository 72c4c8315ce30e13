"""The migration lock: a session's advisory lock on the connection that does the work, so that both end together."""

from __future__ import annotations

import hashlib
import random
import time
from typing import TYPE_CHECKING

from sqlmigrate.errors import LockLost, LockNotAvailable, StatementFailed
from sqlmigrate.model import Holder

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.server.connection import Connection, Row
    from sqlmigrate.sql.text import Sql

# Never the blocking pg_advisory_lock(): whoever waits in it holds a snapshot, and CREATE INDEX CONCURRENTLY waits for
# snapshots: with the lock's owner building an index, both wait for ever.
# It is taken twice, so that `_STILL_OURS` can give one back and take it again without letting go.
_TRY = (
    "select coalesce(case when pg_catalog.pg_try_advisory_lock({key}) then pg_catalog.pg_try_advisory_lock({key}) end,"
    " false), pg_catalog.pg_backend_pid()"
)
# Where the database's own isolation level is another, what is read under the lock would be as it was before it was had.
_FRESH = "begin isolation level read committed;"
# A hundred times quicker than a look into pg_locks, which gathers the locks of every backend.
_STILL_OURS = "case when pg_catalog.pg_advisory_unlock({key}) then pg_catalog.pg_try_advisory_lock({key}) end"
_KEEPER_HOLDS = "exists (select from pg_catalog.pg_locks l where l.pid = {pid} and {same})"
# By the simple protocol, which leaves backend_xmin NULL while the transaction idles, so that CONCURRENTLY passes.
_TRY_XACT = "select pg_catalog.pg_try_advisory_xact_lock({key}), pg_catalog.pg_backend_pid()"
_OPEN_XACT = "begin; set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0"
_UNLOCK = "select pg_catalog.pg_advisory_unlock({key})"
_SAME_LOCK = (
    "l.locktype = 'advisory' and l.objsubid = 1 and l.granted"
    " and l.classid = {high}::oid and l.objid = {low}::oid"
    " and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())"
)
# ASCII only, as all SQL of ours: a database of another encoding knows no more.
_HOLDER = r"""
select a.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, ''), coalesce(a.client_addr::text, 'local'),
       coalesce(a.state, ''), a.backend_start,
       pg_catalog.regexp_replace(coalesce(a.query, ''), '(password\s+)''[^'']*''', '\1''...''', 'gi')
from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid)
where {same}
"""
_LOST = "sqlmigrate.the_migration_lock_was_lost"
_TERMINATE = "select pg_catalog.pg_terminate_backend({pid})"

_POLL_MIN, _POLL_MAX = 0.02, 0.5


def key_of(history_table: str) -> int:
    """The lock's key: 63 bits of the history table's name, so that two histories in a database don't meet."""
    return int.from_bytes(hashlib.sha256(f"sqlmigrate {history_table}".encode()).digest()[:8]) >> 1


def holder(connection: Connection, key: int) -> Holder | None:
    """Who holds the lock now."""
    rows = connection.rows(_HOLDER.format(same=same(key)))
    return Holder(*rows[0]) if rows else None


def terminate(connection: Connection, pid: int) -> bool:
    """Ends one backend, and with it its lock; False where it is gone already."""
    return bool(connection.rows(_TERMINATE.format(pid=int(pid)))[0][0])


def same(key: int) -> str:
    """SQL that is true of the row `l` of pg_locks that is this lock."""
    return _SAME_LOCK.format(high=key >> 32, low=key & 0xFFFFFFFF)


class Lock:
    """Held from `acquire` until its connection closes.

    Behind a transaction pooler a session's lock would stay with a server connection that the next client gets. Then
    `keeper`, a second connection, holds a transaction's lock for as long as the run takes. `pid` is the server's
    process that was asked for it last.
    """

    def __init__(self, connection: Connection, key: int, keeper: Connection | None = None) -> None:
        self._connection = keeper or connection
        self._worker = connection
        self._key = key
        self._pooled = keeper is not None
        self.pid = 0

    def acquire(self, wait: float, on_wait: Callable[[Holder | None], None], first: Sql, then: str) -> list[list[Row]]:
        """Tries until it has the lock, for so many seconds; `on_wait` hears who has it, about once a second.

        `first` is SQL that sets the session, `then` SQL whose answers are returned; both save a round trip.

        Raises:
            LockNotAvailable
        """
        deadline = time.monotonic() + wait
        pause, told = _POLL_MIN, 0.0
        while (answers := self._tried(first, then)) is None:
            now = time.monotonic()
            if now >= deadline:
                raise LockNotAvailable(
                    f"the migration lock was not had within {wait:g} s{_by(holder(self._connection, self._key))}",
                    hint="wait for the other run, or look with `sqlmigrate lock-status`",
                )
            if now - told >= 1:
                told = now
                on_wait(holder(self._connection, self._key))
            time.sleep(min(pause, deadline - now) * random.uniform(0.7, 1.0))  # spreads the replicas
            pause = min(pause * 1.5, _POLL_MAX)
        return answers

    def guard(self) -> str:
        """SQL that is true while the lock is held, and an error of the server's when it is not."""
        held = _KEEPER_HOLDS if self._pooled else _STILL_OURS
        test = held.format(key=self._key, pid=self.pid, same=same(self._key))
        return f"case when {test} then true else pg_catalog.current_setting('{_LOST}')::bool end"

    @staticmethod
    def lost(error: StatementFailed) -> LockLost | None:
        """What an error that comes of `guard` means."""
        if _LOST not in error.report.message:
            return None
        return LockLost(
            "the migration lock was lost while the migration ran",
            hint="the script, or somebody, released the lock: look for pg_advisory_unlock_all()",
        )

    def _tried(self, first: Sql, then: str) -> list[list[Row]] | None:
        if self._pooled:
            return self._tried_for_transaction(then)
        setup = self._connection.answers(f"{_FRESH}{first.text}{_TRY.format(key=self._key)};{then};commit")
        tried = 1 + first.results
        had, self.pid = setup[tried][0]
        return setup[tried + 1 : -1] if had else None

    def _tried_for_transaction(self, then: str) -> list[list[Row]] | None:
        """`then` goes to the worker: what the keeper reads it would keep locked."""
        self._connection.run(_OPEN_XACT)
        had, self.pid = self._connection.rows(_TRY_XACT.format(key=self._key))[0]
        if had:
            return self._worker.answers(then)
        self._connection.run("rollback")
        return None


def _by(other: Holder | None) -> str:
    if other is None:
        return ""
    return f": held by pid {other.pid} ({other.user}, {other.application or 'no name'}, from {other.host})"
