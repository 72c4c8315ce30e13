"""Whether an expression may return another value for each row: PostgreSQL's pg_proc.provolatile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.sql.builtin import STEADY, VOLATILE
from sqlmigrate.sql.parser import SyntaxFault, parse
from sqlmigrate.sql.tree import options, qualified, walk

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog, Function, Name
    from sqlmigrate.sql.parser import Node

# What keeps PostgreSQL from putting the body of a function in the place of its call.
_OPAQUE = ("set", "security", "strict")


def is_volatile(expression: Any, catalog: Catalog, within: tuple[Name, ...] = ()) -> bool | None:
    """Whether a call in the expression is volatile; None where a function is called that nobody knows.

    `within` are the functions of whose bodies the expression is a part.
    """
    doubt: bool | None = False
    for kind, body in walk(expression):
        if kind == "SerialDefault":
            return True
        if kind == "FuncCall":
            answer = _is_volatile_call(qualified(body.get("funcname", ())), catalog, within)
            if answer:
                return True
            doubt = None if answer is None else doubt
    return doubt


def _is_volatile_call(name: Name, catalog: Catalog, within: tuple[Name, ...]) -> bool | None:
    schema, function = name
    known = None if schema == "pg_catalog" else catalog.function(name)
    if known is not None:
        if known.volatility != "volatile" or known.name in within:
            return False
        expression = _inlined(known)
        return True if expression is None else is_volatile(expression, catalog, (*within, known.name))
    if function in VOLATILE:
        return True
    return False if function in STEADY or schema == "pg_catalog" else None


def _inlined(function: Function) -> Node | None:
    """The expression that PostgreSQL puts in the place of a call, where a function in SQL is no more than that."""
    said = options(function.node.get("options", ())) if function.node is not None else {}
    if function.node is None or function.language != "sql" or not said.keys().isdisjoint(_OPAQUE):
        return None
    if "sql_body" in function.node:
        returned: Node | None = function.node["sql_body"].get("ReturnStmt", {}).get("returnval")
        return returned
    try:
        [tree] = parse(str(said["as"][0]))
    except (SyntaxFault, ValueError, KeyError):
        return None
    query = tree["stmt"].get("SelectStmt", {})
    targets = query.get("targetList", ())
    if len(targets) != 1 or query.keys() - {"targetList", "limitOption", "op"}:
        return None
    expression: Node = targets[0]["ResTarget"].get("val", {})
    return expression
