"""Rules about slow statements and further locks while a transaction holds an ACCESS EXCLUSIVE lock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.holding import ALTERING, WRITING, exclusively_locked, is_bounded, reads_in_use, written
from sqlmigrate.lint.facts.questions import is_new
from sqlmigrate.lint.facts.quick import is_quick
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.safer import constraints
from sqlmigrate.lint.safer.statements import moved
from sqlmigrate.locks import Mode
from sqlmigrate.locks.alter import mode_of
from sqlmigrate.sql.tree import by_identity, qualified, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.schema.catalog import Name
    from sqlmigrate.sql.parser import Node

_HEAD = "-- sqlmigrate: transaction=off\n\n"
# No later statement of the file needs their result.
_MAY_MOVE = ("AT_ValidateConstraint", "RefreshMatViewStmt", "ReindexStmt")
_ELSEWHERE = "put the statement into a separate file, or before the statement that takes the lock"


def _locked_table(case: Case) -> Name | None:
    """Returns a table that an earlier statement of the transaction has locked in ACCESS EXCLUSIVE mode."""
    return next((name for name, statement in case.state.locked.items() if statement is not case.statement), None)


@by_identity
def _is_exclusive(body: Node) -> bool:
    """Returns whether a subcommand of an ALTER TABLE takes an ACCESS EXCLUSIVE lock."""
    return any(mode_of(item["AlterTableCmd"]) is Mode.ACCESS_EXCLUSIVE for item in body["cmds"])


def _check_slow(case: Case) -> Iterator[Hit]:
    held = _locked_table(case)
    beside_alter = case.kind == "AT_ValidateConstraint" and _is_exclusive(case.statement.body)
    if not (held or beside_alter) or not (action := _slow_action(case)):
        return
    lock = "the same ALTER TABLE holds an ACCESS EXCLUSIVE lock, which blocks reads and writes"
    safer: str | Callable[[], Safer] = partial(constraints.validated_later, case)
    if held:
        lock = _lock_on(case, held)
        safer = partial(moved, case) if case.kind in _MAY_MOVE else _ELSEWHERE
    yield Hit(f"{action} while {lock}", safer)


def _slow_action(case: Case) -> str:
    """Describes an action whose duration grows with the size of a table; empty for other statements."""
    node, state = case.node, case.state
    match case.kind:
        case "AT_ValidateConstraint" if not is_new(case):
            constraint = case.table.constraint(node.get("name", "")) if case.table else None
            no_scan = constraint is not None and (constraint.valid or constraint.created == state.created)
            return "" if no_scan else f"VALIDATE CONSTRAINT scans {case.name[1]}"
        case "IndexStmt" if not node.get("concurrent") and not is_new(case):
            return "" if _builds_nothing(case) else f"CREATE INDEX builds an index on {case.name[1]}"
        case "RefreshMatViewStmt" if not node.get("skipData") and not is_new(case):
            return f"REFRESH MATERIALIZED VIEW runs the query of {case.name[1]}"
        case "ReindexStmt" if "relation" in node and not is_new(case):
            return "REINDEX rebuilds indexes"
        case "CopyStmt" if not node.get("is_from"):
            return "COPY reads a table or query result"
        case "CreateTableAsStmt" if not node["into"].get("skipData"):
            return _scan("CREATE TABLE AS", case, node["query"].get("SelectStmt", {}))
        case "SelectStmt":
            return _slow_select(case)
    return ""


def _builds_nothing(case: Case) -> bool:
    """Whether CREATE INDEX … ON ONLY leaves out the partitions, or IF NOT EXISTS skips the statement."""
    exists = case.node.get("if_not_exists") and case.catalog.index((case.name[0], case.node.get("idxname", "")))
    partitioned = case.table is not None and case.table.kind == "partitioned"
    return bool(exists) or (partitioned and not case.node["relation"].get("inh"))


def _slow_select(case: Case) -> str:
    calls = {qualified(body["funcname"])[1] for kind, body in walk(case.node) if kind == "FuncCall"}
    if "pg_sleep" in calls:
        return "pg_sleep() waits"
    return "" if calls & {"setval", "set_config"} else _scan("SELECT", case, case.node)


def _scan(command: str, case: Case, query: dict[str, object]) -> str:
    tables = reads_in_use(query, case.catalog, case.state)
    is_slow = tables and not is_bounded(query, case.catalog.tables.get(tables[0]))
    return f"{command} scans {tables[0][1]}" if is_slow else ""


def _lock_on(case: Case, held: Name) -> str:
    line = case.state.locked[held].line
    return f"the ACCESS EXCLUSIVE lock on {held[1]} from line {line} blocks reads and writes"


_ADD = "alter table t add column a int; "
_UNCHECKED = "alter table t add constraint c check (b > 0) not valid;"
_VIEW = "create table t (b int); create materialized view m as select 1 as a; create unique index on m (a);"

SLOW = Rule(
    name="work-under-lock",
    level=Level.WARNING,
    on=(
        *("AT_ValidateConstraint", "IndexStmt", "RefreshMatViewStmt", "ReindexStmt"),
        *("CopyStmt", "CreateTableAsStmt", "SelectStmt"),
    ),
    stake="A transaction holds its locks until it ends. "
    "Reads and writes of the locked table wait until the slow statement is done.",
    safe="alter table t add column a int;\n-- in the next file:\nalter table u validate constraint c;",
    check=_check_slow,
    examples=(
        bad(_ADD + "alter table u validate constraint c;"),
        bad(_ADD + "alter table t validate constraint c;", "create table t (b int); " + _UNCHECKED),
        bad("alter table t add column a int, validate constraint c;"),
        bad(_ADD + "select count(*) from t;"),
        bad(_ADD + "create table copy as select * from u;"),
        bad(_ADD + "refresh materialized view concurrently m;", _VIEW),
        bad("begin; " + _ADD + "select count(*) from u where b > 0; commit;"),
        bad("alter table t rename to v; select count(*) from u;"),
        bad(_ADD + "select pg_sleep(10);"),
        good(_ADD + "alter table t add column b int;"),
        good("alter table t validate constraint c, validate constraint d;"),
        good(_ADD + "select 1;"),
        good(_ADD + "select setval('s', (select max(id) from u));"),
        good(_ADD + "select * from u where id = 5;"),
        good(_ADD + "create index concurrently i on u (b);"),
        good(_ADD + "create index i on u (b);"),  # index-not-concurrent reports it
        good("alter table u validate constraint c; alter table t add column a int;"),
        good("begin; " + _ADD + "commit; begin; alter table u validate constraint c; commit;"),
        good(_HEAD + _ADD + "select count(*) from u;"),
        good("create table t (b int); " + _ADD + "select count(*) from u;"),
        good("alter table t add constraint f foreign key (b) references u not valid; select count(*) from v;"),
        good(_ADD + "create view w as select * from u;"),
        good(_ADD + "create table copy as select * from u with no data;"),
        good("create table n (a int); " + _ADD + "create index i on n (a);"),
    ),
)


def _check_backfill(case: Case) -> Iterator[Hit]:
    state, statement = case.state, case.statement
    locked = exclusively_locked(statement, case.catalog, state) if case.kind in ALTERING else []
    for name in (name for name in locked if name in state.written and name not in state.locked):
        yield Hit(
            f"the rows of {name[1]} written at line {state.written[name].line} stay locked "
            f"while the statement waits for an ACCESS EXCLUSIVE lock on {name[1]}",
            "move the data change into a separate file before this file",
        )
    held = _locked_table(case) if case.kind in WRITING else None
    if held and (target := written(statement, case.catalog, state)):
        yield Hit(
            f"the statement writes many rows of {target[1]} while {_lock_on(case, held)}",
            "move the data change into a separate file, and run it in batches",
        )


_FILL = "update t set a = 1 where a is null;"
_KEYED = "create table t (id int primary key, a int, code text unique, kind text); create table u (a int);"

BACKFILL = Rule(
    name="backfill-with-ddl",
    level=Level.WARNING,
    on=("UpdateStmt", "DeleteStmt", "InsertStmt", "MergeStmt", *ALTERING),
    stake="The transaction holds the ACCESS EXCLUSIVE lock of ALTER TABLE, which blocks reads and writes, "
    "until all rows are written.",
    safe="alter table t add column a int;\n-- in the next file:\nupdate t set a = 1 where id between 1 and 10000;",
    check=_check_backfill,
    examples=(
        bad(_ADD + _FILL),
        bad(_ADD + _FILL, "create table t (b int);"),
        bad(_ADD + "update u set b = 1;"),
        bad(_ADD + "delete from u where b < 0;"),
        bad(_ADD + "insert into u select * from v;"),
        bad(_ADD + "insert into t (a) select a from u where a > 0;", _KEYED),
        bad(_ADD + "merge into t using u on t.id = u.id when matched then update set a = u.a;"),
        bad(_FILL + "alter table t alter column a set not null;"),
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


def _check_several(case: Case) -> Iterator[Hit]:
    held = case.state.locked
    if not held or case.state.down:  # a down file may revert several up files in one transaction
        return
    names = exclusively_locked(case.statement, case.catalog, case.state)
    unrelated = [name for name in names if not _is_related(case, name)]
    # Like a single ALTER TABLE, two quick ones block a table no longer than lock_timeout while they wait.
    is_brief = not case.state.written and is_quick(case.statement) and is_quick(next(iter(held.values())))
    if unrelated and not is_brief:
        lock = _lock_on(case, next(iter(held)))
        message = f"the statement waits for an ACCESS EXCLUSIVE lock on {unrelated[0][1]} while {lock}"
        yield Hit(message, "change each table in a separate file")


def _is_related(case: Case, name: Name) -> bool:
    """Whether a locked table is the table itself, its parent or its child, or has the same parent."""
    held, table = case.state.locked, case.catalog.tables.get(name)
    family = (name, *(table.parents if table else ()))
    return any(
        relative in held or any(child.name in held for child in case.catalog.children(relative)) for relative in family
    )


_TYPE = "alter table t alter column a type bigint; "
_REFERS = "create table r (id int primary key); create table t (a int references r); create table u (a int); "

SEVERAL = Rule(
    name="several-tables-locked",
    level=Level.WARNING,
    on=ALTERING,
    stake="Reads and writes of the first table are blocked while the transaction waits for the second, "
    "and one of the statements takes long. "
    "Transactions that lock the tables in a different order can deadlock.",
    safe="alter table t alter column a type bigint;\n-- in the next file:\nalter table u add column a int;",
    check=_check_several,
    examples=(
        bad(_TYPE + "alter table u add column a int;"),
        bad(_ADD + "alter table u alter column a type bigint;", "create table t (b int); create table u (a int);"),
        bad("begin; " + _TYPE + "alter table u drop column b; commit;"),
        bad("alter table t alter column a set not null; alter table u rename to v;"),
        bad(_TYPE + "create policy p on u using (true);"),
        bad(_TYPE + "drop trigger x on u;"),
        bad("create table p1 partition of p for values from (0) to (9); alter table u add column a int;"),
        bad("alter table u add c int default random(); alter table t drop constraint t_a_fkey;", _REFERS),
        bad("alter table t add c int unique; alter table u add c int;"),
        bad("alter table t add constraint c check (a > 0); alter table u add c int;"),
        good(_ADD + "alter table u add column a int;"),
        good("alter table t add a timestamptz not null default now(); alter table u drop column b;"),
        good("alter table t rename to v; alter table u rename to t;"),
        good(_ADD + "drop trigger x on u;"),
        good("alter table t add constraint c check (a > 0) not valid; alter table u add c text[] default '{}';"),
        good("alter table t alter a type bigint; alter table r alter id type bigint;", _REFERS),
        good(_TYPE + "alter table t add column b int;"),
        good(_TYPE + "alter table public.t add column b int;", "create table t (a int);"),
        good("alter table t rename to u; alter table u alter column a type bigint;"),
        good(_TYPE + "create table u (a int); alter table u alter column a type bigint;"),
        good("begin; " + _TYPE + "commit; begin; alter table u add column a int; commit;"),
        good("create table u (a int references t, b int references v);"),
        good(_TYPE + "alter table u add constraint f foreign key (a) references t not valid;"),
        good(_TYPE + "comment on column u.b is 'x'; create index concurrently i on u (b);"),
        good(_TYPE + "alter view v rename to w;"),
        good("drop table t; drop table u;"),
        good(_TYPE + "alter table q add column b int;", "create table t (a int); create table q () inherits (t);"),
    ),
)

RULES = (SLOW, BACKFILL, SEVERAL)
