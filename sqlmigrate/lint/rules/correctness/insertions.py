"""Correctness: INSERTs and defaults that fail because of the columns, their types or their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.additions import additions
from sqlmigrate.lint.facts.certain import certain_table
from sqlmigrate.lint.facts.literals import is_too_long, literal_fault, overflow
from sqlmigrate.lint.facts.questions import domain_default, domain_requires_value
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.datatype import type_of
from sqlmigrate.sql.tree import bodies, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Column, Table
    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node

# Rows that are looked at: a file of data has many.
_ROWS = 100


def _check_insert(case: Case) -> Iterator[Hit]:
    table = certain_table(case.catalog, relation(case.node["relation"]))
    if case.statement.inner or table is None or table.partial or table.kind not in ("table", "partitioned"):
        return
    fault = _columns_fault(case, table) or _conflict_fault(case, table)
    if fault:
        yield Hit(f"the INSERT into {table.name[1]} fails: {fault}", by=decider(case, table.created))


def _columns_fault(case: Case, table: Table) -> str:
    names = [target.get("name", "") for target in bodies(case.node, "cols")]
    columns = [table.columns.get(name) for name in names] if names else [*table.columns.values()]
    if any("indirection" in target for target in bodies(case.node, "cols")):
        return ""
    source = case.node.get("selectStmt", {}).get("SelectStmt")
    if source is not None and "valuesLists" not in source:
        return next((fault for column in columns if names and column and (fault := _written_fault(case, column))), "")
    rows = [row["List"].get("items", []) for row in source["valuesLists"][:_ROWS]] if source is not None else [[]]
    required = _required(case, table)
    for values in rows:
        if len(values) > len(columns):
            return "it has more expressions than target columns"
        if names and len(values) < len(columns):
            return "it has more target columns than expressions"
        given = dict(zip([column.name for column in columns if column], values, strict=False))
        if None not in columns and (fault := _row_fault(case, table, given, required)):
            return fault
    return ""


def _row_fault(case: Case, table: Table, given: dict[str, Node], required: list[str]) -> str:
    """Returns why a row of VALUES fails; `required` are the columns that need a value."""
    for name, value in given.items():
        if "SetToDefault" in value:
            continue
        column = table.columns[name]
        fault = _written_fault(case, column) or value_fault(value, column.type, case.catalog)
        if fault:
            return f"column {name}: {fault}"
        if name in required and value.get("A_Const", {}).get("isnull"):
            return f"null value in column {name}"
    missing = (name for name in required if "SetToDefault" in given.get(name, _OMITTED))
    name = next((name for name in missing if not _has_default(case.catalog, table.columns[name])), "")
    return f"null value in column {name}" if name else ""


def value_fault(value: Node, type_: Type | None, catalog: Catalog) -> str:
    """Returns why a constant cannot be stored in a column of the type; empty for other expressions."""
    if is_too_long(value, type_):
        return f"the value is too long for type {type_}"
    return literal_fault(value, type_, catalog) or overflow(value, type_)


_OMITTED: Node = {"SetToDefault": {}}


def _required(case: Case, table: Table) -> list[str]:
    """Returns the columns that reject NULL; none if a trigger may set them, as one of a partitioned table may."""
    if table.triggers or table.parents:
        return []
    columns = table.columns.values()
    return [column.name for column in columns if column.not_null or domain_requires_value(case.catalog, column.type)]


def _written_fault(case: Case, column: Column) -> str:
    if column.generated:
        return f"cannot insert a non-DEFAULT value into generated column {column.name}"
    if column.identity == "a" and case.node.get("override", "OVERRIDING_NOT_SET") == "OVERRIDING_NOT_SET":
        return f"cannot insert a non-DEFAULT value into column {column.name}, an identity column GENERATED ALWAYS"
    return ""


def _has_default(catalog: Catalog, column: Column) -> bool:
    if column.identity or column.generated:
        return True
    if column.default is not None:
        return not column.default.get("A_Const", {}).get("isnull")
    return domain_default(catalog, column.type) is not None


def _conflict_fault(case: Case, table: Table) -> str:
    infer = case.node.get("onConflictClause", {}).get("infer")
    if not infer or table.parents:
        return ""
    if name := infer.get("conname"):
        return "" if table.constraint(name) else f"constraint {name} for table {table.name[1]} does not exist"
    elements = bodies(infer, "indexElems")
    names = {element.get("name", "") for element in elements}
    usable = [index for index in table.indexes if index.unique and ("whereClause" in infer or not index.predicate)]
    if "" in names or any(set(index.columns) == names for index in usable):
        return ""
    return "there is no unique constraint matching the ON CONFLICT specification"


_T = "create table t (id int primary key, code varchar(3) not null, m mood, n int generated always as identity);"
_MOOD = "create type mood as enum ('ok', 'bad');"

INSERT = Rule(
    name="insert-fails",
    level=Level.ERROR,
    on=("InsertStmt",),
    stake="The statement fails: a value is missing, is not of the column's type, or ON CONFLICT names no key.",
    safe="insert into t (id, code) values (1, 'a') on conflict (id) do nothing;",
    check=_check_insert,
    examples=(
        bad("insert into t (id) values (1);", _MOOD + _T),
        bad("insert into t (id, code) values (1, null);", _MOOD + _T),
        bad("insert into t (id, code) values (1, 'abcd');", _MOOD + _T),
        bad("insert into t (id, code, m) values (1, 'a', 'good');", _MOOD + _T),
        bad("insert into t (id, code) values ('x', 'a');", _MOOD + _T),
        bad("insert into t (id, code) values (3000000000, 'a');", _MOOD + _T),
        bad("insert into n values (123.45);", "create table n (a numeric(4,2));"),
        bad("insert into n values ('2026-02-30');", "create table n (a date);"),
        bad("insert into n values ('2026-02-28 25:00');", "create table n (a timestamptz);"),
        good("insert into n values (99.994), ('-99.9'), ('nan');", "create table n (a numeric(4,2));"),
        good("insert into n values ('2024-02-29 24:00:00'), ('infinity');", "create table n (a timestamp);"),
        bad("insert into t (id, code, n) values (1, 'a', 1);", _MOOD + _T),
        bad("insert into t (id, code) values (1);", _MOOD + _T),
        bad("insert into t (id, code) values (1, 'a') on conflict (code) do nothing;", _MOOD + _T),
        bad("insert into t (id, code) values (1, 'a') on conflict on constraint k do nothing;", _MOOD + _T),
        good("insert into t (id, code) values (1, 'a') on conflict (id) do nothing;", _MOOD + _T),
        good("insert into t (id, code, n) overriding system value values (1, 'a', 1);", _MOOD + _T),
        good("insert into t (id, code, m) select 1, 'abcd', 'ok';", _MOOD + _T),
        good("insert into t (id) values (1);", "alter table t add column code text not null default 'x';"),
        good("insert into t values (1);", "create table t (a text, b int default 1);"),
    ),
)


def _check_default(case: Case) -> Iterator[Hit]:
    if case.statement.inner:
        return
    for name, type_, expression, node in _defaults(case):
        if fault := literal_fault(expression, type_, case.catalog):
            yield Hit(f"the default of {name} fails: {fault}", node=node)


def _defaults(case: Case) -> Iterator[tuple[str, Type | None, Node, Node | None]]:
    """Yields the defaults that a statement sets, each with the column and its type."""
    if case.kind == "AT_ColumnDefault":
        column = case.table.columns.get(case.node.get("name", "")) if case.table is not None else None
        if column is not None and "def" in case.node and not case.catalog.uncertain:
            yield column.name, column.type, case.node["def"], None
        return
    for kind, body, column_node in additions(case):
        if kind == "CONSTR_DEFAULT" and "typeName" in column_node and "A_Const" in body.get("raw_expr", {}):
            yield column_node["colname"], type_of(column_node["typeName"]), body["raw_expr"], body


DEFAULT = Rule(
    name="default-fails",
    level=Level.ERROR,
    on=("CreateStmt", "AT_AddColumn", "AT_ColumnDefault"),
    stake="The statement fails: the default is no value of the column's type.",
    safe="alter table t add column b boolean not null default false;",
    check=_check_default,
    examples=(
        bad("create table t (a boolean default 0);"),
        bad("create table t (a int default '');"),
        bad("alter table t add column m mood default 'good';", _MOOD),
        bad("alter table t alter a set default 'x';", "create table t (a int);"),
        bad("create table t (a jsonb default '{a}');"),
        bad("create table t (a smallint default '40000', b date default '2026-02-30');"),
        good("create table t (a smallint default 40000);"),
        good("create table t (a boolean default 'yes', b int default '7', c text default 5, d jsonb default '{}');"),
        good("alter table t add column m mood default 'ok';", _MOOD),
        good("alter table t add column m mood default 'ok';"),
        good("create table t (a uuid default gen_random_uuid(), b date default 'today', c int[] default '{}');"),
    ),
)

RULES = (INSERT, DEFAULT)
