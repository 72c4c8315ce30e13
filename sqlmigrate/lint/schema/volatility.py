"""The volatility of expressions (pg_proc.provolatile): a volatile default must be computed for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.sql.builtin import STEADY, VOLATILE
from sqlmigrate.sql.parser import SyntaxFault, parse
from sqlmigrate.sql.tree import options, qualified, walk

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog, Function, Name
    from sqlmigrate.sql.parser import Node

# PostgreSQL does not inline a function with one of these options.
_OPAQUE = ("set", "security", "strict")


def is_volatile(expression: Node | None, catalog: Catalog, within: tuple[Name, ...] = ()) -> bool | None:
    """Returns whether an expression calls a volatile function, or None if it calls an unknown function.

    `within` are the inlined functions whose bodies contain the expression.
    """
    result: bool | None = False
    for kind, body in walk(expression):
        if kind == "SerialDefault":
            return True
        if kind == "FuncCall":
            volatile = _is_volatile_call(qualified(body.get("funcname", ())), catalog, within)
            if volatile:
                return True
            result = None if volatile is None else result
    return result


def _is_volatile_call(name: Name, catalog: Catalog, within: tuple[Name, ...]) -> bool | None:
    schema, function = name
    definition = None if schema == "pg_catalog" else catalog.function(name)
    if definition is not None:
        if definition.volatility != "volatile" or definition.name in within:
            return False
        expression = inlined(definition)
        return True if expression is None else is_volatile(expression, catalog, (*within, definition.name))
    if function in VOLATILE:
        return True
    return False if function in STEADY or schema == "pg_catalog" else None


def inlined(function: Function) -> Node | None:
    """Returns the expression that PostgreSQL inlines for a call, or None if it cannot inline the function."""
    if function.node is None or function.language != "sql":
        return None
    attributes = options(function.node.get("options", ()))
    if not attributes.keys().isdisjoint(_OPAQUE):
        return None
    if "sql_body" in function.node:
        returned: Node | None = function.node["sql_body"].get("ReturnStmt", {}).get("returnval")
        return returned
    try:
        [tree] = parse(str(attributes["as"][0]))
    except (SyntaxFault, ValueError, KeyError):
        return None
    query = tree["stmt"].get("SelectStmt", {})
    targets = query.get("targetList", ())
    if len(targets) != 1 or query.keys() - {"targetList", "limitOption", "op"}:
        return None
    expression: Node = targets[0]["ResTarget"].get("val", {})
    return expression
