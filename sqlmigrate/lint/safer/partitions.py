"""Safer SQL for partitions: a valid CHECK of the bound, so that ATTACH and CREATE need not scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.safer.statements import (
    add,
    advice,
    altered_table,
    check,
    column_ref,
    drop_constraint,
    free_constraint,
    in_place,
    is_set,
    named,
    text,
    validate,
    whole,
)
from sqlmigrate.lint.schema.interpret.names import free_name, taken_in
from sqlmigrate.sql.tree import relation, strings

if TYPE_CHECKING:
    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Index, Name, Table
    from sqlmigrate.sql.parser import Node

# What PARTITION OF copies, by the bits of LIKE: compression, constraints, defaults, generated, indexes, storage.
_INCLUDING = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 8
_UNKNOWN_BOUND = "first add a CHECK of the bound to {} NOT VALID, and validate it in a later file"
_EXCLUDES = "first add a CHECK to {} that excludes the rows of the new partition, or detach it"
_LIKE = "create a table LIKE {} INCLUDING ALL, and attach it"


def attached_after_check(case: Case) -> Safer:
    """Returns a CHECK that implies the bound, and ATTACH after its validation."""
    node = case.node["def"]["PartitionCmd"]
    name = case.catalog.resolve(relation(node["name"]))
    keys = case.table.keys if case.table else ()
    conditions = _conditions(keys, node["bound"])
    child = case.catalog.tables.get(name)
    if not conditions or child is None:
        return advice(_UNKNOWN_BOUND.format(name[1]))
    return _after_check(case, child, node["name"], _joined("AND_EXPR", [is_set(keys[0]), *conditions]))


def added_after_check(case: Case, parent: Name, bound: Node, default: Table) -> Safer:
    """Returns a CHECK that excludes a bound from the DEFAULT partition, and the statement after its validation."""
    expression = excluding(case, parent, bound)
    if expression is None or case.statement.inner:
        return advice(_EXCLUDES.format(default.name[1]))
    return _after_check(case, default, named(case, default.name), expression)


def excluding(case: Case, parent: Name, bound: Node) -> Node | None:
    """Returns the condition of a single key outside a bound, by which the server proves that no row is in it."""
    table = case.catalog.tables.get(parent)
    conditions = _conditions(table.keys if table else (), bound, inside=False)
    return _joined("OR_EXPR", conditions) if conditions else None


def _after_check(case: Case, table: Table, written: Node, expression: Node) -> Safer:
    """Returns three files: a CHECK NOT VALID, its validation, and the statement with the removal of the CHECK."""
    written = {**written, "inh": True}
    name = free_constraint(table, "", "bound")
    return in_place(
        case,
        [altered_table(written, add(check(name, expression)))],
        [altered_table(written, validate(name))],
        [whole(case), altered_table(written, drop_constraint(name))],
    )


def _conditions(keys: tuple[str, ...], bound: Node, *, inside: bool = True) -> list[Node]:
    """Returns the comparisons of a single key with the values of a bound, or of a key outside it; empty for others."""
    if len(keys) != 1 or not keys[0] or bound.get("is_default"):
        return []
    if bound.get("strategy") == "l":
        values = bound.get("listdatums", [])
        is_null = any(value.get("A_Const", {}).get("isnull") for value in values)
        return [] if is_null else [_compared("AEXPR_IN", "=" if inside else "<>", keys[0], {"List": {"items": values}})]
    if bound.get("strategy") != "r":
        return []
    ends = ((bound["lowerdatums"][0], ">=" if inside else "<"), (bound["upperdatums"][0], "<" if inside else ">="))
    return [_compared("AEXPR_OP", operator, keys[0], datum) for datum, operator in ends if not _is_infinite(datum)]


def _is_infinite(datum: Node) -> bool:
    return strings(datum.get("ColumnRef", {}).get("fields", ()))[-1:] in (["minvalue"], ["maxvalue"])


def _compared(kind: str, operator: str, column: str, value: Node) -> Node:
    return {"A_Expr": {"kind": kind, "name": [text(operator)], "lexpr": column_ref(column), "rexpr": value}}


def _joined(operator: str, conditions: list[Node]) -> Node:
    return conditions[0] if len(conditions) == 1 else {"BoolExpr": {"boolop": operator, "args": conditions}}


def attached_after_index(case: Case, child: Table, index: Index) -> Safer:
    """Returns an index like that of the partitioned table, built CONCURRENTLY, and the statement."""
    if index.constraint or index.expressions or index.predicate or any(index.options) or "" in index.columns:
        return advice(f"first create an index like {index.name[1]} on {child.name[1]} concurrently")
    written = {**case.node["def"]["PartitionCmd"]["name"], "inh": True}
    order = {"ordering": "SORTBY_DEFAULT", "nulls_ordering": "SORTBY_NULLS_DEFAULT"}
    columns, including = (
        [{"IndexElem": {"name": name, **order}} for name in names] for names in (index.columns, index.include)
    )
    taken = taken_in(case.catalog, child.name[0])
    build = {
        "idxname": free_name(child.name[1], "_".join((*index.columns, *index.include)), "idx", taken),
        "relation": written,
        "indexParams": columns,
        "concurrent": True,
        **({"indexIncludingParams": including} if including else {}),
        **({"unique": True} if index.unique else {}),
        **({"accessMethod": index.method} if index.method != "btree" else {}),
    }
    return in_place(case, [{"IndexStmt": build}], [whole(case)])


def created_alone(case: Case, parent: Name) -> Safer:
    """Returns CREATE TABLE … (LIKE …) and ATTACH PARTITION."""
    node = case.node
    if any(node.get(field) for field in ("if_not_exists", "tableElts")) or case.statement.inner:
        return advice(_LIKE.format(parent[1]))
    written = node["inhRelations"][0]["RangeVar"]
    like = {"TableLikeClause": {"relation": written, "options": _INCLUDING}}
    kept = {field: value for field, value in node.items() if field not in ("inhRelations", "partbound")}
    attach = {"subtype": "AT_AttachPartition", "behavior": "DROP_RESTRICT"}
    command = {
        **attach,
        "def": {"PartitionCmd": {"name": {**node["relation"], "inh": True}, "bound": node["partbound"]}},
    }
    return in_place(
        case, [{"CreateStmt": {**kept, "tableElts": [like]}}, altered_table({**written, "inh": True}, command)]
    )
