"""The columns, constraints and indexes that definitions in CREATE TABLE and ALTER TABLE create."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.schema import limits
from sqlmigrate.lint.schema.catalog import Catalog, Column, Constraint, Creation, Index, Table
from sqlmigrate.lint.schema.datatype import is_serial, type_of
from sqlmigrate.lint.schema.interpret.names import constraint_name, taken_in
from sqlmigrate.lint.schema.replacing import replace
from sqlmigrate.lint.schema.typenames import type_in
from sqlmigrate.sql.tree import bodies, by_identity, columns_in, relation, strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlmigrate.sql.parser import Node

KINDS = {
    "CONSTR_CHECK": "check",
    "CONSTR_NOTNULL": "not null",
    "CONSTR_PRIMARY": "primary",
    "CONSTR_UNIQUE": "unique",
    "CONSTR_FOREIGN": "foreign",
    "CONSTR_EXCLUSION": "exclude",
}
_BACKED = ("primary", "unique", "exclude")
_NOT_NULL = ("CONSTR_NOTNULL", "CONSTR_PRIMARY", "CONSTR_IDENTITY")


def new_column(catalog: Catalog, node: Node, created: Creation) -> Column:
    """Returns the column that a ColumnDef creates, without its constraints."""
    type_ = type_in(catalog, node["typeName"]) if "typeName" in node else None
    return replace(column_of(node), type=type_, created=created)


@by_identity
def column_of(node: Node) -> Column:
    """Returns the column of a ColumnDef, without its constraints, and with its type as it is written."""
    constraints = {body["contype"]: body for body in column_constraints(node)}
    generated = constraints.get("CONSTR_GENERATED")
    serial = "typeName" in node and is_serial(node["typeName"])
    default = (generated or constraints.get("CONSTR_DEFAULT", {})).get("raw_expr")
    return Column(
        name=node.get("colname", ""),
        type=type_of(node["typeName"]) if "typeName" in node else None,
        not_null=serial or not constraints.keys().isdisjoint(_NOT_NULL),
        default={"SerialDefault": {}} if serial else default,
        identity=constraints.get("CONSTR_IDENTITY", {}).get("generated_when", ""),
        generated=generated_kind(generated) if generated else "",
        collation=collation_of(node),
    )


def collation_of(node: Node) -> str:
    """Returns the collation of a ColumnDef as written, or an empty text."""
    return ".".join(strings(node.get("collClause", {}).get("collname", [])))


def generated_kind(node: Node) -> str:
    """Returns whether a generated column is stored or virtual; the default is virtual since PostgreSQL 18."""
    return "stored" if node.get("generated_kind") == "s" else "virtual"


def column_constraints(node: Node) -> list[Node]:
    """Returns the bodies of the Constraint nodes of a ColumnDef; NOT ENFORCED is part of the one before it."""
    constraints = bodies(node, "constraints")
    for at, attribute in enumerate(constraints):
        if attribute["contype"] == "CONSTR_ATTR_NOT_ENFORCED" and at:
            constraints[at - 1] = {**constraints[at - 1], "is_enforced": False, "skip_validation": True}
    return constraints


def constraint_of(node: Node, column: str, catalog: Catalog, created: Creation | None) -> Constraint:
    """Returns the constraint of a Constraint node; `column` is the column of a column constraint, or empty."""
    kind = KINDS[node["contype"]]
    return Constraint(
        name=node.get("conname", ""),
        kind=kind,
        columns=constrained_columns(node, column),
        valid=not node.get("skip_validation", False),
        enforced=kind not in ("check", "foreign") or bool(node.get("is_enforced")),
        expression=node.get("raw_expr"),
        references=catalog.resolve(relation(node["pktable"])) if "pktable" in node else None,
        referenced=tuple(strings(node.get("pk_attrs", ()))),
        no_inherit=bool(node.get("is_no_inherit")),
        on_delete=node.get("fk_del_action", ""),
        created=created,
    )


def constrained_columns(node: Node, column: str = "") -> tuple[str, ...]:
    """Returns the columns of a constraint, without the columns in the expressions of an exclusion constraint."""
    listed = strings(node.get("keys", ())) or strings(node.get("fk_attrs", ()))
    if "exclusions" in node:
        elements = (item["List"]["items"][0].get("IndexElem", {}) for item in node["exclusions"])
        listed = [element["name"] for element in elements if "name" in element]
    if node["contype"] == "CONSTR_CHECK":
        return tuple(columns_in(node.get("raw_expr")))
    return tuple(listed) or ((column,) if column else ())


def add_constraint(catalog: Catalog, table: Table, node: Node, column: str, created: Creation | None) -> Table:
    """Returns the table with a further constraint, its index, and the columns that it makes NOT NULL.

    An unnamed NOT NULL of a column is stored only as `Column.not_null`.
    """
    if node["contype"] not in KINDS or (column and node["contype"] == "CONSTR_NOTNULL" and "conname" not in node):
        return table
    if len(table.constraints) > limits.PARTS:  # the catalog keeps no more
        return table
    constraint = constraint_of(node, column, catalog, created)
    used = index_used(catalog, table, node)
    if used is not None:
        name = constraint.name or used.name[1]
        constraint = replace(constraint, name=name, columns=used.columns)
        table = _rename_index(catalog, table, used, replace(used, name=(table.name[0], name), constraint=True))
    elif not constraint.name:
        name = constraint_name(table.name[1], constraint, _taken(catalog, table, constraint))
        constraint = replace(constraint, name=name)
    kept = without(table.constraints, constraint.name)
    behind = (_index_behind(table, constraint, node, created),) if constraint.kind in _BACKED and used is None else ()
    not_null = constraint.columns if constraint.kind in ("primary", "not null") and constraint.valid else ()
    table = replace(table, constraints=(*kept, constraint), indexes=(*table.indexes, *behind))
    return with_not_null(table, not_null) if not_null else table


def changed(constraints: Iterable[Constraint], old: str, **values: Any) -> tuple[Constraint, ...]:
    """Returns the constraints, the one called `old` with other values."""
    return tuple(replace(constraint, **values) if constraint.name == old else constraint for constraint in constraints)


def without(constraints: Iterable[Constraint], name: str) -> tuple[Constraint, ...]:
    """Returns the constraints except that of the given name."""
    return tuple(constraint for constraint in constraints if constraint.name != name)


def index_used(catalog: Catalog, table: Table, node: Node) -> Index | None:
    """Returns the index that a constraint uses (USING INDEX); an unknown index is assumed to be unique."""
    if "indexname" not in node:
        return None
    name = (table.name[0], node["indexname"])
    return catalog.index(name) or Index(name, table.name, unique=True)


def with_not_null(table: Table, names: tuple[str, ...], *, not_null: bool = True) -> Table:
    """Returns the table with NOT NULL of some columns set or dropped."""
    columns = dict(table.columns)
    for name in names:
        column = columns.get(name) or Column(name)
        columns[name] = column if column.not_null is not_null else replace(column, not_null=not_null)
    return replace(table, columns=columns)


def _taken(catalog: Catalog, table: Table, constraint: Constraint) -> Callable[[str], bool]:
    """Returns a test for taken names: constraint names are unique in their table, index names in their schema."""
    names = {constraint.name for constraint in table.constraints}
    if constraint.kind not in _BACKED:
        return names.__contains__
    is_relation = taken_in(catalog, table.name[0])
    return lambda name: name in names or is_relation(name)


def _index_behind(table: Table, constraint: Constraint, node: Node, created: Creation | None) -> Index:
    return Index(
        name=(table.name[0], constraint.name),
        table=table.name,
        columns=constraint.columns,
        unique=constraint.kind != "exclude",
        method=node.get("access_method", "btree") if constraint.kind == "exclude" else "btree",
        predicate=node.get("where_clause"),
        include=tuple(strings(node.get("including", ()))),
        constraint=True,
        created=created,
    )


def _rename_index(catalog: Catalog, table: Table, old: Index, new: Index) -> Table:
    catalog.index_tables.pop(old.name, None)
    return replace(table, indexes=(*(index for index in table.indexes if index.name != old.name), new))
