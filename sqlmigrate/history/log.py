"""Queries the log table, aggregates it for the metrics, and deletes old entries."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.history.tables import INTERRUPTED, UNDONE_VERSION
from sqlmigrate.server.lock import is_lock

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmigrate.history.history import History
    from sqlmigrate.model import Applied
    from sqlmigrate.server.connection import Connection

# Upper bounds of the histogram's buckets, in milliseconds. They cannot change: the totals table stores one count for
# each bound, and one for all entries.
BOUNDS = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000)

_COLUMNS = "logged_at, action, version, name, outcome, duration_ms, error_msg, db_user, os_user, host, run_id, checksum"
_LOG_OF = f"select {_COLUMNS} from {{log}} where %(version)s in ('', version) order by id"
# The statements after this query have a later snapshot. If a run does not hold the lock according to this query, they
# see the end of the run if it was recorded. A run that started later than this query did not hold the lock yet.
_LOCK_HOLDER = """
begin isolation level read committed read only;
set local statement_timeout = '5s';
set local lock_timeout = '1s';
select pg_catalog.set_config('sqlmigrate.lock_pid', coalesce(pg_catalog.max(l.pid)::text, ''), true) <> ''
from pg_catalog.pg_locks l where {same};
"""
# The entries that the next run will log for runs that were interrupted; another run may hold the lock meanwhile.
_INTERRUPTED = f"""
select greatest(r.began_at, (select pg_catalog.max(l.logged_at) from {{log}} l where l.run_id = r.run_id)) as logged_at,
       r.action, {UNDONE_VERSION} as version, '' as name, '' as checksum, 'failure' as outcome,
       0::bigint as duration_ms,
       {{interrupted}} as error_msg, r.db_user, r.os_user, r.host, r.run_id, null::bigint as id
from {{runs}} r
where r.ended_at is null and {UNDONE_VERSION} <> '' and r.began_at < pg_catalog.transaction_timestamp()
  and r.backend_pid is distinct from nullif(pg_catalog.current_setting('sqlmigrate.lock_pid'), '')::integer
"""
_LOGGED = f"select {_COLUMNS}, id from {{log}}"
_LOGGED_AND_INTERRUPTED = f"{_LOGGED} union all select {_COLUMNS}, id from ({_INTERRUPTED}) b"
_ENTRIES = f"select {_COLUMNS} from ({{logged}}) e where {{condition}} order by logged_at desc, id desc {{limit}};"

# The duration of a run that was interrupted is unknown: its entry has no checksum and is not counted in any bucket.
_TIMED = "pg_catalog.count(*) filter (where checksum <> ''"
_BUCKETS = ", ".join([*(f"{_TIMED} and duration_ms <= {bound})" for bound in BOUNDS), f"{_TIMED})"])
_NUMBERS = range(1, len(BOUNDS) + 2)
_SUMMED = f"""
select action, version, outcome, pg_catalog.count(*) as entries, pg_catalog.sum(duration_ms) as duration_ms,
       pg_catalog.max(logged_at) as last_at,
       (pg_catalog.array_agg(duration_ms order by logged_at desc))[1] as last_duration_ms,
       array[{_BUCKETS}] as buckets
from ({{logged}}) e group by action, version, outcome
"""
_TOTALS = f"""
select action, version, outcome, pg_catalog.sum(entries)::bigint, pg_catalog.sum(duration_ms)::float8,
       pg_catalog.max(last_at), (pg_catalog.array_agg(last_duration_ms order by last_at desc))[1],
       array[{", ".join(f"pg_catalog.sum(buckets[{n}])::bigint" for n in _NUMBERS)}]
from ({{summed}}) t group by action, version, outcome;
"""
_TOTAL_COLUMNS = "action, version, outcome, entries, duration_ms, last_at, last_duration_ms, buckets"
_PRUNED_TOO = f" union all select {_TOTAL_COLUMNS} from {{totals}}"

_BEFORE = "pg_catalog.now() - pg_catalog.make_interval(days => {days})"
_OLD = f"l.logged_at < {_BEFORE}"
# The next run needs the entries of a run that was interrupted, to log which version it did not complete.
_OLD_AND_CLOSED = f"{_OLD} and not exists (select from {{runs}} r where r.run_id = l.run_id and r.ended_at is null)"
_OLD_RUNS = f"ended_at < {_BEFORE}"
_COUNT_RUNS = f"select pg_catalog.count(*) from {{runs}} where {_OLD_RUNS}"
_COUNT_OLD = "select (select pg_catalog.count(*) from {log} l where {old}), {runs_count};"
_PRUNE = f"""
begin;
with gone as (delete from {{log}} l where {_OLD_AND_CLOSED} returning *), summed as (
    insert into {{totals}} as t ({_TOTAL_COLUMNS}) {_SUMMED.format(logged="select * from gone")}
    on conflict (action, version, outcome) do update set
        entries = t.entries + excluded.entries, duration_ms = t.duration_ms + excluded.duration_ms,
        last_duration_ms = case when excluded.last_at >= t.last_at then excluded.last_duration_ms
                                else t.last_duration_ms end,
        last_at = greatest(t.last_at, excluded.last_at),
        buckets = array[{", ".join(f"t.buckets[{n}] + excluded.buckets[{n}]" for n in _NUMBERS)}])
select pg_catalog.count(*) from gone;
with gone as (delete from {{runs}} where {_OLD_RUNS} returning 1) select pg_catalog.count(*) from gone;
{{logged}}
commit;
"""


class LogEntry(NamedTuple):
    """A row of the log table; `checksum` is that of the file, or the digest of the approved plan."""

    logged_at: datetime
    action: str
    version: str
    name: str
    outcome: str
    duration_ms: int
    error_msg: str
    db_user: str
    os_user: str
    host: str
    run_id: str
    checksum: str

    @property
    def took(self) -> int | None:
        """The duration in milliseconds; None if no script was run, or the run was interrupted: it has no checksum."""
        return self.duration_ms if self.action in ("apply", "rollback") and self.checksum else None


class Total(NamedTuple):
    """The totals of the entries of one kind. `buckets` counts the entries up to each of `BOUNDS`, and all entries."""

    action: str
    version: str
    outcome: str
    entries: int
    duration_ms: float
    last_at: datetime
    last_duration_ms: int
    buckets: list[int]


class Reading(NamedTuple):
    """The state of a database from which its metrics are made."""

    lock_held: bool
    rows: list[Applied]
    totals: list[Total]


class Pruned(NamedTuple):
    """The numbers of rows that `cleanup` deletes from the log table and the table of runs."""

    entries: int
    runs: int


def by_migration(connection: Connection, history: History, identity: str = "") -> dict[str, list[LogEntry]]:
    """Returns the log entries of one migration, or of each, oldest first."""
    entries: dict[str, list[LogEntry]] = defaultdict(list)
    if history.format:
        for row in connection.rows(history.tables.fill(_LOG_OF), {"version": identity}):
            entries[row[2]].append(LogEntry(*row))
    return entries


def entries(
    connection: Connection,
    history: History,
    lock_key: int,
    version: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[LogEntry]:
    """Returns the last `limit` entries, oldest first, including runs that were interrupted but not logged yet."""
    if not history.format:
        return []
    conditions = [] if version is None else [f"version = {connection.literal(version)}"]
    conditions += [] if since is None else [f"logged_at >= {connection.literal(since.isoformat())}"]
    query = _ENTRIES.format(
        logged=_logged(connection, history),
        condition=" and ".join(conditions) or "true",
        limit="" if limit is None else f"limit {limit}",
    )
    rows = connection.answers(f"{_LOCK_HOLDER.format(same=is_lock(lock_key))}{query}commit;")[-2]
    return [LogEntry(*row) for row in reversed(rows)]


def reading(connection: Connection, history: History, lock_key: int) -> Reading:
    """Reads everything that the metrics need, in one round trip; in two if the history's format is not known yet.

    It does not wait for the migration lock. A locked table is an error after one second.
    """
    known_format = history.format
    totals = _totals(connection, history) if known_format else ""
    text = f"{_LOCK_HOLDER.format(same=is_lock(lock_key))}{history.query};{totals}commit;"
    answers = connection.answers(text)
    lock_held = answers[3][0][0]
    rows = history.rows_in(answers[4:])
    if history.format != known_format:
        return reading(connection, history, lock_key)
    return Reading(lock_held, rows, [Total(*row) for row in (answers[6] if known_format else [])])


def _totals(connection: Connection, history: History) -> str:
    summed = _SUMMED.format(logged=_logged(connection, history))
    pruned = history.tables.fill(_PRUNED_TOO) if history.format > 1 else ""
    return _TOTALS.format(summed=summed + pruned)


def _logged(connection: Connection, history: History) -> str:
    text = _LOGGED_AND_INTERRUPTED if history.format > 1 else _LOGGED
    return history.tables.fill(text, interrupted=connection.literal(INTERRUPTED))


def prunable(connection: Connection, history: History, keep_days: int) -> Pruned:
    """Returns what `prune` would delete now."""
    if not history.format:
        return Pruned(0, 0)
    old, runs_count = (_OLD, "0") if history.format == 1 else (_OLD_AND_CLOSED, f"({_COUNT_RUNS})")
    text = _COUNT_OLD.replace("{old}", old).replace("{runs_count}", runs_count)
    return Pruned(*connection.rows(history.tables.fill(text, days=keep_days))[0])


def prune(connection: Connection, history: History, keep_days: int) -> Pruned:
    """Deletes old log entries and runs and adds them to the totals, in one transaction; the caller holds the lock."""
    if not history.format:
        return Pruned(0, 0)
    history.create()
    logged = history.records.log_entry("cleanup", message=f"entries older than {keep_days} days")
    answers = connection.answers(history.tables.fill(_PRUNE, days=keep_days, logged=logged))
    return Pruned(answers[1][0][0], answers[2][0][0])
