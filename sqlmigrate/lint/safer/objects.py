"""Safer SQL for other statements: settings, names, views, functions and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.safer.statements import (
    add,
    added,
    advice,
    altered,
    altered_table,
    column_ref,
    drop_constraint,
    in_place,
    name_of,
    named,
    not_valid,
    outside_transaction,
    replaced,
    rest,
    table_after,
    text,
    validate,
    whole,
)
from sqlmigrate.lint.schema.interpret.tables import new_name
from sqlmigrate.sql.parser import parse
from sqlmigrate.sql.tree import relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Catalog, Column, Name
    from sqlmigrate.lint.schema.state import FileState
    from sqlmigrate.sql.parser import Node

_PG_REPACK = "pg_repack or pg_squeeze make the table smaller without blocking reads and writes"
_RECHECK = "drop the CHECK first, add it again NOT VALID, and run VALIDATE CONSTRAINT in a later file"


def vacuumed(case: Case) -> Safer:
    """Returns VACUUM (ANALYZE) of the same tables."""
    kept = [item for item in case.node["options"] if item["DefElem"]["defname"] not in ("full", "analyze")]
    analyze = {"DefElem": {"defname": "analyze", "defaction": "DEFELEM_UNSPEC"}}
    safer = outside_transaction(case, [{"VacuumStmt": {**case.node, "options": [*kept, analyze]}}])
    return safer._replace(advice=_PG_REPACK)


def without_local(case: Case, setting: Node, *statements: Node) -> Safer:
    """Returns SET without LOCAL, and the statements for which it was written."""
    return in_place(case, [{"VariableSetStmt": {**setting, "is_local": False}}, *statements])


def with_name(case: Case, constraint: Node, column: str = "") -> Safer:
    """Returns the statement with the name that PostgreSQL would give an unnamed constraint."""
    new = {**constraint, "conname": name_of(case, constraint, column)}
    return in_place(case, [{case.statement.kind: replaced(case.statement.body, constraint, new)}])


def indexed(case: Case, table: Name, columns: Sequence[str]) -> Safer:
    """Returns an index on some columns of a table."""
    order = {"ordering": "SORTBY_DEFAULT", "nulls_ordering": "SORTBY_NULLS_DEFAULT"}
    elements = [{"IndexElem": {"name": name, **order}} for name in columns]
    partitioned = case.catalog.tables[table].kind == "partitioned"
    node = {"relation": named(case, table), "indexParams": elements, "concurrent": not partitioned}
    return added(case, {"IndexStmt": node})


def keyed(case: Case) -> Safer:
    """Returns ADD COLUMN of an identity key called id, if the table can have it."""
    new = table_after(case, new_name(case.catalog, case.node["relation"]))
    if new.partial or new.kind == "partitioned" or "id" in new.columns:
        return advice("add a primary key")
    constraints = [
        {"Constraint": {"contype": "CONSTR_IDENTITY", "generated_when": "a", "is_enforced": True}},
        {"Constraint": {"contype": "CONSTR_PRIMARY", "is_enforced": True}},
    ]
    names = [text("pg_catalog"), text("int8")]
    column = {
        "colname": "id",
        "typeName": {"names": names, "typemod": -1},
        "constraints": constraints,
        "is_local": True,
    }
    command = {"subtype": "AT_AddColumn", "def": {"ColumnDef": column}, "behavior": "DROP_RESTRICT"}
    return added(case, altered_table({**case.node["relation"], "inh": True}, command))


def still_needed(safer: Safer, catalog: Catalog, state: FileState) -> Safer:
    """Returns the SQL to add, or advice if a later statement of the file took the name of the view that it creates."""
    if not safer.adds:
        return safer
    for tree in parse(safer.sql):
        view = tree["stmt"].get("ViewStmt", {}).get("view")
        if view and (catalog.table(relation(view)) is not None or state.run_on("RenameStmt", view["relname"])):
            return advice("give the old name to a view in the same transaction, and no other object")
    return safer


def seen_under_old_name(case: Case, old: Node, new: Node) -> Safer:
    """Returns a view with the old name of a relation."""
    star: Node = {"ResTarget": {"val": {"ColumnRef": {"fields": [{"A_Star": {}}]}}}}
    query = {
        "targetList": [star],
        "fromClause": [{"RangeVar": {**new, "inh": True, "relpersistence": "p"}}],
        "limitOption": "LIMIT_OPTION_DEFAULT",
        "op": "SETOP_NONE",
    }
    view = {"view": {**old, "inh": True, "relpersistence": "p"}, "query": {"SelectStmt": query}}
    return added(case, {"ViewStmt": {**view, "withCheckOption": "NO_CHECK_OPTION"}})


def with_search_path(case: Case, function: Node, kind: str) -> Safer:
    """Returns ALTER FUNCTION … SET search_path."""
    values = [{"A_Const": {"sval": {"sval": schema}}} for schema in ("pg_catalog", "pg_temp")]
    setting = {"kind": "VAR_SET_VALUE", "name": "search_path", "args": values}
    action = {"DefElem": {"defname": "set", "arg": {"VariableSetStmt": setting}, "defaction": "DEFELEM_UNSPEC"}}
    return added(case, {"AlterFunctionStmt": {"objtype": kind, "func": function, "actions": [action]}})


def dropped_first(case: Case, function: Node) -> Safer:
    """Returns DROP FUNCTION, and the CREATE FUNCTION."""
    kind = "OBJECT_PROCEDURE" if case.node.get("is_procedure") else "OBJECT_FUNCTION"
    drop = {"objects": [{"ObjectWithArgs": function}], "removeType": kind, "behavior": "DROP_RESTRICT"}
    return in_place(case, [{"DropStmt": drop}, whole(case)])


def without_overload(case: Case, function: Node) -> Safer:
    """Returns DROP FUNCTION of an existing function, beside the new one."""
    drop = {"objects": [{"ObjectWithArgs": function}], "removeType": "OBJECT_FUNCTION", "behavior": "DROP_RESTRICT"}
    return added(case, {"DropStmt": drop})


def signature(name: list[Node], parameters: Iterable[Node]) -> Node:
    """Returns the name of a function with the types of its input parameters."""
    inputs = [
        parameter["argType"]
        for parameter in parameters
        if parameter.get("mode") not in ("FUNC_PARAM_OUT", "FUNC_PARAM_TABLE")
    ]
    return {"objname": name, "objargs": [{"TypeName": argument} for argument in inputs]}


def without_constraint(case: Case, table: Name, constraint: str) -> Safer:
    """Returns DROP CONSTRAINT, which drops its index."""
    first = case.node["objects"][0]["List"]["items"]
    written = {"schemaname": first[0]["String"]["sval"]} if len(first) > 1 else {}
    command = {
        **drop_constraint(constraint, if_exists=bool(case.node.get("missing_ok"))),
        "behavior": case.node["behavior"],
    }
    return in_place(case, [altered_table(named(case, table, written), command)])


def without_only(case: Case, relation_node: Node) -> Safer:
    """Returns the statement without ONLY before a relation."""
    body = replaced(case.statement.body, relation_node, {**relation_node, "inh": True})
    return in_place(case, [{case.statement.kind: body}])


def with_casts(case: Case, column: Column, *, using: bool) -> Safer:
    """Returns a change of a column's type with a cast of its values, where the statement has none, and of a default."""
    name, definition = column.name, case.node["def"]["ColumnDef"]
    changed = {**definition, "raw_default": _cast(column_ref(name), definition)} if using else definition
    commands = [{**case.node, "def": {"ColumnDef": changed}}]
    if column.default is not None and "AT_ColumnDefault" not in {command["subtype"] for command in rest(case)}:
        drop = {"subtype": "AT_ColumnDefault", "name": name, "behavior": "DROP_RESTRICT"}
        commands = [drop, *commands, {**drop, "def": _cast(column.default, definition)}]
    return in_place(case, altered(case, *commands, *rest(case)))


def _cast(value: Node, definition: Node) -> Node:
    return {"TypeCast": {"arg": value, "typeName": definition["typeName"]}}


def with_flag(case: Case, flag: str) -> Safer:
    """Returns the statement with IF [NOT] EXISTS or OR REPLACE, whose parser's name is given."""
    if case.kind == "IndexStmt" and "idxname" not in case.node:
        return advice("name the index, and write IF NOT EXISTS")
    body = replaced(case.statement.body, case.node, {**case.node, flag: True})
    return in_place(case, [{case.statement.kind: body}])


def rechecked_later(case: Case) -> Safer:
    """Returns a change of a column's type that drops the CHECKs of the column and adds them again NOT VALID."""
    column, table = case.node.get("name", ""), case.table
    checks = [check for check in table.checks if column in check.columns] if table else []
    if any(check.no_inherit or check.expression is None for check in checks) or (table and table.parents):
        return advice(_RECHECK)
    drops = [drop_constraint(check.name) for check in checks]
    nodes = [{"contype": "CONSTR_CHECK", "raw_expr": check.expression, "is_enforced": True} for check in checks]
    adds = [add(not_valid(node, check.name)) for node, check in zip(nodes, checks, strict=True)]
    first = altered(case, *drops, *rest(case), case.node, *adds)
    return in_place(case, first, altered(case, *(validate(check.name) for check in checks)))
