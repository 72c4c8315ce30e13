"""The migration lock: a session-level advisory lock on the connection that runs the migrations."""

from __future__ import annotations

import hashlib
import random
import time
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConnectionFailed, LockLost, LockNotAvailable, StatementFailed
from sqlmigrate.model import Holder
from sqlmigrate.sql.sqlstate import NOT_PERMITTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.server.connection import Connection, Row
    from sqlmigrate.sql.text import Sql

# Never the blocking pg_advisory_lock(): a session that waits in it holds a snapshot, and CREATE INDEX CONCURRENTLY
# waits for the end of all snapshots. If the lock's holder builds an index, both wait forever.
# The lock is acquired twice, so that `_IS_HELD` can release and acquire one of the two without losing the lock.
# The workers of `migrate --parallel` hold the second key in share mode: if the connection of their run dies, the next
# run waits for their statements.
_TRY = (
    "select coalesce(case when pg_catalog.pg_try_advisory_lock({key}) then"
    " case when pg_catalog.pg_try_advisory_xact_lock({workers}) then pg_catalog.pg_try_advisory_lock({key})"
    " else not pg_catalog.pg_advisory_unlock({key}) end end, false), pg_catalog.pg_backend_pid()"
)
# With repeatable read as the database's default, the rows read under the lock would be as old as the start of the wait.
_BEGIN = "begin isolation level read committed;"
# A hundred times faster than a query on pg_locks, which collects the locks of every backend.
_IS_HELD = "case when pg_catalog.pg_advisory_unlock({key}) then pg_catalog.pg_try_advisory_lock({key}) end"
_KEEPER_HOLDS = "exists (select from pg_catalog.pg_locks l where l.pid = {pid} and {same})"
# Sent by the simple query protocol, which leaves backend_xmin NULL while the transaction is idle: CREATE INDEX
# CONCURRENTLY does not wait for it.
_TRY_XACT = (
    "select pg_catalog.pg_try_advisory_xact_lock({key}) and pg_catalog.pg_try_advisory_xact_lock({workers}),"
    " pg_catalog.pg_backend_pid()"
)
# Twice, as the lock itself.
_SHARE = (
    "select pg_catalog.pg_try_advisory_lock_shared({workers}) and pg_catalog.pg_try_advisory_lock_shared({workers}),"
    " pg_catalog.pg_backend_pid()"
)
_IS_SHARED = (
    "case when pg_catalog.pg_advisory_unlock_shared({workers})"
    " then pg_catalog.pg_try_advisory_lock_shared({workers}) end"
)
_OPEN_XACT = "begin; set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0"
_NEVER_END = "; set local transaction_timeout = 0"  # PostgreSQL 17
_UNLOCK = "select pg_catalog.pg_advisory_unlock({key})"
_SAME_LOCK = (
    "l.locktype = 'advisory' and l.objsubid = 1 and l.granted"
    " and l.classid = {high}::oid and l.objid = {low}::oid"
    " and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())"
)
# ASCII only, as all SQL of sqlmigrate: the database may have another encoding than UTF-8.
_HOLDER = r"""
select a.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, ''),
       coalesce(a.client_addr::text, case when a.state is null then '' else 'local' end),
       coalesce(a.state, ''), a.backend_start,
       pg_catalog.regexp_replace(coalesce(a.query, ''), '(password[[:space:]]+)''[^'']*''', E'\\1''...''', 'gi')
from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid)
where ({same}) or ({workers}) order by ({same}) desc limit 1
"""
_WORKERS = """
select a.pid, coalesce(a.application_name, '')
from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid)
where {workers} and coalesce(a.state, 'active') = 'active' order by a.application_name
"""
_LOST = "sqlmigrate.the_migration_lock_was_lost"
_TERMINATE = "select pg_catalog.pg_terminate_backend({pid})"
_MAY_TERMINATE = (
    "run it as the role of that backend, or as a member of pg_signal_backend;"
    " only a superuser may terminate the backend of a superuser"
)

_POLL_MIN, _POLL_MAX = 0.02, 0.5
_POOL_WAIT = 10  # seconds until a pooler must have a second server connection


def key_of(history_table: str) -> int:
    """Returns the lock's key: 63 bits of a hash of the history table's name, so each history table has its own lock."""
    return int.from_bytes(hashlib.sha256(f"sqlmigrate {history_table}".encode()).digest()[:8]) >> 1


def holder(connection: Connection, key: int) -> Holder | None:
    """Returns the backend that holds the lock, or a worker that is left of a run whose connection has ended."""
    rows = connection.rows(_HOLDER.format(same=is_lock(key), workers=is_lock(key_of_workers(key))))
    return Holder(*rows[0]) if rows else None


def workers(connection: Connection, key: int) -> list[tuple[int, str]]:
    """Returns the busy workers of a run with several connections: their PIDs, and their programs."""
    rows = connection.rows(_WORKERS.format(workers=is_lock(key_of_workers(key))))
    return [(pid, program) for pid, program in rows]


def terminate(connection: Connection, pid: int) -> bool:
    """Terminates a backend, which releases its lock; returns False if the backend has already ended."""
    try:
        return bool(connection.rows(_TERMINATE.format(pid=int(pid)))[0][0])
    except StatementFailed as error:
        error.hint = _MAY_TERMINATE if error.report.sqlstate == NOT_PERMITTED else error.hint
        raise


def key_of_workers(key: int) -> int:
    """Returns the key that the workers of a run share, from that of the migration lock."""
    return key ^ 1


def is_lock(key: int) -> str:
    """Returns SQL that is true if the row `l` of pg_locks is this lock, held by a backend."""
    return _SAME_LOCK.format(high=key >> 32, low=key & 0xFFFFFFFF)


class Lock:
    """The migration lock, held from `acquire` until its connection closes.

    Behind a transaction pooler, a session-level lock would stay with a server connection that the pooler then gives to
    another client. In this case `keeper`, a second connection, holds a transaction-level lock during the run. `pid` is
    the backend of the last attempt to acquire the lock.
    """

    def __init__(self, connection: Connection, key: int, keeper: Connection | None = None) -> None:
        self._connection = keeper or connection
        self._worker = connection
        self._key = key
        self._pooled = keeper is not None
        self.pid = 0

    def acquire(
        self, wait: float, on_wait: Callable[[Holder | None, int], None], first: Sql, then: str
    ) -> list[list[Row]]:
        """Acquires the lock, together with the SQL before and after it: this saves round trips.

        Args:
            wait: the time limit in seconds.
            on_wait: is called about once a second with the holder of the lock, and the seconds since the start.
            first: the SQL that sets up the session.
            then: the SQL whose rows are returned.

        Raises:
            LockNotAvailable: the time limit was reached.
        """
        started = time.monotonic()
        deadline, pause, reported = started + wait, _POLL_MIN, -1
        while (answers := self._tried(first, then)) is None:
            now = time.monotonic()
            if now >= deadline:
                raise LockNotAvailable(
                    f"could not obtain the migration lock within {wait:g} s{_by(holder(self._connection, self._key))}",
                    hint="wait for the other run to end, or run `sqlmigrate lock-status`",
                )
            if int(now - started) > reported:
                reported = int(now - started)
                on_wait(holder(self._connection, self._key), reported)
            time.sleep(min(pause, deadline - now) * random.uniform(0.7, 1.0))  # spreads the replicas
            pause = min(pause * 1.5, _POLL_MAX)
        return answers

    def guard(self) -> str:
        """Returns SQL that is true while the lock is held, and raises an error on the server otherwise."""
        held = _KEEPER_HOLDS if self._pooled else _IS_HELD
        return self._raising(held.format(key=self._key, pid=self.pid, same=is_lock(self._key)))

    def _raising(self, test: str) -> str:
        return f"case when {test} then true else pg_catalog.current_setting('{_LOST}')::bool end"

    @staticmethod
    def lost(error: StatementFailed) -> LockLost | None:
        """Returns the error to raise if `guard` caused the given error, else None."""
        if _LOST not in error.report.message:
            return None
        return LockLost(
            "the migration lock was lost while the migration ran",
            hint="check the script for pg_advisory_unlock_all()",
        )

    def _tried(self, first: Sql, then: str) -> list[list[Row]] | None:
        if self._pooled:
            return self._tried_for_transaction(then)
        setup = self._connection.answers(f"{_BEGIN}{first.text}{self._filled(_TRY)};{then};commit")
        tried = 1 + first.results
        is_held, self.pid = setup[tried][0]
        return setup[tried + 1 : -1] if is_held else None

    def _tried_for_transaction(self, then: str) -> list[list[Row]] | None:
        """Sends `then` on the worker: the keeper's open transaction would keep the tables that it reads locked."""
        self._connection.run(_OPEN_XACT + (_NEVER_END if self._connection.server_version >= 170000 else ""))
        is_held, self.pid = self._connection.rows(self._filled(_TRY_XACT))[0]
        if is_held:
            self._require_server_connection()
            return self._worker.answers(then)
        self._connection.run("rollback")
        return None

    def _filled(self, query: str) -> str:
        return query.format(key=self._key, workers=key_of_workers(self._key))

    def _require_server_connection(self) -> None:
        """Checks that the pooler gives the worker a server connection, while the keeper has another.

        Raises:
            ConnectionFailed: it has not done so within 10 s.
        """
        deadline, on_tick = time.monotonic() + _POOL_WAIT, self._worker.on_tick

        def look() -> None:
            if time.monotonic() > deadline:
                raise ConnectionFailed(
                    "the connection pooler has no second server connection for the run",
                    hint="raise its pool size to at least 2 (PgBouncer: default_pool_size), or connect to PostgreSQL"
                    " directly",
                )

        self._worker.on_tick = look
        try:
            self._worker.run("select")
        finally:
            self._worker.on_tick = on_tick


class SharedLock(Lock):
    """The part of a worker in the migration lock, held until its connection closes; `lock` is that of its run.

    Raises:
        LockLost: the run does not hold the lock any more, and another one does.
    """

    def __init__(self, connection: Connection, lock: Lock) -> None:
        super().__init__(connection, lock._key)  # noqa: SLF001  # the same class
        self._holder = lock.pid
        is_held, self.pid = connection.rows(self._filled(_SHARE))[0]
        if not is_held:
            raise LockLost("the migration lock was lost while the migration ran")

    def guard(self) -> str:
        """Returns SQL that is true while the run holds the lock, and raises an error on the server otherwise."""
        held = _KEEPER_HOLDS.format(pid=self._holder, same=is_lock(self._key))
        return self._raising(f"{held} and {self._filled(_IS_SHARED)}")


def _by(backend: Holder | None) -> str:
    return "" if backend is None else f": held by {backend}"
