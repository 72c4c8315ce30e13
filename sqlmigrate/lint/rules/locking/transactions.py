"""Rules about transaction control, statements that cannot run in a transaction block, and SET LOCAL."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import END, Case, Hit, Rule, bad, good
from sqlmigrate.lint.safer import objects
from sqlmigrate.lint.safer.statements import moved, whole
from sqlmigrate.lint.schema.interpret.changes import is_named
from sqlmigrate.sql.classify import REFUSED, Sort, sort_of
from sqlmigrate.sql.tree import constant, is_on, options, qualified, relations_in, strings, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import UserType
    from sqlmigrate.sql.parser import Node

_REFUSED_IN_BLOCK = {
    "VacuumStmt": "VACUUM",
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "DropTableSpaceStmt": "DROP TABLESPACE",
    "AlterSystemStmt": "ALTER SYSTEM",
    "CreateSubscriptionStmt": "CREATE SUBSCRIPTION",
}
_MANY = ("REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_DATABASE")
_ENDS = re.compile(r"\b(?:commit|rollback)\s*(?:and\s+(?:no\s+)?chain\s*)?;", re.IGNORECASE)
_BEGIN = "sqlmigrate runs the file in a transaction without BEGIN"
_BEGIN_AGAIN = "BEGIN has no effect inside a transaction block"
_HEAD = "-- sqlmigrate: transaction=off\n\n"


def _refused_in_block(kind: str, node: Node) -> str:
    """Names a statement that cannot run inside a transaction block; empty for other statements."""
    match kind:
        case "IndexStmt" if node.get("concurrent"):
            return "CREATE INDEX CONCURRENTLY"
        case "DropStmt" if node.get("concurrent"):
            return "DROP INDEX CONCURRENTLY"
        case "AT_DetachPartition" if node["def"]["PartitionCmd"].get("concurrent"):
            return "DETACH PARTITION CONCURRENTLY"
        case "ReindexStmt" if is_on(options(node.get("params", ())).get("concurrently", False)):
            return "REINDEX CONCURRENTLY"
        case "ReindexStmt" if node["kind"] in _MANY:
            return "REINDEX of more than one table"
        case "ClusterStmt" if "relation" not in node:
            return "CLUSTER of more than one table"
        case "AlterDatabaseStmt" if "tablespace" in options(node.get("options", ())):
            return "ALTER DATABASE … SET TABLESPACE"
        case "VacuumStmt" if not node.get("is_vacuumcmd"):
            return ""
        case "CreateSubscriptionStmt" if not _creates_slot(node):
            return ""
    return _REFUSED_IN_BLOCK.get(kind, "")


def _creates_slot(node: Node) -> bool:
    settings = options(node.get("options", ()))
    return is_on(settings.get("connect", True)) and is_on(settings.get("create_slot", True))


def _check_refused_in_block(case: Case) -> Iterator[Hit]:
    is_do = case.kind == "DoStmt"
    if not case.state.own_block and not (case.statement.inner and not is_do):
        return
    name = _refused_in_block(case.kind, case.node)
    if is_do and _ENDS.search(str(options(case.node.get("args", ())).get("as", ""))):
        name = "a DO block that commits"
    if name:
        block = "a DO block" if case.statement.inner else "a transaction block"
        yield Hit(
            f"{name} cannot run inside {block}",
            partial(moved, case),
        )


NOT_IN_TRANSACTION = Rule(
    name="not-in-transaction",
    level=Level.ERROR,
    on=(
        *("IndexStmt", "DropStmt", "ReindexStmt", "AT_DetachPartition", "ClusterStmt", "AlterDatabaseStmt", "DoStmt"),
        *_REFUSED_IN_BLOCK,
    ),
    stake="PostgreSQL does not run the statement inside a transaction block. Without BEGIN and COMMIT around it, "
    "sqlmigrate runs it outside a transaction.",
    safe="begin;\nalter table t add a int;\ncommit;\ncreate index concurrently t_a_idx on t (a);",
    check=_check_refused_in_block,
    examples=(
        bad("begin; create index concurrently i on t (a); commit;"),
        bad("begin; drop index concurrently i; commit;"),
        bad("begin; reindex table concurrently t; commit;"),
        bad("start transaction; alter table p detach partition q concurrently; commit;"),
        bad("begin; vacuum t; commit;"),
        bad("do $$ begin create index concurrently i on t (a); end $$;"),
        bad("begin; do $$ begin update t set a = 1 where id = 1; commit; end $$; commit;"),
        good("create index concurrently i on t (a);"),
        good("alter table t add b int; create index concurrently i on t (b);"),
        good("begin; alter table t add b int; commit; create index concurrently i on t (b);"),
        good("begin; analyze t; commit;"),
        good("-- sqlmigrate: transaction=on\n\ncreate index concurrently i on t (a);"),
        good("begin; create table t (a int); create index i on t (a); commit;"),
        good("do $$ begin update t set a = 1 where id = 1; commit; end $$;"),
        good("begin; create subscription s connection 'c' publication p with (connect = false); commit;"),
    ),
)


def _check_control(case: Case) -> Iterator[Hit]:
    if case.kind == END:
        if case.state.own_block:
            yield Hit("unterminated transaction block", "end the block with COMMIT")
        return
    sort, reason = sort_of(case.statement.text)
    if sort is Sort.REFUSED:
        yield Hit(*REFUSED[reason])


REFUSED_CONTROL = Rule(
    name="transaction-refused",
    level=Level.ERROR,
    on=("TransactionStmt", "DiscardStmt", END),
    stake="sqlmigrate does not run the file, because it cannot record the migration in the same transaction.",
    safe="begin;\nalter table t add a int;\ncommit;",
    check=_check_control,
    examples=(
        bad("alter table t add a int; rollback;"),
        bad("begin; alter table t add a int; rollback;"),
        bad("begin; alter table t add a int;"),
        bad("begin; alter table t add a int; prepare transaction 'x';"),
        bad("begin; alter table t add a int; commit and chain;"),
        bad("begin read only; select 1; commit;"),
        bad("discard all;"),
        good("begin; alter table t add a int; commit;"),
        good("alter table t add a int; commit;"),
        good("begin; alter table t add a int; commit; begin; alter table t add b int; commit;"),
        good("savepoint s; alter table t add a int; rollback to savepoint s; release savepoint s;"),
        good("begin isolation level serializable; select 1; commit;"),
        good("discard temp;"),
        good("do $$ begin perform 1; end $$;"),
    ),
)


def _check_commit(case: Case) -> Iterator[Hit]:
    if sort_of(case.statement.text)[0] is Sort.COMMIT and not case.state.own_block:
        yield Hit("COMMIT without BEGIN", "remove it, or add BEGIN before its statements")


COMMIT_WITHOUT_BEGIN = Rule(
    name="commit-without-begin",
    level=Level.WARNING,
    on=("TransactionStmt",),
    stake="The statements before it and those after it commit separately, so the file can stop half-way. In psql it "
    "has no effect: each statement outside a block commits on its own.",
    safe="begin;\nalter table t add a int;\ncommit;",
    check=_check_commit,
    examples=(
        bad("alter table t add a int; commit;"),
        bad("alter table t add a int; commit; alter table t add b int;"),
        bad("begin; alter table t add a int; commit; commit;"),
        good("begin; alter table t add a int; commit;"),
        good("alter table t add a int;"),
    ),
)


def _check_own_transaction(case: Case) -> Iterator[Hit]:
    is_again = case.state.ran("TransactionStmt")
    if sort_of(case.statement.text)[0] is Sort.BEGIN and (is_again or not case.state.each_alone):
        message = _BEGIN_AGAIN if is_again else _BEGIN
        yield Hit(message, "remove BEGIN and COMMIT, unless the file must commit in several parts")


OWN_TRANSACTION = Rule(
    name="own-transaction",
    level=Level.NOTICE,
    on=("TransactionStmt",),
    stake="sqlmigrate runs each file in one transaction. BEGIN and COMMIT are redundant around the whole file; "
    "several blocks commit separately, so the file can stop half-way.",
    safe="alter table t add a int;\nalter table t add b int;",
    check=_check_own_transaction,
    examples=(
        bad("begin; alter table t add a int; commit;"),
        bad("begin; alter table t add a int; commit; begin; alter table t add b int; commit;"),
        good("alter table t add a int;"),
        bad(f"{_HEAD}begin; begin; alter table t add a int; commit;"),
        good(f"{_HEAD}begin; alter table t add a int; commit; begin; alter table t add b int; commit;"),
        good("savepoint s; alter table t add a int; rollback to s;"),
        good("do $$ begin perform 1; end $$;"),
        good("create function f() returns int language sql begin atomic; select 1; end;"),
    ),
)


def _check_enum_value(case: Case) -> Iterator[Hit]:
    if not case.state.ran("AlterEnumStmt"):
        return
    constants = {constant({kind: body}) for kind, body in walk(case.node) if kind == "A_Const"}
    values = sorted(value for value in constants if isinstance(value, str))
    used = {type_.name: (type_, value) for value in values[::-1] for type_ in _added_to(case, value)}
    for type_, value in used.values():
        if _may_use_type(case, type_):
            yield Hit(
                f"unsafe use of new value '{value}' of enum type {type_.name[1]}: "
                "a new enum value must be committed before it can be used",
                partial(moved, case),
            )


def _added_to(case: Case, value: str) -> Iterator[UserType]:
    """Yields the enum types to which this transaction has added a value."""
    created, types = case.state.created, case.catalog.types
    for body in case.state.run_on("AlterEnumStmt", value):
        enum = types.get(case.catalog.resolve(qualified(body["typeName"]), types))
        if enum is not None and enum.created != created and enum.values.get(value) == created:
            yield enum


def _may_use_type(case: Case, enum: UserType) -> bool:
    """Whether a statement names the type, or reads a table that has or may have a column of the type."""
    type_nodes = (body for kind, body in walk(case.node) if kind in ("TypeName", "typeName"))
    type_names = (".".join(strings(body.get("names", ()))) for body in type_nodes)
    tables = [*map(case.catalog.table, relations_in({case.statement.kind: case.statement.body}))]
    types = [column.type for table in tables if table for column in table.columns.values()]
    return (
        any(is_named(case.catalog, type_name, enum.name) for type_name in type_names)
        or any(table is None or table.partial for table in tables)
        or any(type_ is None or is_named(case.catalog, type_.name, enum.name) for type_ in types)
    )


_MOOD = "create type mood as enum ('ok'); create table t (id int primary key, m mood); create table log (a text);"

ENUM_VALUE = Rule(
    name="enum-value-used-in-transaction",
    level=Level.WARNING,
    on=(
        *("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "SelectStmt", "CreateStmt", "AlterTableStmt"),
        *("ViewStmt", "CreateTableAsStmt", "IndexStmt", "AlterDomainStmt", "CreateDomainStmt", "CreatePolicyStmt"),
    ),
    stake="PostgreSQL cannot use a new enum value before it is committed. sqlmigrate then rolls the file back "
    "and commits its statements separately.",
    safe="alter type mood add value 'bad';\n-- in the next file:\nalter table t alter m set default 'bad';",
    check=_check_enum_value,
    examples=(
        bad("alter type mood add value 'bad'; insert into t values (1, 'bad');", _MOOD),
        bad("alter type mood add value 'bad'; update t set m = 'bad' where id = 1;", _MOOD),
        bad("alter type mood add value 'bad'; alter table t alter m set default 'bad';", _MOOD),
        bad("alter type mood add value 'bad'; insert into t (m) values ('bad');"),
        bad("alter type mood add value 'bad'; select 'bad'::mood;"),
        bad("begin; alter type mood add value 'bad'; create table u (m mood default 'bad'); commit;", _MOOD),
        bad("alter type mood add value 'bad'; create index on t (id) where m = 'bad';", _MOOD),
        good("alter type mood add value 'bad';", _MOOD),
        good("alter type mood add value 'bad'; insert into t values (1, 'ok');", _MOOD),
        good("alter type mood add value 'bad'; insert into log values ('bad');", _MOOD),
        good("create type mood as enum ('ok'); alter type mood add value 'bad'; select 'bad'::mood;"),
        good("insert into t values (1, 'bad');", _MOOD + "alter type mood add value 'bad';"),
        good("begin; alter type mood add value 'bad'; commit; insert into t values (1, 'bad');", _MOOD),
        good(f"{_HEAD}alter type mood add value 'bad'; insert into t values (1, 'bad');", _MOOD),
        good("alter type mood rename value 'ok' to 'bad'; insert into t values (1, 'bad');", _MOOD),
        good("alter type mood add value if not exists 'ok'; insert into t values (1, 'ok');", _MOOD),
    ),
)


def _check_set_local(case: Case) -> Iterator[Hit]:
    state = case.state
    if case.kind == "VariableSetStmt":
        name, in_transaction = case.node.get("name"), state.own_block or case.statement.inner
        if case.node.get("is_local") and state.each_alone and not in_transaction:
            message = f"SET LOCAL {name} has no effect: each statement of the file is its own transaction"
            yield Hit(message, partial(objects.without_local, case, case.node))
    elif state.earlier and not state.before and not state.in_transaction:
        last = state.earlier[-1]
        if last.kind == "VariableSetStmt" and last.body.get("is_local"):
            name = last.body.get("name")
            yield Hit(
                f"SET LOCAL {name} has no effect on the statement: it ended with the previous transaction",
                partial(objects.without_local, case, last.body, whole(case)),
            )


SET_LOCAL = Rule(
    name="set-local-without-effect",
    level=Level.WARNING,
    on=("VariableSetStmt", "IndexStmt", "DropStmt", "ReindexStmt", "AlterTableStmt", "VacuumStmt"),
    stake="SET LOCAL ends with its transaction, so the following statements run with the previous setting.",
    safe="set maintenance_work_mem = '1GB';\ncreate index concurrently t_a_idx on t (a);",
    check=_check_set_local,
    examples=(
        bad("set local maintenance_work_mem = '1GB'; create index concurrently i on t (a);"),
        bad(f"{_HEAD}set local lock_timeout = '2s'; alter table t add a int;"),
        bad("alter table t add a int; set local lock_timeout = '1s'; drop index concurrently i;"),
        good("set maintenance_work_mem = '1GB'; create index concurrently i on t (a);"),
        good("set local lock_timeout = '2s'; alter table t add a int;"),
        good(f"{_HEAD}begin; set local lock_timeout = '2s'; alter table t add a int; commit;"),
        good("begin; alter table t add a int; commit; set local lock_timeout = '2s'; alter table t add b int;"),
    ),
)


RULES = (NOT_IN_TRANSACTION, REFUSED_CONTROL, COMMIT_WITHOUT_BEGIN, OWN_TRANSACTION, ENUM_VALUE, SET_LOCAL)
