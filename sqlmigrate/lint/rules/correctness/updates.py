"""Correctness: UPDATEs that fail because of the columns that they set or of the values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.certain import certain_table
from sqlmigrate.lint.facts.rows import rows_in
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.rules.correctness.insertions import value_fault
from sqlmigrate.sql.tree import bodies, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Table
    from sqlmigrate.sql.parser import Node


def _check_update(case: Case) -> Iterator[Hit]:
    table = certain_table(case.catalog, relation(case.node["relation"]))
    if case.statement.inner or table is None or table.partial or table.kind not in ("table", "partitioned"):
        return
    for target in _targets(case):
        fault = _fault(case, table, target)
        if fault:
            yield Hit(f"the UPDATE of {table.name[1]} fails: {fault}", by=decider(case, table.created), node=target)


def _targets(case: Case) -> Iterator[Node]:
    """Yields the assignments of UPDATE SET, also in ON CONFLICT and in MERGE."""
    if case.kind == "MergeStmt":
        for clause in bodies(case.node, "mergeWhenClauses"):
            yield from bodies(clause, "targetList") if clause.get("commandType") == "CMD_UPDATE" else ()
    else:
        yield from bodies(
            case.node if case.kind == "UpdateStmt" else case.node.get("onConflictClause", {}), "targetList"
        )


def _fault(case: Case, table: Table, target: Node) -> str:
    column, value = table.columns.get(target.get("name", "")), target.get("val", {})
    if column is None or "indirection" in target or value.keys() & {"SetToDefault", "MultiAssignRef"}:
        return ""
    if column.generated or column.identity == "a":
        return f"column {column.name} can only be updated to DEFAULT"
    if fault := value_fault(value, column.type, case.catalog):
        return f"column {column.name}: {fault}"
    is_null = column.not_null and value.get("A_Const", {}).get("isnull")
    return f"null value in column {column.name}" if is_null and _changes_rows(case, table) else ""


def _changes_rows(case: Case, table: Table) -> bool:
    """Whether the UPDATE certainly has a row to change: it changes every row, and the file inserted one."""
    rows = rows_in(case.catalog, case.state, table.name)
    is_whole = case.kind == "UpdateStmt" and not case.node.keys() & {"whereClause", "fromClause"}
    return is_whole and rows is not None and bool(rows.some) and not table.triggers


_T = (
    "create table t (id int primary key, code varchar(3), n int generated always as identity, "
    "twice int generated always as (id * 2) stored);"
)

UPDATE = Rule(
    name="update-fails",
    level=Level.ERROR,
    on=("UpdateStmt", "InsertStmt", "MergeStmt"),
    stake="The statement fails: the column is generated, or the value is not of its type.",
    safe="update t set code = 'abc', twice = default where id = 1;",
    check=_check_update,
    examples=(
        bad("update t set twice = 5;", _T),
        bad("update t set n = 5 where id = 1;", _T),
        bad("update t set code = 'abcd' where id = 1;", _T),
        bad("update t set id = 'x' where id = 1;", _T),
        bad("update t set id = 3000000000 where id = 1;", _T),
        bad("insert into t (id) values (1) on conflict (id) do update set twice = 2;", _T),
        bad("merge into t using u on u.a = t.id when matched then update set twice = 2;", _T),
        bad("create table u (a int not null); insert into u values (1); update u set a = null;"),
        good("update t set twice = default, (id, n) = (2, default) where id = 1;", _T),
        good("update t set code = 'abc', id = '7' where id = 1;", _T),
        good("update t set id = null where id = 1;", _T),
        good("insert into t (id) values (1) on conflict (id) do update set code = 'b';", _T),
    ),
)

RULES = (UPDATE,)
