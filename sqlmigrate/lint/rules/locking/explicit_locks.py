"""Rules about lock_timeout, LOCK TABLE and advisory locks."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from sqlmigrate.config.duration import milliseconds
from sqlmigrate.errors import ConfigurationError
from sqlmigrate.lint.facts.holding import ALTERING, exclusively_locked, in_use
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.locks import Mode
from sqlmigrate.sql.tree import bodies, qualified, relation, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Name

_LONGEST_WAIT = 30_000  # milliseconds


def _check_lock_timeout(case: Case) -> Iterator[Hit]:
    value = case.state.setting("lock_timeout")
    timeout = _milliseconds(value) if value is not None else None
    if timeout is None or 0 < timeout <= _LONGEST_WAIT:
        return
    names = _waited_for(case)
    if names:
        limit = "without a timeout" if timeout == 0 else f"for up to {timeout / 1000:g} s"
        yield Hit(
            f"the statement waits {limit} for the lock on {names[0][1]}, and new queries on the table wait behind it",
            "do not set lock_timeout: sqlmigrate sets it to 5s and retries",
        )


def _waited_for(case: Case) -> list[Name]:
    """Returns the existing tables on which a statement waits for a lock that blocks writes."""
    names = exclusively_locked(case.statement, case.catalog, case.state) if case.kind in ALTERING else []
    if names:
        return names
    blocks_writes = case.kind in ("CreateTrigStmt", "IndexStmt") and not case.node.get("concurrent")
    if case.kind == "DropStmt" and case.node["removeType"] == "OBJECT_TABLE":
        names = dropped_names(case.node)
    elif blocks_writes or any(body.get("contype") == "CONSTR_FOREIGN" for _, body in walk(case.node.get("cmds", ()))):
        names = [relation(case.node["relation"])]
    return [name for name in map(case.catalog.resolve, names) if in_use(case.catalog, name, case.state)]


@lru_cache
def _milliseconds(value: str) -> int | None:
    try:
        return int(value) if value.strip().lstrip("-").isdecimal() else milliseconds(value)
    except ConfigurationError:
        return None


LOCK_TIMEOUT = Rule(
    name="lock-timeout-off",
    level=Level.WARNING,
    on=(*ALTERING, "CreateTrigStmt", "IndexStmt"),
    stake="While a statement waits for a strong lock, new queries on the table wait behind it. "
    "lock_timeout limits the wait.",
    safe="set local lock_timeout = '2s';\nalter table t add column a int;",
    check=_check_lock_timeout,
    examples=(
        bad("set lock_timeout = 0; alter table t add column a int;"),
        bad("set local lock_timeout = '0'; alter table t add column a int;"),
        bad("set lock_timeout to '10min'; alter table t add column a int;"),
        bad("select set_config('lock_timeout', '0', false); alter table t drop constraint c;"),
        bad("set lock_timeout = 120000; create trigger x after insert on t execute function f();"),
        bad("set lock_timeout = 0; alter table t add foreign key (a) references u not valid;"),
        bad("set lock_timeout = 0; drop table t;", "create table t (a int);"),
        bad("begin; set lock_timeout = 0; commit; alter table t add column a int;"),
        good("alter table t add column a int;"),
        good("set lock_timeout = '2s'; alter table t add column a int;"),
        good("set lock_timeout = 3000; alter table t add column a int;"),
        good("set lock_timeout = 0; create table t (a int); alter table t add column b int;"),
        good("set lock_timeout = 0; create index concurrently i on t (a);"),
        good("set lock_timeout = 0; alter table t validate constraint c;"),
        good("set lock_timeout = 0; reset lock_timeout; alter table t add column a int;"),
        good("begin; set local lock_timeout = 0; select 1; commit; alter table t add column a int;"),
    ),
)


def _check_lock_table(case: Case) -> Iterator[Hit]:
    mode = list(Mode)[case.node["mode"] - 1]
    names = map(relation, bodies(case.node, "relations"))
    used = [name for name in map(case.catalog.resolve, names) if in_use(case.catalog, name, case.state)]
    if mode.blocks_writes and used:
        lock = f"{'a' if mode.value.startswith('SHARE') else 'an'} {mode.value} lock on {used[0][1]}"
        blocked = "reads and writes" if mode.blocks_reads else "writes"
        yield Hit(
            f"LOCK TABLE takes {lock}, which blocks {blocked} until the transaction ends",
            "remove LOCK TABLE: each statement takes the lock that it requires; to keep out only writers, "
            "lock in SHARE ROW EXCLUSIVE mode",
        )


LOCK_TABLE = Rule(
    name="lock-table",
    level=Level.WARNING,
    on=("LockStmt",),
    stake="The transaction holds the lock until it ends, even if the following statements require only a weaker lock.",
    safe="alter table t add column a int; -- takes the lock that it requires",
    check=_check_lock_table,
    examples=(
        bad("lock table t;"),
        bad("lock t in share mode nowait;"),
        bad("lock table only s.t, u in share row exclusive mode;"),
        bad("lock table t in exclusive mode;", "create table t (a int);"),
        bad("begin; lock table t; alter table t add column a int; commit;"),
        good("lock table t in share update exclusive mode;"),
        good("create table t (a int); lock table t;"),
        good("create temp table t (a int); lock table t in exclusive mode;"),
        good("select * from t where id = 1 for update;"),
    ),
)


def _check_advisory(case: Case) -> Iterator[Hit]:
    text = case.statement.text
    if "pg_advisory_unlock" not in text.lower():
        return
    calls = {qualified(body["funcname"])[1] for kind, body in walk(case.node) if kind == "FuncCall"}
    in_block = case.kind == "DoStmt" and "pg_advisory_unlock_all" in text.lower()
    if in_block or "pg_advisory_unlock_all" in calls:
        yield Hit("pg_advisory_unlock_all() releases the migration lock, and sqlmigrate stops", "remove the call")
    elif "pg_advisory_unlock" in calls and not case.state.advisory:
        yield Hit(
            "pg_advisory_unlock() releases a lock that the file did not take, perhaps the migration lock",
            "use pg_advisory_xact_lock(), which releases the lock when the transaction ends",
        )


ADVISORY = Rule(
    name="advisory-unlock",
    level=Level.WARNING,
    on=("SelectStmt", "DoStmt"),
    stake="The migration lock is an advisory lock of the session. sqlmigrate stops if a script releases it.",
    safe="select pg_advisory_xact_lock(42); -- released when the transaction ends",
    check=_check_advisory,
    examples=(
        bad("select pg_advisory_unlock_all();"),
        bad("select pg_catalog.pg_advisory_unlock_all();"),
        bad("select pg_advisory_unlock(42);"),
        bad("do $$ begin perform pg_advisory_unlock_all(); end $$;"),
        bad("select pg_advisory_lock(42); select pg_advisory_unlock_all();"),
        good("select pg_advisory_lock(42); select pg_advisory_unlock(42);"),
        good("select 1; select pg_try_advisory_lock(42); select 2; select pg_advisory_unlock(42);"),
        good("select pg_advisory_xact_lock(42);"),
        good("select 'pg_advisory_unlock_all';"),
        good("create function f() returns void language sql as 'select pg_advisory_unlock_all()';"),
    ),
)

RULES = (LOCK_TIMEOUT, LOCK_TABLE, ADVISORY)
