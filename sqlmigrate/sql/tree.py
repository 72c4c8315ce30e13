"""Reading parse trees: names, columns and calls in them. Pure."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlmigrate.sql.parser import Node


def kind_and_body(node: Node) -> tuple[str, Any]:
    """Kind and body of a node."""
    return next(iter(node.items()))


def strings(nodes: Sequence[Node]) -> list[str]:
    """The texts of a list of String nodes; anything else in it is left out."""
    return [node["String"].get("sval", "") for node in nodes if "String" in node]


def qualified(nodes: Sequence[Node]) -> tuple[str, str]:
    """Schema (or empty) and name of a list of String nodes."""
    parts = strings(nodes)
    return (parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "")


def relation(node: Node) -> tuple[str, str]:
    """Schema (or empty) and name of a RangeVar."""
    return node.get("schemaname", ""), node.get("relname", "")


def walk(node: Any) -> Iterable[tuple[str, Node]]:
    """Every node in a tree with its kind, from the top down, in the order in which it is written."""
    if isinstance(node, dict):
        return _walked(node)
    return chain.from_iterable(map(walk, node)) if isinstance(node, list | tuple) else ()


# A dozen rules walk the same few trees, one statement after the other; nothing changes a tree. A large one is let go.
_KEPT = 256
_LARGE = 5000
_last: dict[int, tuple[Node, list[tuple[str, Node]]]] = {}


def _walked(node: Node) -> list[tuple[str, Node]]:
    known = _last.get(id(node))
    if known is None or known[0] is not node:
        known = node, _nodes(node)
        if len(_last) >= _KEPT:
            _last.clear()
        if len(known[1]) <= _LARGE:
            _last[id(node)] = known
    return known[1]


def _nodes(node: Node) -> list[tuple[str, Node]]:
    found, stack = [], [node]
    while stack:
        part = stack.pop()
        if type(part) is not dict:
            continue
        below = []
        for kind, body in part.items():
            if type(body) is dict:
                found.append((kind, body))
                below.append(body)
            elif type(body) is list:
                below += body
        stack += below[::-1]
    return found


def columns_in(expression: Any) -> list[str]:
    """The names of the columns that an expression reads, each once, unqualified."""
    found: dict[str, None] = {}
    for kind, body in walk(expression):
        if kind == "ColumnRef" and (parts := strings(body.get("fields", []))):
            found[parts[-1]] = None
    return list(found)


def relations_in(query: Any) -> list[tuple[str, str]]:
    """Schema and name of each relation that a statement names; those of WITH are none."""
    ctes = set()
    names: dict[tuple[str, str], None] = {}
    for kind, body in walk(query):
        if kind in ("RangeVar", "relation", "rel", "pktable"):
            names[relation(body)] = None
        elif kind == "CommonTableExpr":
            ctes.add(body.get("ctename"))
    return [name for name in names if name[1] and (name[0] or name[1] not in ctes)]


def options(nodes: Sequence[Node]) -> dict[str, Any]:
    """A list of DefElem nodes as a dict; an option without a value is True."""
    found: dict[str, Any] = {}
    for node in nodes:
        element = node.get("DefElem", {})
        found[element.get("defname", "")] = _value(element["arg"]) if "arg" in element else True
    return found


def is_on(value: Any) -> bool:
    """Whether an option of `options` is on, by the rules of PostgreSQL's defGetBoolean."""
    return value is True or str(value).lower() in ("true", "on", "1")


def constant(node: Node) -> Any:
    """The value of a constant: a string, a number, a boolean; None for NULL and for what is no constant."""
    if "TypeCast" in node:
        return constant(node["TypeCast"].get("arg", {}))
    body = node.get("A_Const")
    if body is None or body.get("isnull"):
        return None
    for key, name in (("sval", "sval"), ("ival", "ival"), ("fval", "fval"), ("boolval", "boolval"), ("bsval", "bsval")):
        if key in body:
            return body[key].get(name, {"sval": "", "ival": 0, "boolval": False}.get(key, ""))
    return None


def _value(argument: Node) -> Any:
    kind, body = kind_and_body(argument)
    match kind:
        case "String":
            return body.get("sval", "")
        case "Integer":
            return body.get("ival", 0)
        case "Boolean":
            return body.get("boolval", False)
        case "List":
            return [_value(item) for item in body.get("items", [])]
    return argument
