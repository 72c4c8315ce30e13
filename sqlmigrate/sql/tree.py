"""Functions that read parse trees: names, columns, options and calls. Pure.

A node is a dict with one key, its kind (`RangeVar`), and its body, a dict of fields. A field that can hold only one
kind of node holds the body itself.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlmigrate.sql.parser import Node

T = TypeVar("T")
# The kinds of node in the fields that hold a body.
_KINDS = {
    "base": "CreateStmt",
    "into": "IntoClause",
    "intoClause": "IntoClause",
    "larg": "SelectStmt",
    "rarg": "SelectStmt",
    **dict.fromkeys(("constrrel", "name", "pktable", "rel", "relation", "sequence", "table", "view"), "RangeVar"),
}


def kind_and_body(node: Node) -> tuple[str, Any]:
    """Returns the kind and the body of a node."""
    return next(iter(node.items()))


def bodies(node: Node, field: str) -> list[Node]:
    """Returns the bodies of the nodes in a field that holds a list."""
    return [body for element in node.get(field, ()) for body in element.values()]


def definition(command: Node) -> Node:
    """Returns the body of what a subcommand of ALTER TABLE adds, sets or names."""
    return next(iter(command.get("def", {}).values()), {})


def children(node: Node) -> Iterator[tuple[str, str, Node]]:
    """Yields field, kind and body of each node directly below a body."""
    for field, value in node.items():
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, dict):
                kind = next(iter(child), "")
                yield (field, kind, child[kind]) if kind[:1].isupper() else (field, _KINDS.get(field, ""), child)


def strings(nodes: Iterable[Node]) -> list[str]:
    """Returns the texts of the String nodes in a list."""
    return [node["String"].get("sval", "") for node in nodes if "String" in node]


def qualified(nodes: Sequence[Node]) -> tuple[str, str]:
    """Returns the schema (or an empty text) and the name that a list of String nodes spells."""
    parts = strings(nodes)
    return (parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "")


def relation(node: Node) -> tuple[str, str]:
    """Returns the schema (or an empty text) and the name of a RangeVar."""
    return node.get("schemaname", ""), node.get("relname", "")


def walk(node: Any) -> Iterable[tuple[str, Node]]:
    """Returns every body below a node, parents first, with its kind, or with its field where the field holds a body."""
    if isinstance(node, dict):
        return _walked(node)
    return chain.from_iterable(map(walk, node)) if isinstance(node, list | tuple) else ()


_PLACES = ("location", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end")
# A dozen rules ask the same of the same trees, statement by statement, and nothing changes a tree.
_KEPT = 256
_LARGE = 5000


def by_identity(function: Callable[[Node], T]) -> Callable[[Node], T]:
    """Remembers what a function returned for recent nodes, except large lists."""
    recent: dict[int, tuple[Node, T]] = {}

    def remembered(node: Node) -> T:
        entry = recent.get(id(node))
        if entry is not None and entry[0] is node:
            return entry[1]
        result = function(node)
        if len(recent) >= _KEPT:
            recent.clear()
        if not isinstance(result, list) or len(result) <= _LARGE:
            recent[id(node)] = node, result
        return result

    return remembered


@by_identity
def _walked(node: Node) -> list[tuple[str, Node]]:
    nodes, stack = [], [node]
    while stack:
        part = stack.pop()
        if type(part) is not dict:
            continue
        below = []
        for kind, body in part.items():
            if type(body) is dict:
                nodes.append((kind, body))
                below.append(body)
            elif type(body) is list:
                below += body
        stack += below[::-1]
    return nodes


def unplaced(node: Any) -> Any:
    """Returns a tree without the locations in the text."""
    if isinstance(node, dict):
        return {key: unplaced(value) for key, value in node.items() if key not in _PLACES}
    return [unplaced(item) for item in node] if isinstance(node, list) else node


def columns_in(expression: Any) -> list[str]:
    """Returns the unqualified names of the columns that an expression reads, each name once."""
    columns: dict[str, None] = {}
    for kind, body in walk(expression):
        if kind == "ColumnRef" and (parts := strings(body.get("fields", []))):
            columns[parts[-1]] = None
    return list(columns)


def relations_in(query: Any) -> list[tuple[str, str]]:
    """Returns schema and name of each relation that a statement names, except its common table expressions."""
    ctes = set()
    names: dict[tuple[str, str], None] = {}
    for kind, body in walk(query):
        if kind in ("RangeVar", "relation", "rel", "pktable"):
            names[relation(body)] = None
        elif kind == "CommonTableExpr":
            ctes.add(body.get("ctename"))
    return [name for name in names if name[1] and (name[0] or name[1] not in ctes)]


def options(nodes: Iterable[Node]) -> dict[str, Any]:
    """Returns a list of DefElem nodes as a dict; the value of an option without an argument is True."""
    values: dict[str, Any] = {}
    for node in nodes:
        element = node.get("DefElem", {})
        values[element.get("defname", "")] = _value(element["arg"]) if "arg" in element else True
    return values


def is_on(value: object) -> bool:
    """Returns whether a value of `options` is true, by the rules of PostgreSQL's defGetBoolean."""
    return value is True or str(value).lower() in ("true", "on", "1")


def constant(node: Node) -> Any:
    """Returns the value of a constant: a text, a number or a boolean; None for NULL and for any other expression."""
    if "TypeCast" in node:
        return constant(node["TypeCast"].get("arg", {}))
    body = node.get("A_Const")
    if body is None or body.get("isnull"):
        return None
    for key in ("sval", "ival", "fval", "boolval", "bsval"):
        if key in body:
            return body[key].get(key, {"sval": "", "ival": 0, "boolval": False}.get(key, ""))
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
