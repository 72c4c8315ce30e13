"""Transactions and locks: what is done while a table in use is locked, and how many of them are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.duration import milliseconds
from sqlmigrate.errors import ConfigurationError
from sqlmigrate.lint.facts.holding import ALTERING, in_use, is_bounded, reads_in_use, shut_out, written
from sqlmigrate.lint.facts.questions import is_new
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.locks import Mode
from sqlmigrate.locks.alter import mode_of
from sqlmigrate.sql.tree import qualified, relation, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Name

_SHARE = 5  # LOCK TABLE's modes, numbered from 1; from here on they keep writers out
_LONG = 30_000  # milliseconds
_MODES = {5: "SHARE", 6: "SHARE ROW EXCLUSIVE", 7: "EXCLUSIVE", 8: "ACCESS EXCLUSIVE"}
_HEAD = "-- sqlmigrate: transaction=off\n\n"


def _held(case: Case) -> Name | None:
    """A table that the transaction has shut everybody out of before."""
    return next((name for name, by in case.state.held.items() if by is not case.statement), None)


def _work(case: Case) -> Iterator[Hit]:
    held = _held(case)
    within = case.kind == "AT_ValidateConstraint" and any(
        mode_of(command) is Mode.ACCESS_EXCLUSIVE for command in case.statement.commands
    )
    what = _long_work(case) if held is not None or within else ""
    if what and held is None:
        yield Hit(
            f"{what}, while another part of the statement keeps everybody out", "alter table … validate …;  -- alone"
        )
    elif held is not None and what:
        yield Hit(
            f"{what}, while {held[1]} is locked from line {case.state.held[held].line} on and nobody can read it",
            "put it into a file of its own, or before the statement that locks",
        )


def _long_work(case: Case) -> str:
    """What a statement does that takes as long as a table is large; empty for all else."""
    node, state = case.node, case.state
    match case.kind:
        case "AT_ValidateConstraint" if not is_new(case):
            known = case.table.constraint(node.get("name", "")) if case.table else None
            own = known is not None and (known.valid or known.born == state.born)
            return "" if own else "every row is looked at"
        case "IndexStmt" if not node.get("concurrent") and not is_new(case):
            return "" if _is_only(case) else "an index is built"
        case "RefreshMatViewStmt" if not node.get("skipData") and not is_new(case):
            return "a materialized view is filled"
        case "ReindexStmt" if "relation" in node and not is_new(case):
            return "an index is built"
        case "CopyStmt" if not node.get("is_from"):
            return "a table is copied"
        case "CreateTableAsStmt" if not node["into"].get("skipData"):
            query = node["query"].get("SelectStmt", {})
            return "a query is run" if _reads_much(case, query) else ""
        case "SelectStmt":
            return _long_select(case)
    return ""


def _is_only(case: Case) -> bool:
    """Whether CREATE INDEX makes one of a partitioned table alone, or leaves it at the one that is there."""
    stands = case.node.get("if_not_exists") and case.catalog.index((case.name[0], case.node.get("idxname", "")))
    partitioned = case.table is not None and case.table.kind == "partitioned"
    return bool(stands) or (partitioned and not case.node["relation"].get("inh"))


def _long_select(case: Case) -> str:
    calls = {qualified(body.get("funcname", ()))[1] for kind, body in walk(case.node) if kind == "FuncCall"}
    if "pg_sleep" in calls:
        return "the session sleeps"
    if calls & {"setval", "set_config"}:
        return ""
    return "a table is read" if _reads_much(case, case.node) else ""


def _reads_much(case: Case, query: dict[str, object]) -> bool:
    read = reads_in_use(query, case.catalog, case.state)
    return bool(read) and not is_bounded(query, case.catalog.tables.get(read[0]))


_ADD = "alter table t add column a int; "

WORK = Rule(
    name="work-under-lock",
    level=Level.WARNING,
    on=(
        "AT_ValidateConstraint",
        "IndexStmt",
        "RefreshMatViewStmt",
        "ReindexStmt",
        "CopyStmt",
        "CreateTableAsStmt",
        "SelectStmt",
    ),
    stake="A lock is held to the end of its transaction: nobody reads the table while something else takes its time.",
    safe="alter table t add column a int;\n-- in the next file:\nalter table u validate constraint c;",
    check=_work,
    examples=(
        bad(_ADD + "alter table u validate constraint c;"),
        bad(_ADD + "alter table t validate constraint c;", "create table t (b int);"),
        bad("alter table t add column a int, validate constraint c;"),
        bad(_ADD + "select count(*) from t;"),
        bad(_ADD + "create table copy as select * from u;"),
        bad(_ADD + "refresh materialized view m;"),
        bad(_ADD + "create index i on u (b);"),
        bad("begin; " + _ADD + "select count(*) from u where b > 0; commit;"),
        bad("alter table t rename to v; select count(*) from u;"),
        bad(_ADD + "select pg_sleep(10);"),
        good(_ADD + "alter table t add column b int;"),
        good(_ADD + "alter table t alter column a set default 1;"),
        good("alter table t validate constraint c, validate constraint d;"),
        good(_ADD + "select 1;"),
        good(_ADD + "select setval('s', (select max(id) from u));"),
        good(_ADD + "select * from u where id = 5;"),
        good(_ADD + "create index concurrently i on u (b);"),
        good("alter table u validate constraint c; alter table t add column a int;"),
        good("begin; " + _ADD + "commit; begin; alter table u validate constraint c; commit;"),
        good(_HEAD + _ADD + "select count(*) from u;"),
        good("create table t (b int); " + _ADD + "select count(*) from u;"),
        good("alter table t alter column b set statistics 500; select count(*) from t;"),
        good("alter table t add constraint f foreign key (b) references u not valid; select count(*) from v;"),
        good(_ADD + "create view w as select * from u;"),
        good(_ADD + "create table copy as select * from u with no data;"),
        good("create table n (a int); " + _ADD + "create index i on n (a);"),
    ),
)


def _backfill(case: Case) -> Iterator[Hit]:
    state, statement = case.state, case.statement
    if case.kind in ALTERING:
        for name in (one for one in shut_out(statement, case.catalog, state) if one in state.written):
            yield Hit(
                f"the rows of {name[1]} that line {state.written[name].line} wrote stay locked while this waits",
                "put the rows into a file of their own, before this one",
            )
        return
    held = _held(case)
    target = written(statement, case.catalog, state) if held is not None else None
    if held is not None and target is not None:
        yield Hit(
            f"rows are written, while {held[1]} is locked from line {state.held[held].line} on and nobody can read it",
            "put the rows into a file of their own, in batches",
        )


_FILL = "update t set a = 1 where a is null;"
_KEYED = "create table t (id int primary key, a int, code text unique, kind text); create table u (a int);"

BACKFILL = Rule(
    name="backfill-with-ddl",
    level=Level.WARNING,
    on=("UpdateStmt", "DeleteStmt", "InsertStmt", "MergeStmt", *ALTERING),
    stake="The lock that ALTER TABLE takes is held until all rows are written, and nobody reads the table meanwhile.",
    safe="alter table t add column a int;\n-- in the next file:\nupdate t set a = 1 where id between 1 and 10000;",
    check=_backfill,
    examples=(
        bad(_ADD + _FILL),
        bad(_ADD + _FILL, "create table t (b int);"),
        bad(_ADD + "update u set b = 1;"),
        bad(_ADD + "delete from u where b < 0;"),
        bad(_ADD + "insert into u select * from v;"),
        bad(_ADD + "insert into t (b) select b from u where b > 0;", _KEYED),
        bad(_ADD + "merge into t using u on t.id = u.id when matched then update set a = u.a;"),
        bad(_FILL + "alter table t alter column a set not null;"),
        bad("delete from t where b is null; alter table t add check (b > 0) not valid;"),
        bad("begin; " + _ADD + _FILL + " commit;"),
        bad(_ADD + "do $$ begin update t set a = 1; end $$;"),
        bad("alter table t drop constraint c; update t set kind = 'b' where kind = 'a';", _KEYED),
        bad("alter table t add column a int; update t set a = 1 where kind = 'b';"),
        bad("create function f() returns void language sql as 'update t set a = 1'; " + _ADD + "select f();"),
        good(_ADD + "update version set number = 'b' where number = 'a';"),
        good(_ADD + "do $$ declare k int := 5; begin update u set b = 1 where id = k; end $$;"),
        good("begin; " + _ADD + "commit; " + _FILL),
        good(_HEAD + _ADD + _FILL),
        good(_ADD + "insert into t (a) values (1), (2);"),
        good(_ADD + "insert into t (a) select 1 where not exists (select 1 from pg_class);"),
        good(_ADD + "update t set a = 1 where id = 5;"),
        good(_ADD + "update t set a = 1 where code = 'x' and kind = 'y';", _KEYED),
        good(_ADD + "delete from t where id in (1, 2);"),
        good(_ADD + "update t set a = 1 where id in (select id from t where a is null limit 1000);"),
        good("create table t (b int); " + _ADD + _FILL),
        good("create table n (a int); insert into n select a from u; alter table n add primary key (a);"),
        good("update u set b = 1 where b is null; alter table t add column a int;"),
        good("create table n (a int); update u set b = 1 where b is null;"),
        good(_FILL),
    ),
)


def _several(case: Case) -> Iterator[Hit]:
    """A down file takes back what several up files did one by one."""
    held = case.state.held
    if not held or case.state.down:
        return
    more = [name for name in shut_out(case.statement, case.catalog, case.state) if name not in held]
    apart = [name for name in more if not any(_are_kin(case, name, one) for one in held)]
    if apart:
        first = next(iter(held))
        yield Hit(
            f"nobody can read {first[1]}, locked at line {held[first].line}, while this waits for {apart[0][1]}",
            "give each table a file of its own",
        )


def _are_kin(case: Case, one: Name, other: Name) -> bool:
    """Whether one is a partition or child of the other, so that the lock is on both anyway."""
    tables = (case.catalog.tables.get(one), case.catalog.tables.get(other))
    parents = [table.parents if table else () for table in tables]
    return other in parents[0] or one in parents[1] or bool({*parents[0]} & {*parents[1]})


_REFERS = "create table r (id int primary key); create table t (a int references r); create table u (a int); "

SEVERAL = Rule(
    name="several-tables-locked",
    level=Level.WARNING,
    on=ALTERING,
    stake="While the transaction waits for the second table nobody reads the first, and two in another order deadlock.",
    safe="alter table t add column a int;\n-- in the next file:\nalter table u add column a int;",
    check=_several,
    examples=(
        bad(_ADD + "alter table u add column a int;"),
        bad(_ADD + "alter table u add column a int;", "create table t (b int); create table u (b int);"),
        bad("begin; " + _ADD + "alter table u drop column b; commit;"),
        bad("alter table t rename to v; alter table u rename to t;"),
        bad("alter table t enable row level security; create policy p on u using (true);"),
        bad(_ADD + "drop trigger x on u;"),
        bad("create table p1 partition of p for values from (0) to (9); alter table u add column a int;"),
        bad("alter table u add c int; alter table t drop constraint t_a_fkey;", _REFERS + "alter table t add d int;"),
        bad(_ADD + "cluster u using i;"),
        good("alter table t drop constraint t_a_fkey; alter table r add c int;", _REFERS),
        good(_ADD + "alter table t add column b int;"),
        good(_ADD + "alter table public.t add column b int;", "create table t (b int);"),
        good("alter table t rename to u; alter table u add column a int;"),
        good(_ADD + "create table u (a int); alter table u add column b int;"),
        good("begin; " + _ADD + "commit; begin; alter table u add column a int; commit;"),
        good(_HEAD + _ADD + "alter table u add column a int;"),
        good("create table u (a int references t, b int references v);"),
        good(_ADD + "alter table u add constraint f foreign key (a) references t not valid;"),
        good(_ADD + "alter table u validate constraint c;"),
        good(_ADD + "comment on column u.b is 'x'; create index concurrently i on u (b);"),
        good(_ADD + "alter view v rename to w;"),
        good("drop table t; drop table u;"),
        good(_ADD + "alter table q add column b int;", "create table t (b int); create table q () inherits (t);"),
    ),
)


def _lock_timeout(case: Case) -> Iterator[Hit]:
    said = case.state.setting("lock_timeout")
    waits = _milliseconds(said) if said is not None else None
    if waits is None or 0 < waits <= _LONG:
        return
    names = _waited_for(case)
    if names:
        limit = "has no limit" if waits == 0 else f"lasts up to {said}"
        yield Hit(
            f"the wait for {names[0][1]} {limit}, and all who come after wait behind it",
            "leave lock_timeout as it is: sqlmigrate sets it to 5s and tries again",
        )


def _waited_for(case: Case) -> list[Name]:
    """The tables in use that a statement waits for, so that those who want to write queue behind it."""
    if case.kind in ALTERING and (names := shut_out(case.statement, case.catalog, case.state)):
        return names
    weaker = case.kind in ("CreateTrigStmt", "IndexStmt") and not case.node.get("concurrent")
    dropped = case.kind == "DropStmt" and case.node["removeType"] == "OBJECT_TABLE"
    if dropped:
        lists = (item["List"]["items"] for item in case.node.get("objects", ()))
        names = [case.catalog.resolve(qualified(one)) for one in lists]
    elif weaker or any(_adds_foreign_key(command) for command in case.statement.commands):
        names = [case.catalog.resolve(relation(case.node["relation"]))]
    else:
        names = []
    return [name for name in names if in_use(case.catalog, name, case.state)]


def _adds_foreign_key(command: dict[str, object]) -> bool:
    return any(body.get("contype") == "CONSTR_FOREIGN" for kind, body in walk(command) if kind == "Constraint")


def _milliseconds(said: str) -> int | None:
    try:
        return int(said) if said.strip().lstrip("-").isdecimal() else milliseconds(said)
    except ConfigurationError:
        return None


LOCK_TIMEOUT = Rule(
    name="lock-timeout-off",
    level=Level.WARNING,
    on=(*ALTERING, "CreateTrigStmt", "IndexStmt"),
    stake="A statement that waits for a strong lock makes every query behind it wait, for as long as it is let.",
    safe="set local lock_timeout = '2s';\nalter table t add column a int;",
    check=_lock_timeout,
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
        good("set statement_timeout = 0; alter table t add column a int;"),
    ),
)


def _lock_table(case: Case) -> Iterator[Hit]:
    mode = case.node.get("mode", 0)
    names = (relation(item["RangeVar"]) for item in case.node.get("relations", ()))
    used = [name for name in map(case.catalog.resolve, names) if in_use(case.catalog, name, case.state)]
    if mode >= _SHARE and used:
        what = "read or write" if mode == max(_MODES) else "write to"
        yield Hit(f"nobody can {what} {used[0][1]} until the transaction ends ({_MODES[mode]})", "leave it out")


LOCK_TABLE = Rule(
    name="lock-table",
    level=Level.WARNING,
    on=("LockStmt",),
    stake="The lock is held to the end of the transaction, whatever the statements behind it would need.",
    safe="alter table t add column a int; -- takes the lock that it needs",
    check=_lock_table,
    examples=(
        bad("lock table t;"),
        bad("lock table t in access exclusive mode;"),
        bad("lock t in share mode nowait;"),
        bad("lock table only s.t, u in share row exclusive mode;"),
        bad("lock table t in exclusive mode;", "create table t (a int);"),
        bad("begin; lock table t; alter table t add column a int; commit;"),
        good("lock table t in access share mode;"),
        good("lock table t in row exclusive mode;"),
        good("lock table t in share update exclusive mode;"),
        good("create table t (a int); lock table t;"),
        good("create temp table t (a int); lock table t in exclusive mode;"),
        good("select * from t where id = 1 for update;"),
    ),
)


def _advisory(case: Case) -> Iterator[Hit]:
    text = case.statement.text
    if "pg_advisory_unlock" not in text.lower():
        return
    calls = [(qualified(body.get("funcname", ()))[1], body) for kind, body in walk(case.node) if kind == "FuncCall"]
    in_block = case.kind == "DoStmt" and "pg_advisory_unlock_all" in text.lower()
    if in_block or any(name == "pg_advisory_unlock_all" for name, _ in calls):
        yield Hit("pg_advisory_unlock_all() gives up sqlmigrate's own lock, and the migration stops", "leave it out")
    elif any(name == "pg_advisory_unlock" and not case.state.advisory for name, body in calls):
        yield Hit(
            "this lock was not taken here: it is sqlmigrate's own, or nobody's", "select pg_advisory_xact_lock(…);"
        )


ADVISORY = Rule(
    name="advisory-unlock",
    level=Level.WARNING,
    on=("SelectStmt", "DoStmt"),
    stake="sqlmigrate keeps others from migrating by an advisory lock of the session, and stops when it is gone.",
    safe="select pg_advisory_xact_lock(42); -- goes with the transaction",
    check=_advisory,
    examples=(
        bad("select pg_advisory_unlock_all();"),
        bad("select pg_catalog.pg_advisory_unlock_all();"),
        bad("select pg_advisory_unlock(42);"),
        bad("select pg_advisory_unlock(1, 2);"),
        bad("do $$ begin perform pg_advisory_unlock_all(); end $$;"),
        bad("select pg_advisory_lock(42); select pg_advisory_unlock_all();"),
        good("select pg_advisory_lock(42); select pg_advisory_unlock(42);"),
        good("select 1; select pg_try_advisory_lock(42); select 2; select pg_advisory_unlock(42);"),
        good("select pg_advisory_xact_lock(42);"),
        good("select 'pg_advisory_unlock_all';"),
        good("create function f() returns void language sql as 'select pg_advisory_unlock_all()';"),
    ),
)

RULES = (WORK, BACKFILL, SEVERAL, LOCK_TIMEOUT, LOCK_TABLE, ADVISORY)
