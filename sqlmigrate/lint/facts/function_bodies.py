"""The queries in the body of a new function in SQL, which the server checks when it creates the function."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmigrate.sql.parser import SyntaxFault, TooDeep, parse
from sqlmigrate.sql.tree import bodies, kind_and_body, options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.rule import Case
    from sqlmigrate.sql.parser import Node

_QUERIES = ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt")
_OFF = ("off", "false", "no", "0")


def queries_in(case: Case) -> list[Case]:
    """Returns the statements of the function that a case creates; none if a setting keeps them from being checked.

    Nothing is known of a body that changes the schema or that resolves names by a setting of the function.
    """
    if str(case.state.setting("check_function_bodies")).lower() in _OFF:
        return []
    if any(body.get("defname") == "set" for body in bodies(case.node, "options")):
        return []
    statements = list(_statements(case.node))
    if any(kind not in _QUERIES for kind, _ in statements):
        return []
    return [replace(case, kind=kind, node=body) for kind, body in statements]


def parameters(node: Node) -> set[str]:
    """Returns the names of the parameters of a function, which its body can use like columns."""
    return {body.get("name", "") for body in bodies(node, "parameters")}


def _statements(node: Node) -> Iterator[tuple[str, Node]]:
    if "sql_body" in node:
        for part in node["sql_body"].get("List", {}).get("items", ()):
            yield from (kind_and_body(item) for item in part.get("List", {}).get("items", ()))
        return
    definition = options(node.get("options", ()))
    text = definition.get("as", "")
    if str(definition.get("language", "")).lower() != "sql" or not isinstance(text, list) or len(text) != 1:
        return
    try:
        parsed = parse(str(text[0]))
    except (SyntaxFault, TooDeep):
        return
    yield from (kind_and_body(item["stmt"]) for item in parsed if "stmt" in item)
