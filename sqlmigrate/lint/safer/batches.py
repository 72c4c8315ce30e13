"""Safer SQL for changes of all rows: batches by key, each in its own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.safer.constraints import proved
from sqlmigrate.lint.safer.statements import (
    advice,
    altered,
    column_ref,
    is_upper,
    outside_transaction,
    rest,
    set_not_null,
    text,
)
from sqlmigrate.lint.schema.interpret.definitions import column_constraints
from sqlmigrate.sql.deparser import deparse
from sqlmigrate.sql.identifier import quoted
from sqlmigrate.sql.tree import bodies, columns_in, relation, walk

if TYPE_CHECKING:
    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.sql.parser import Node

_IN_BATCHES = "change the rows in batches that commit separately; sqlmigrate generate backfill writes such a file"
_DEFAULT_LATER = "add {} without a default, set the default in a second statement, then fill the rows in batches"
# As in the template of `sqlmigrate generate backfill`.
_LOOP = """
declare
    batch_first {table}.{key}%type;
    batch_last {table}.{key}%type;
begin
    select {key} into batch_first from {table} order by {key} limit 1;
    while batch_first is not null loop
        select {key} into batch_last from (
            select {key} from {table} where {key} >= batch_first order by {key} limit 1000
        ) as batch order by {key} desc limit 1;
        {change}
        commit;
        select {key} into batch_first from {table} where {key} > batch_last order by {key} limit 1;
    end loop;
end
"""


def in_batches(case: Case, kind: str, node: Node) -> Safer:
    """Returns a DO block that makes the change of an UPDATE or DELETE for one range of the key after the other.

    After an interruption it runs again from the start, so that no value may depend on a column that changes.
    """
    key = _key(case, node["relation"])
    columns = {body.get("name") for body in bodies(node, "targetList")}
    is_repeatable = columns.isdisjoint(columns_in([body.get("val", {}) for body in bodies(node, "targetList")]))
    is_statement = case.kind == kind and case.node is node and is_repeatable
    others = ("returningList", "returningClause", "withClause", "usingClause", "fromClause")
    has_others = any(field in node for field in others) or any(field == "SubLink" for field, _ in walk(node))
    if not key or key in columns or not is_statement or has_others:
        return advice(_IN_BATCHES)
    return outside_transaction(case, [_loop(case, kind, node, key)])


def filled_in_batches(case: Case, column: Node) -> Safer:
    """Returns the files that add a column without its volatile default, set the default, and fill the rows."""
    kinds = {body["contype"]: body for body in column_constraints(column)}
    relation_node = case.statement.body["relation"]
    key = _key(case, relation_node)
    if not key or rest(case) or case.node.get("missing_ok") or not kinds.keys() <= {"CONSTR_DEFAULT", "CONSTR_NOTNULL"}:
        return advice(_DEFAULT_LATER.format(column["colname"]))
    name, value = column["colname"], kinds["CONSTR_DEFAULT"]["raw_expr"]
    bare = {**case.node, "def": {"ColumnDef": {**column, "constraints": []}}}
    default = {"subtype": "AT_ColumnDefault", "name": name, "def": value, "behavior": "DROP_RESTRICT"}
    is_null = {"NullTest": {"arg": column_ref(name), "nulltesttype": "IS_NULL"}}
    target = {"ResTarget": {"name": name, "val": value}}
    update = {"relation": relation_node, "targetList": [target], "whereClause": is_null}
    first, fill = [*altered(case, bare), *altered(case, default)], [_loop(case, "UpdateStmt", update, key)]
    if "CONSTR_NOTNULL" not in kinds:
        return outside_transaction(case, first, fill)
    checked, validated, last = proved(case, [name], [], [set_not_null(name)])
    return outside_transaction(case, first, [*fill, *checked], validated, last)


def _key(case: Case, node: Node) -> str:
    """Returns the only column of the primary key of a table; empty if it is unknown."""
    table = case.catalog.table(relation(node))
    primary_key = table.primary_key if table and table.kind in ("table", "partitioned") else None
    return primary_key.columns[0] if primary_key and len(primary_key.columns) == 1 else ""


def _loop(case: Case, kind: str, node: Node, key: str) -> Node:
    table = node["relation"]
    name = table.get("alias", {}).get("aliasname") or table["relname"]
    reference = {"ColumnRef": {"fields": [text(name), text(key)]}}
    ends = {"List": {"items": [column_ref("batch_first"), column_ref("batch_last")]}}
    between = {"A_Expr": {"kind": "AEXPR_BETWEEN", "name": [text("BETWEEN")], "lexpr": reference, "rexpr": ends}}
    conditions = [between, *([node["whereClause"]] if "whereClause" in node else [])]
    where = {"BoolExpr": {"boolop": "AND_EXPR", "args": conditions}} if len(conditions) > 1 else between
    change = deparse([{kind: {**node, "whereClause": where}}], upper=is_upper(case))
    written = ".".join(quoted(part) for part in relation(table) if part)
    body = _LOOP.format(table=written, key=quoted(key), change=change)
    return {"DoStmt": {"args": [{"DefElem": {"defname": "as", "arg": text(body), "defaction": "DEFELEM_UNSPEC"}}]}}
