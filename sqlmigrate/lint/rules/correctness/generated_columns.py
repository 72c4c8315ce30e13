"""Correctness: keys, indexes and statistics on generated columns that PostgreSQL rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.additions import additions
from sqlmigrate.lint.facts.questions import table_decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.interpret.definitions import constrained_columns, generated_kind
from sqlmigrate.sql.tree import bodies, columns_in, kind_and_body, relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlmigrate.lint.schema.catalog import Table
    from sqlmigrate.sql.parser import Node

_NO = "{what} on virtual generated columns are not supported: {name}"
_CONSTRAINTS = {
    "CONSTR_PRIMARY": "primary keys",
    "CONSTR_UNIQUE": "unique constraints",
    "CONSTR_EXCLUSION": "exclusion constraints",
    "CONSTR_FOREIGN": "foreign key constraints",
}


def _check_generated(case: Case) -> Iterator[Hit]:
    if case.statement.inner or (case.node.get("if_not_exists") and case.table is not None):
        return
    table, new = _table(case), _new(case)
    if not new and table is None:
        return

    def kind_of(name: str) -> str:
        column = table.columns.get(name) if table is not None else None
        return new.get(name) or (column.generated if column is not None else "")

    for name in _partition_key(case):
        if kind_of(name):
            yield Hit(f"cannot use generated column in partition key: {name}")
    for what, names, node in _uses(case) if case.postgres >= _VIRTUAL else ():
        name = next((name for name in names if kind_of(name) == "virtual"), "")
        if name:
            yield Hit(_NO.format(what=what, name=name), by=table_decider(case, case.table), node=node)


# The first version that has virtual generated columns.
_VIRTUAL = 18


def _table(case: Case) -> Table | None:
    """Returns the table as it is before the statement."""
    if case.kind == "CreateStatsStmt":
        kind, body = kind_and_body(case.node["relations"][0]) if case.node.get("relations") else ("", {})
        return case.catalog.table(relation(body)) if kind == "RangeVar" else None
    return case.table if case.kind != "CreateStmt" else None


def _new(case: Case) -> dict[str, str]:
    """Returns how the generated columns that a statement adds are generated."""
    added = (addition for addition in additions(case) if addition.kind == "CONSTR_GENERATED")
    return {addition.column.get("colname", ""): generated_kind(addition.body) for addition in added}


def _partition_key(case: Case) -> Iterator[str]:
    for part in bodies(case.node.get("partspec", {}), "partParams") if case.kind == "CreateStmt" else ():
        yield from [part["name"]] if "name" in part else columns_in(part.get("expr", {}))


def _uses(case: Case) -> Iterator[tuple[str, Iterable[str], Node | None]]:
    """Yields what a statement defines on columns, with the columns."""
    node = case.node
    if case.kind == "IndexStmt":
        elements = [*bodies(node, "indexParams"), *bodies(node, "indexIncludingParams")]
        names = [element.get("name", "") for element in elements]
        expressions = [*(element.get("expr", {}) for element in elements), node.get("whereClause", {})]
        yield "indexes", [*names, *columns_in(expressions)], None
    elif case.kind == "CreateStatsStmt":
        elements = bodies(node, "exprs")
        names = [element.get("name", "") for element in elements]
        yield "statistics", [*names, *columns_in([element.get("expr", {}) for element in elements])], None
    else:
        for kind, body, column in additions(case):
            if kind in _CONSTRAINTS and "indexname" not in body:
                yield _CONSTRAINTS[kind], constrained_columns(body, column.get("colname", "")), body


_T = "create table t (a int, b int generated always as (a * 2) virtual, c int generated always as (a) stored);"

GENERATED = Rule(
    name="generated-column-fails",
    level=Level.ERROR,
    on=("CreateStmt", "IndexStmt", "CreateStatsStmt", "AT_AddConstraint", "AT_AddColumn"),
    stake="The statement fails: a virtual generated column has no index, key or statistics, "
    "and no generated column is part of a partition key.",
    safe="create index concurrently t_a_idx on t ((a * 2)); -- the expression of the column",
    check=_check_generated,
    examples=(
        bad("create index concurrently i on t (b);", _T),
        bad("create index concurrently i on t ((b + 1));", _T),
        bad("create index concurrently i on t (a) where b > 1;", _T),
        bad("create index concurrently i on t (a) include (b);", _T),
        bad("create table u (a int, b int generated always as (a) virtual unique);"),
        bad("create table u (a int, b int generated always as (a), primary key (b));"),
        bad("create table u (a int, b int generated always as (a), exclude (b with =));"),
        bad("create table u (a int, b int generated always as (a) virtual references r);"),
        bad("alter table t add foreign key (b) references r not valid;", _T),
        bad("create statistics s on a, b from t;", _T),
        bad("create table u (a int, b int generated always as (a) stored) partition by range (b);"),
        good("create index concurrently i on t (c);", _T),
        good("create index concurrently i on t ((a * 2));", _T),
        good("create table u (a int primary key, b int generated always as (a) virtual not null check (b > 0));"),
        good("create index concurrently i on u (b);", _T),
    ),
)

RULES = (GENERATED,)
