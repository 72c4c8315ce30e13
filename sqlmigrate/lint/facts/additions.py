"""The constraints that CREATE TABLE, ADD COLUMN or ADD CONSTRAINT add, read once for all rules. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.sql.parser import Node


class Addition(NamedTuple):
    """A constraint, a default or a generation expression; `column` is the ColumnDef that contains it, or empty."""

    kind: str
    body: Node
    column: Node


def additions(case: Case) -> list[Addition]:
    """Returns what a statement, or a subcommand of ALTER TABLE, adds to a table or a domain."""
    if not _recent or _recent[0][0] is not case.node:
        _recent[:] = [(case.node, _additions(case))]
    return _recent[0][1]


# Several rules ask one after the other about the same node.
_recent: list[tuple[Node, list[Addition]]] = []


def _additions(case: Case) -> list[Addition]:
    node = case.node
    if case.kind == "CreateDomainStmt":
        return [_addition(item["Constraint"], {}) for item in node.get("constraints", ())]
    added = []
    for item in node.get("tableElts", ()) if case.kind == "CreateStmt" else (node.get("def", {}),):
        if "ColumnDef" in item:
            column = item["ColumnDef"]
            added += [_addition(inner["Constraint"], column) for inner in column.get("constraints", ())]
        elif "Constraint" in item:
            added.append(_addition(item["Constraint"], {}))
    return added


def _addition(body: Node, column: Node) -> Addition:
    return Addition(body["contype"], body, column)
