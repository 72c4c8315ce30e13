"""PostgreSQL's parse tree of a statement, and what is read off it."""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.sql.parser import Node, SyntaxFault, parse, parse_plpgsql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# Fields that can hold only one kind of node, which the tree then does not name.
_KINDS = {
    "base": "CreateStmt",
    "constrrel": "RangeVar",
    "into": "IntoClause",
    "intoClause": "IntoClause",
    "larg": "SelectStmt",
    "name": "RangeVar",
    "pktable": "RangeVar",
    "rarg": "SelectStmt",
    "rel": "RangeVar",
    "relation": "RangeVar",
    "sequence": "RangeVar",
    "table": "RangeVar",
    "typeName": "TypeName",
    "view": "RangeVar",
    "withClause": "WithClause",
}
# How PL/pgSQL has an expression parsed: as a statement, as a value, or as `target := value`.
_AS_STATEMENT, _AS_VALUE = 0, 2
_ASSIGNED = re.compile(r".*?:?=", re.DOTALL)


class Unreadable(Exception):
    """A text of which there is no tree. Nobody outside sees it: what is not read is told by `Run.untold`."""


class Run(NamedTuple):
    """The statements that one statement runs, and why there are others that can't be told."""

    statements: tuple[Any, ...]
    untold: str = ""


class Tree:
    """A node: its fields by PostgreSQL's own names for them; one that is not there reads as empty, at any depth."""

    __slots__ = ("_body", "_kind")

    def __init__(self, kind: str, body: Node) -> None:
        self._kind = kind
        self._body = body

    def __getattr__(self, field: str) -> Any:
        return _grown(field, self._body.get(field, _NOTHING))

    def __bool__(self) -> bool:
        return self is not _NOTHING

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __str__(self) -> str:
        return ""


_NOTHING = Tree("", {})


def _grown(field: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_grown(field, element) for element in value)
    if not isinstance(value, dict):
        return value
    kind = next(iter(value), "")
    return Tree(kind, value[kind]) if kind[:1].isupper() else Tree(_KINDS.get(field, ""), value)


@lru_cache(maxsize=1)  # several questions are asked of one statement after the other
def runs(sql: str) -> Run:
    """The trees of a statement: those within a DO block or a CREATE SCHEMA for themselves."""
    try:
        trees = parsed(sql)
    except Unreadable as error:
        return Run((), f"can't be read: {error}")
    if len(trees) == 1 and kind(trees[0]) == "DoStmt":
        return _runs_in_block(sql, trees[0])
    schema_elements = (element for tree in trees if kind(tree) == "CreateSchemaStmt" for element in tree.schemaElts)
    return Run((*trees, *schema_elements))


def parsed(sql: str) -> tuple[Any, ...]:
    """The trees of statements.

    Raises:
        Unreadable: the grammar does not know it, or the parser can't hand it over.
    """
    try:
        return tuple(_grown("stmt", raw["stmt"]) for raw in parse(sql))
    except SyntaxFault as fault:
        raise Unreadable(fault.message) from fault


def parsed_body(sql: str) -> tuple[Any, ...]:
    """The trees of a function's body, which PostgreSQL has not checked where `check_function_bodies` is off."""
    try:
        return parsed(sql)
    except Unreadable:
        return ()


def _runs_in_block(sql: str, block: Any) -> Run:
    options = {option.defname: str(option.arg.sval) for option in block.args}
    language = options.get("language", "plpgsql")
    if language != "plpgsql":
        return Run((), f"runs a DO block in {language}, which is not looked at")
    try:
        block_tree = parse_plpgsql(sql)
        found = [tree for part in _expressions(block_tree) for tree in _parsed_expression(part)]
    except (Unreadable, SyntaxFault) as error:
        return Run((), f"runs a DO block that can't be read without its database: {error}")
    dynamic = any(word in json.dumps(block_tree) for word in ('"PLpgSQL_stmt_dyn', '"dynquery"'))
    return Run(tuple(found), "runs SQL that its DO block puts together (EXECUTE)" if dynamic else "")


def _expressions(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, list):
        for element in part:
            yield from _expressions(element)
    elif isinstance(part, dict):
        if "PLpgSQL_expr" in part:
            yield part["PLpgSQL_expr"]
        for element in part.values():
            yield from _expressions(element)


def _parsed_expression(expression: dict[str, Any]) -> tuple[Any, ...]:
    query, mode = expression["query"], expression["parseMode"]
    if mode == _AS_STATEMENT:
        return parsed(query)
    return parsed("select " + (query if mode == _AS_VALUE else _ASSIGNED.sub("", query, count=1)))


def kind(node: Tree) -> str:
    """The name of a node's type, as in PostgreSQL's parsenodes.h."""
    return node._kind  # noqa: SLF001 - it is no method, lest it hide a field


def children(node: Tree) -> Iterator[tuple[str, Any]]:
    """The nodes right below one, with the names of the fields that hold them."""
    for field, value in node._body.items():  # noqa: SLF001
        grown = _grown(field, value)
        for child in grown if isinstance(grown, tuple) else (grown,):
            if isinstance(child, Tree):
                yield field, child


def every(node: Any) -> Iterator[Any]:
    """A node and all below it."""
    yield node
    for _, child in children(node):
        yield from every(child)


def switched_on(options: Iterable[Any], name: str) -> bool:
    """Whether an option in parentheses is given and not off: `(concurrently)`, `(full true)`."""
    given = [option.arg for option in options if option.defname == name]
    return any(_value(arg) not in ("false", "off", "0") for arg in given)


def _value(arg: Tree) -> str:
    return str(arg.ival or 0) if kind(arg) == "Integer" else str(arg.sval)


def strings(node: Tree) -> list[str]:
    """The parts of a name that is a list of strings, or one string."""
    return [item.sval for item in (node.items if kind(node) == "List" else (node,))]


def named(relation: Any) -> str:
    """A relation's name as one writes it."""
    return joined([part for part in (relation.catalogname, relation.schemaname, relation.relname) if part])


def joined(parts: Iterable[str]) -> str:
    """A name of several parts as one writes it, quoted where it has to be."""
    return ".".join(quoted(part) for part in parts)


@cache
def quoted(name: str) -> str:
    """A name in double quotes if it needs them."""
    if _PLAIN.fullmatch(name) and _is_free(name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _is_free(word: str) -> bool:
    """Whether no keyword but an unreserved one: it must do both as a table, and as a function and type."""
    try:
        parse(f"create trigger t after insert on {word} execute function {word}()")
    except SyntaxFault:
        return False
    return True
