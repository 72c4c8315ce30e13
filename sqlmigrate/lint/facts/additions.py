"""What CREATE TABLE, ADD COLUMN or ADD CONSTRAINT add, read once for all rules: constraints, types. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.schema.datatype import type_of
from sqlmigrate.sql.tree import by_identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node


class Addition(NamedTuple):
    """A constraint, a default or a generation expression; `column` is the ColumnDef that contains it, or empty."""

    kind: str
    body: Node
    column: Node


def additions(case: Case) -> list[Addition]:
    """Returns what a statement, or a subcommand of ALTER TABLE, adds to a table or a domain."""
    return _additions(case.node)


def column_types(case: Case) -> dict[str, Type | None]:
    """Returns the types of the columns of a case's table, with those of the columns that the statement defines."""
    if case.kind == "CreateStmt":
        return _types(case.node)
    existing = case.table.columns if case.table is not None else {}
    return {name: column.type for name, column in existing.items()} | _types(case.node)


@by_identity
def _types(node: Node) -> dict[str, Type | None]:
    columns = (item["ColumnDef"] for item in _elements(node) if "ColumnDef" in item)
    return {column.get("colname", ""): type_of(column["typeName"]) for column in columns if "typeName" in column}


def _elements(node: Node) -> Sequence[Node]:
    """Returns the definitions of columns and constraints in CREATE TABLE or in a subcommand of ALTER TABLE."""
    return node.get("tableElts", ()) or (node.get("def", {}),)


@by_identity
def _additions(node: Node) -> list[Addition]:
    if "domainname" in node:
        return [_addition(item["Constraint"], {}) for item in node.get("constraints", ())]
    added = []
    for item in _elements(node):
        if "ColumnDef" in item:
            column = item["ColumnDef"]
            added += [_addition(inner["Constraint"], column) for inner in column.get("constraints", ())]
        elif "Constraint" in item:
            added.append(_addition(item["Constraint"], {}))
    return added


def _addition(body: Node, column: Node) -> Addition:
    return Addition(body["contype"], body, column)
