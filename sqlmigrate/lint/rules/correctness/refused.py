"""Correctness: statements that fail because of their form, or of the objects they use."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.additions import additions, column_types
from sqlmigrate.lint.facts.questions import table_decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.safer import indexes
from sqlmigrate.lint.schema.datatype import BUILT_IN
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.lint.schema.interpret.definitions import constrained_columns
from sqlmigrate.sql.tree import relation, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Index, Table
    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node

# Groups of types that have an = operator between them.
_ALIKE = (
    ("int2", "int4", "int8", "numeric", "float4", "float8", "oid", "regclass"),
    ("text", "varchar", "bpchar", "name", "citext", "char"),
    ("date", "timestamp", "timestamptz"),
    ("time", "timetz"),
    ("inet", "cidr"),
    ("bit", "varbit"),
)


def _check_concurrently(case: Case) -> Iterator[Hit]:
    node = case.node
    if not node.get("concurrent"):
        return
    if case.kind == "IndexStmt" and case.table is not None and case.table.kind == "partitioned":
        yield Hit(
            f"cannot create an index on partitioned table {case.name[1]} concurrently",
            partial(indexes.created_on_partitions, case),
            table_decider(case, case.table),
        )
    if len(node.get("objects", ())) > 1:
        yield Hit(
            "DROP INDEX CONCURRENTLY does not support dropping multiple objects",
            partial(indexes.dropped, case),
        )
    if node.get("behavior") == "DROP_CASCADE":
        message = "DROP INDEX CONCURRENTLY does not support CASCADE"
        yield Hit(message, partial(indexes.dropped, case))
    for name in dropped_names(node):
        index = case.catalog.index(name)
        table = case.catalog.tables.get(index.table) if index else None
        if table is not None and table.kind == "partitioned":
            message = f"cannot drop an index of partitioned table {table.name[1]} concurrently"
            yield Hit(message, partial(indexes.dropped, case), table_decider(case, table))


_LIST = "create table p (a int) partition by list (a); "

CONCURRENTLY = Rule(
    name="index-concurrently-fails",
    level=Level.ERROR,
    on=("IndexStmt", "DropStmt"),
    stake="The statement fails: CONCURRENTLY works on one index, which must not belong to a partitioned table.",
    safe="drop index concurrently t_a_idx;\ndrop index concurrently t_b_idx;",
    check=_check_concurrently,
    examples=(
        bad("create index concurrently i on p (a);", _LIST),
        bad(_LIST + "create index concurrently i on p (a);"),
        bad("drop index concurrently i, j;"),
        bad("drop index concurrently i cascade;"),
        bad("drop index concurrently i;", _LIST + "create index i on p (a);"),
        good("create index concurrently i on t (a);", _LIST + "create table t (a int);"),
        good("create index concurrently i on p1 (a);", _LIST + "create table p1 partition of p default;"),
        good("create index i on only p (a);", _LIST),
        good("drop index concurrently if exists i restrict;"),
        good("drop index i, j cascade;"),
    ),
)


def _check_using_index(case: Case) -> Iterator[Hit]:
    node, table = case.node["def"]["Constraint"], case.table
    if "indexname" not in node or table is None:
        return
    index = case.catalog.index((table.name[0], node["indexname"]))
    if index is not None and (reason := _unfit(table, index)):
        yield Hit(
            f"USING INDEX fails: index {index.name[1]} {reason}",
            f"create a unique index on plain columns of {table.name[1]} concurrently, and use that",
            case.decider(index.created),
        )


def _unfit(table: Table, index: Index) -> str:
    """Returns why an index cannot become the index of a constraint; empty if it can."""
    if index.table != table.name:
        return f"belongs to table {index.table[1]}"
    if index.constraint:
        return "is already associated with a constraint"
    if table.kind == "partitioned":
        return f"belongs to partitioned table {table.name[1]}"
    if not index.unique or index.method != "btree":
        return "is not a unique index"
    if index.predicate is not None:
        return "is a partial index"
    if index.expressions:
        return "contains expressions"
    return "does not have default sorting behavior" if any(index.options) else ""


_T = "create table t (a int not null, b int); create table u (a int); "

USING_INDEX = Rule(
    name="using-index-fails",
    level=Level.ERROR,
    on=("AT_AddConstraint",),
    stake="The statement fails: the index must be unique, not partial, without expressions, in the default sort order.",
    safe="create unique index concurrently t_a_key on t (a);\n"
    "alter table t add constraint t_a_key unique using index t_a_key;",
    check=_check_using_index,
    examples=(
        bad("alter table t add unique using index i;", _T + "create index i on t (a);"),
        bad("alter table t add unique using index i;", _T + "create unique index i on t (a) where b > 0;"),
        bad("alter table t add unique using index i;", _T + "create unique index i on t (abs(a));"),
        bad("alter table t add unique using index i;", _T + "create unique index i on u (a);"),
        bad("alter table t add primary key using index i;", _T + "create unique index i on t (a desc);"),
        bad("alter table t add unique using index k;", _T + "alter table t add constraint k unique (a);"),
        bad("create unique index concurrently i on t (a) where b > 0; alter table t add unique using index i;"),
        good("alter table t add unique using index i;", _T + "create unique index i on t (a);"),
        good("alter table t add primary key using index i;", _T + "create unique index i on t (a) include (b);"),
        good("create unique index concurrently i on t (a); alter table t add unique using index i;"),
        good("alter table t add unique using index i;"),
    ),
)


def _check_partition_key(case: Case) -> Iterator[Hit]:
    keys = _partition_keys(case)
    for columns, node in _unique_on(case) if keys else ():
        absent = [key for key in keys if key not in columns]
        if absent:
            missing = ", ".join(absent) if all(absent) else "an expression"
            yield Hit(
                "a unique constraint on a partitioned table must include all partitioning columns: "
                f"{missing} is missing",
                f"make the key ({', '.join(dict.fromkeys((*columns, *filter(None, absent))))})",
                table_decider(case, case.table),
                node=node,
            )


def _partition_keys(case: Case) -> tuple[str, ...]:
    """Returns the partition key of the statement's table; an expression is an empty string."""
    if case.kind == "CreateStmt":
        parts = case.node.get("partspec", {}).get("partParams", ())
        return tuple(part["PartitionElem"].get("name", "") for part in parts)
    return case.table.keys if case.table is not None and case.table.kind == "partitioned" else ()


def _unique_on(case: Case) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Yields the columns of each unique constraint or index that a statement creates, with its node."""
    if case.kind == "IndexStmt":
        if case.node.get("unique"):
            yield tuple(item["IndexElem"].get("name", "") for item in case.node.get("indexParams", ())), case.node
        return
    for kind, body, column in additions(case):
        if kind in ("CONSTR_PRIMARY", "CONSTR_UNIQUE") and "indexname" not in body:
            yield constrained_columns(body, column.get("colname", "")), body


_P = "create table p (id int, at date) partition by range (at); "

PARTITION_KEY = Rule(
    name="unique-without-partition-key",
    level=Level.ERROR,
    on=("CreateStmt", "AT_AddConstraint", "AT_AddColumn", "IndexStmt"),
    stake="The statement fails: each partition has its own index, which cannot check the rows of other partitions.",
    safe="create table p (id bigint, at date, primary key (id, at)) partition by range (at);",
    check=_check_partition_key,
    examples=(
        bad("create table p (id bigint primary key, at date) partition by range (at);"),
        bad("create table p (id bigint, at date, unique (id)) partition by range (at);"),
        bad("create table p (id int primary key) partition by range (abs(id));"),
        bad("alter table p add primary key (id);", _P),
        bad("alter table p add column code text unique;", _P),
        bad("create unique index i on p (id);", _P),
        good("create table p (id bigint, at date, primary key (id, at)) partition by range (at);"),
        good("create table p (at date primary key) partition by range (at);"),
        good("create unique index i on only p (id, at);", _P),
        good("create index i on only p (id);", _P),
        good("create unique index i on q (id);", _P + "create table q partition of p default;"),
        good("create table p (id bigint primary key, at date);"),
    ),
)


def _check_key_types(case: Case) -> Iterator[Hit]:
    for body, columns in foreign_keys(case):
        table = case.catalog.table(relation(body["pktable"]))
        primary_key = table.primary_key if table else None
        referenced = strings(body.get("pk_attrs", ())) or (primary_key.columns if primary_key else ())
        for (name, type_), key in zip(columns, referenced, strict=False):
            key_type = table.columns[key].type if table and key in table.columns else None
            if type_ and key_type and not _comparable(type_, key_type):
                yield Hit(
                    f"the foreign key cannot be implemented: {name} is of type {type_}, {key} of type {key_type}",
                    f"declare {name} as {key_type}",
                    table_decider(case, table),
                    node=body,
                )


def foreign_keys(case: Case) -> Iterator[tuple[Node, list[tuple[str, Type | None]]]]:
    """Yields the foreign keys of a statement, each with its columns and their types, if known."""
    for kind, body, column in additions(case):
        if kind == "CONSTR_FOREIGN":
            columns = constrained_columns(body, column.get("colname", ""))
            yield body, [(name, column_types(case).get(name)) for name in columns]


def _comparable(left: Type, right: Type) -> bool:
    if left.name not in BUILT_IN or right.name not in BUILT_IN:
        return True  # for example a domain
    alike = left.name == right.name or any(left.name in group and right.name in group for group in _ALIKE)
    return left.array == right.array and alike


_R = "create table r (id bigint primary key, code varchar(9) unique, at date unique); "

KEY_TYPES = Rule(
    name="foreign-key-types-differ",
    level=Level.ERROR,
    on=("CreateStmt", "AT_AddConstraint", "AT_AddColumn"),
    stake="The statement fails: no = operator exists for the types of the two columns.",
    safe="create table u (r_id bigint references r (id));",
    check=_check_key_types,
    examples=(
        bad("create table u (a text references r);", _R),
        bad("create table u (a uuid, foreign key (a) references r (id));", _R),
        bad("alter table u add column a text references r;", _R + "create table u (b int);"),
        bad("alter table u add foreign key (a) references r not valid;", _R + "create table u (a uuid);"),
        bad("create table u (a bigint[] references r);", _R),
        good("create table u (a int references r);", _R),
        good("create table u (a text references r (code));", _R),
        good("create table u (a d references r);", _R + "create domain d as bigint;"),
        good("create table u (a uuid references s);"),
    ),
)


RULES = (CONCURRENTLY, USING_INDEX, PARTITION_KEY, KEY_TYPES)
