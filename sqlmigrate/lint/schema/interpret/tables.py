"""The changes that CREATE TABLE and ALTER TABLE make to the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.schema.catalog import Catalog, Column, Creation, Index, Name, Table
from sqlmigrate.lint.schema.interpret.definitions import (
    add_constraint,
    changed,
    collation_of,
    column_constraints,
    new_column,
    with_not_null,
    without,
)
from sqlmigrate.lint.schema.interpret.dropping import drop_readers
from sqlmigrate.lint.schema.interpret.names import free_name
from sqlmigrate.lint.schema.replacing import replace
from sqlmigrate.lint.schema.typenames import type_in
from sqlmigrate.sql.tree import bodies, columns_in, definition, relation

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.sql.parser import Node

_LIKE_CONSTRAINTS, _LIKE_DEFAULTS, _LIKE_GENERATED, _LIKE_IDENTITY, _LIKE_INDEXES = (1 << bit for bit in range(2, 7))


def create_table(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE TABLE and CREATE FOREIGN TABLE."""
    name = new_name(catalog, node["relation"])
    if node.get("if_not_exists") and name in catalog.tables:
        return
    table = Table(
        name,
        persistence=node["relation"].get("relpersistence", "p"),
        tablespace=node.get("tablespacename", ""),
        method=node.get("accessMethod", ""),
        created=created,
    )
    if "partspec" in node:
        keys = tuple(key.get("name", "") for key in bodies(node["partspec"], "partParams"))
        table = replace(table, kind="partitioned", keys=keys)
    for parent in node.get("inhRelations", ()):
        table = _inherit(catalog, table, catalog.resolve(relation(parent["RangeVar"])), created, node.get("partbound"))
    if "ofTypename" in node:
        table = replace(table, partial=True)
    columns = dict(table.columns)
    for element in node.get("tableElts", ()):
        if "ColumnDef" in element:
            column = _merged(new_column(catalog, element["ColumnDef"], created), columns)
            columns[column.name] = column
        elif "TableLikeClause" in element:
            table = _like(catalog, replace(table, columns=columns), element["TableLikeClause"], created)
            columns = dict(table.columns)
    table = replace(table, columns=columns)
    for column_name, constraint in sorted(_constraints(node), key=lambda pair: pair[1]["contype"] != "CONSTR_PRIMARY"):
        table = add_constraint(catalog, table, constraint, column_name, created)
    catalog.put(table)


def new_name(catalog: Catalog, node: Node) -> Name:
    """Returns the name of a relation to create, by default in the first schema of the search_path."""
    schema, name = relation(node)
    if node.get("relpersistence") == "t":
        return "pg_temp", name
    return catalog.name_to_create((schema, name))


def alter_table(catalog: Catalog, name: Name, command: Node, created: Creation) -> None:
    """Applies one subcommand of ALTER TABLE."""
    change = _CHANGES.get(command["subtype"])
    if change is not None:
        catalog.put(change(catalog, catalog.touch(name), command, created))


def _constraints(node: Node) -> list[tuple[str, Node]]:
    """Returns the constraints in a CREATE TABLE, a column constraint with the name of its column."""
    constraints = []
    for element in node.get("tableElts", ()):
        if "ColumnDef" in element:
            column = element["ColumnDef"]
            constraints += [(column.get("colname", ""), body) for body in column_constraints(column)]
        elif "Constraint" in element:
            constraints.append(("", element["Constraint"]))
    return constraints


def _merged(column: Column, inherited: dict[str, Column]) -> Column:
    """Returns a column definition of a partition, completed by the inherited column of the same name."""
    parent = inherited.get(column.name)
    if parent is None or column.type is not None:
        return column
    return replace(parent, default=column.default or parent.default)


def _inherit(catalog: Catalog, table: Table, parent: Name, created: Creation, bound: Node | None) -> Table:
    if bound is not None:
        catalog.put(_partitioned(catalog.touch(parent)))
    known = catalog.tables.get(parent)
    table = replace(table, parents=(*table.parents, parent), bound=bound)
    if known is None:
        return replace(table, partial=True)
    columns = {**known.columns, **table.columns}
    table = replace(table, columns=columns, partial=table.partial or known.partial)
    inherited = tuple(
        constraint
        for constraint in known.constraints
        if constraint.kind in ("check", "not null") and not constraint.no_inherit
    )
    table = replace(table, constraints=(*table.constraints, *inherited))
    if bound is not None:
        table = _with_indexes_of(catalog, table, known, created, parent=True)
    return table


def _with_indexes_of(catalog: Catalog, table: Table, source: Table, created: Creation, *, parent: bool) -> Table:
    """Returns the table with copies of the source's indexes and of the constraints behind them."""
    primary = source.primary_key
    for index in source.indexes:
        keys = "_".join(column or "expr" for column in index.columns)
        label = "idx" if not index.constraint else "pkey" if primary and primary.name == index.name[1] else "key"
        taken = {index.name[1] for index in table.indexes}
        name = free_name(table.name[1], "" if label == "pkey" else keys, label, taken.__contains__)
        copy = replace(
            index, name=(table.name[0], name), table=table.name, created=created, parent=index.name if parent else None
        )
        constraint = source.constraint(index.name[1]) if index.constraint else None
        added = () if constraint is None else (replace(constraint, name=name, created=created),)
        table = replace(table, indexes=(*table.indexes, copy), constraints=(*table.constraints, *added))
        catalog.index_tables[copy.name] = table.name
    return table


def _like(catalog: Catalog, table: Table, node: Node, created: Creation) -> Table:
    source = catalog.table(relation(node["relation"]))
    if source is None:
        return replace(table, partial=True)
    options = node.get("options", 0)
    columns = {name: _copied(column, options, created) for name, column in source.columns.items()}
    kinds = ("not null", "check") if options & _LIKE_CONSTRAINTS else ("not null",)
    constraints = tuple(constraint for constraint in source.constraints if constraint.kind in kinds)
    table = replace(
        table,
        columns={**table.columns, **columns},
        constraints=(*table.constraints, *constraints),
        partial=table.partial or source.partial,
    )
    return _with_indexes_of(catalog, table, source, created, parent=False) if options & _LIKE_INDEXES else table


def _copied(column: Column, options: int, created: Creation) -> Column:
    keeps_default = options & (_LIKE_GENERATED if column.generated else _LIKE_DEFAULTS)
    return replace(
        column,
        default=column.default if keeps_default else None,
        generated=column.generated if options & _LIKE_GENERATED else "",
        identity=column.identity if options & _LIKE_IDENTITY else "",
        created=created,
    )


def _add_column(catalog: Catalog, table: Table, command: Node, created: Creation) -> Table:
    node = definition(command)
    column = new_column(catalog, node, created)
    if command.get("missing_ok") and column.name in table.columns:
        return table
    table = replace(table, columns={**table.columns, column.name: column})
    for constraint in column_constraints(node):
        table = add_constraint(catalog, table, constraint, column.name, created)
    return table


def _drop_column(catalog: Catalog, table: Table, command: Node, _: Creation) -> Table:
    """Drops a column with its indexes, constraints and sequences, also in the partitions."""
    name = command["name"]
    columns = {key: column for key, column in table.columns.items() if key != name}
    indexes = tuple(index for index in table.indexes if name not in index_columns(index))
    for index in table.indexes:
        if index not in indexes:
            catalog.index_tables.pop(index.name, None)
            catalog.dropped.add(index.name)
    constraints = tuple(constraint for constraint in table.constraints if name not in constraint.columns)
    catalog.drop_owned(table.name, name)
    table = replace(table, columns=columns, indexes=indexes, constraints=constraints)
    catalog.put(table)
    if command.get("behavior") == "DROP_CASCADE":
        drop_readers(catalog, table.name, name)
    for child in catalog.children(table.name):
        if child.bound is not None and (
            name in child.columns or any(name in index_columns(index) for index in child.indexes)
        ):
            catalog.put(_drop_column(catalog, child, command, _))
    return table


def index_columns(index: Index) -> set[str]:
    """Returns the columns that an index depends on: keys, INCLUDE, expressions and predicate."""
    read = columns_in([*index.expressions, index.predicate or {}])
    return {*index.columns, *index.include, *read} - {""}


def _column_change(
    change: Callable[[Catalog, Column, Node], Column],
) -> Callable[[Catalog, Table, Node, Creation], Table]:
    """Returns a function that applies a subcommand that changes one column."""

    def apply(catalog: Catalog, table: Table, command: Node, _: Creation) -> Table:
        name = command.get("name", "")
        column = table.columns.get(name) or Column(name)
        return replace(table, columns={**table.columns, name: change(catalog, column, command)})

    return apply


def _retyped(catalog: Catalog, column: Column, command: Node) -> Column:
    node = definition(command)
    return replace(column, type=type_in(catalog, node["typeName"]), collation=collation_of(node))


def _add_identity(_: Catalog, column: Column, command: Node) -> Column:
    return replace(column, identity=definition(command).get("generated_when", "d"), not_null=True)


def _drop_not_null(_: Catalog, table: Table, command: Node, __: Creation) -> Table:
    table = with_not_null(table, (command["name"],), not_null=False)
    dropped = ("not null", (command["name"],))
    return replace(
        table,
        constraints=tuple(
            constraint for constraint in table.constraints if (constraint.kind, constraint.columns) != dropped
        ),
    )


def _add_constraint(catalog: Catalog, table: Table, command: Node, created: Creation) -> Table:
    return add_constraint(catalog, table, definition(command), "", created)


def _drop_constraint(catalog: Catalog, table: Table, command: Node, _: Creation) -> Table:
    name = command["name"]
    dropped = table.constraint(name)
    if dropped is None and (unnamed := _not_null_by_name(table, name)):
        return with_not_null(table, (unnamed,), not_null=False)
    catalog.dropped_constraints.add((table.name[0], name))
    if catalog.index_tables.get((table.name[0], name)) == table.name:
        catalog.index_tables.pop((table.name[0], name))
        catalog.dropped.add((table.name[0], name))
    table = replace(
        table,
        constraints=without(table.constraints, name),
        validated=tuple(constraint for constraint in table.validated if constraint != name),
        indexes=tuple(index for index in table.indexes if index.name[1] != name or not index.constraint),
    )
    return with_not_null(table, dropped.columns, not_null=False) if dropped and dropped.kind == "not null" else table


def _not_null_by_name(table: Table, name: str) -> str:
    """Returns the column whose unnamed NOT NULL constraint has this name since PostgreSQL 18."""
    return next((column for column in table.columns if f"{table.name[1]}_{column}_not_null" == name), "")


def _validate(_: Catalog, table: Table, command: Node, __: Creation) -> Table:
    name = command["name"]
    if table.constraint(name) is None and not name.endswith("_fkey"):
        return replace(table, validated=(*table.validated, name))
    table = replace(table, constraints=changed(table.constraints, name, valid=True))
    valid = table.constraint(name)
    return with_not_null(table, valid.columns) if valid and valid.kind == "not null" else table


def _attach(catalog: Catalog, table: Table, command: Node, _: Creation) -> Table:
    node = definition(command)
    child = catalog.touch(relation(node["name"]))
    catalog.put(replace(child, parents=(*child.parents, table.name), bound=node.get("bound", {})))
    return _partitioned(table)


def _partitioned(table: Table) -> Table:
    """Returns the table as a partitioned one: it has or had a partition."""
    return table if table.kind == "partitioned" else replace(table, kind="partitioned")


def _detach(catalog: Catalog, table: Table, command: Node, _: Creation) -> Table:
    child = catalog.touch(relation(definition(command)["name"]))
    kept = tuple(parent for parent in child.parents if parent != table.name)
    attached = {index.name for index in table.indexes}
    indexes = (replace(index, parent=None) if index.parent in attached else index for index in child.indexes)
    catalog.put(replace(child, parents=kept, bound=None, indexes=tuple(indexes)))
    return _partitioned(table)


def _table_change(**values: Any) -> Callable[[Catalog, Table, Node, Creation], Table]:
    return lambda _, table, __, ___: replace(table, **values)


_CHANGES: dict[str, Callable[[Catalog, Table, Node, Creation], Table]] = {
    "AT_AddColumn": _add_column,
    "AT_DropColumn": _drop_column,
    "AT_AlterColumnType": _column_change(_retyped),
    "AT_ColumnDefault": _column_change(lambda _, column, command: replace(column, default=command.get("def"))),
    "AT_SetNotNull": lambda _, table, command, __: with_not_null(table, (command["name"],)),
    "AT_DropNotNull": _drop_not_null,
    "AT_SetExpression": _column_change(lambda _, column, command: replace(column, default=command.get("def"))),
    "AT_DropExpression": _column_change(lambda _, column, __: replace(column, generated="", default=None)),
    "AT_AddIdentity": _column_change(_add_identity),
    "AT_DropIdentity": _column_change(lambda _, column, __: replace(column, identity="")),
    "AT_AddConstraint": _add_constraint,
    "AT_DropConstraint": _drop_constraint,
    "AT_ValidateConstraint": _validate,
    "AT_AttachPartition": _attach,
    "AT_DetachPartition": _detach,
    "AT_SetLogged": _table_change(persistence="p"),
    "AT_SetUnLogged": _table_change(persistence="u"),
    "AT_SetTableSpace": lambda _, table, command, __: replace(table, tablespace=command.get("name", "")),
    "AT_SetAccessMethod": lambda _, table, command, __: replace(table, method=command.get("name", "")),
    "AT_EnableRowSecurity": _table_change(row_security=True),
    "AT_DisableRowSecurity": _table_change(row_security=False),
}
