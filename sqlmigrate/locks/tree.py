"""PostgreSQL's parse tree of a statement, and what is read off it. The only door to postgast."""

from __future__ import annotations

import importlib
import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_UNRESERVED = 1  # postgast's numbers for kinds of keywords: 0 is none, above 1 are those that need quotes
# How PL/pgSQL has an expression parsed: as a statement, as a value, or as `target := value`.
_AS_STATEMENT, _AS_VALUE = 0, 2
_ASSIGNED = re.compile(r".*?:?=", re.DOTALL)


class Unreadable(Exception):
    """A text of which there is no tree. Nobody outside sees it: what is not read is told by `Run.untold`."""


class Run(NamedTuple):
    """The statements that one statement runs, and why there are others that can't be told."""

    statements: tuple[Any, ...]
    untold: str = ""


def runs(sql: str) -> Run:
    """The trees of a statement: those within a DO block or a CREATE SCHEMA for themselves."""
    try:
        trees = parsed(sql)
    except Unreadable as error:
        return Run((), f"can't be read: {error}")
    if len(trees) == 1 and kind(trees[0]) == "DoStmt":
        return _runs_in_block(sql, trees[0])
    schema_elements = (
        inner(element) for tree in trees if kind(tree) == "CreateSchemaStmt" for element in tree.schema_elts
    )
    return Run((*trees, *schema_elements))


def parsed(sql: str) -> tuple[Any, ...]:
    """The trees of statements.

    Raises:
        Unreadable: the grammar does not know it, or the parser can't hand it over.
    """
    postgast = _postgast()
    too_deep = importlib.import_module("google.protobuf.message").DecodeError  # it comes with postgast, without types
    try:
        return tuple(inner(raw.stmt) for raw in postgast.parse(sql).stmts)
    except postgast.PgQueryError as error:
        raise Unreadable(str(error)) from error
    except too_deep as error:  # an expression of sixty operators in a row, or a hundred UNIONs
        raise Unreadable("it is nested too deeply") from error


def parsed_body(sql: str) -> tuple[Any, ...]:
    """The trees of a function's body, which PostgreSQL has not checked where `check_function_bodies` is off."""
    try:
        return parsed(sql)
    except Unreadable:
        return ()


def _postgast() -> Any:
    try:
        import postgast  # it takes a sixth of a second, and belongs to an extra
    except ImportError as error:
        raise ConfigurationError(
            "PostgreSQL's grammar is not installed", hint="pip install 'sqlmigrate[lint]'"
        ) from error
    return postgast


def _runs_in_block(sql: str, block: Any) -> Run:
    options = {option.def_elem.defname: option.def_elem.arg.string.sval for option in block.args}
    language = options.get("language", "plpgsql")
    if language != "plpgsql":
        return Run((), f"runs a DO block in {language}, which is not looked at")
    postgast = _postgast()
    try:
        block_tree = postgast.parse_plpgsql(sql)
        found = [tree for part in _expressions(block_tree) for tree in _parsed_expression(part)]
    except (Unreadable, postgast.PgQueryError) as error:
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


def kind(node: Any) -> str:
    """The name of a node's type, as in PostgreSQL's parsenodes.h."""
    return str(type(node).__name__)


def inner(node: Any) -> Any:
    """The node within the wrapper that stands around each."""
    return getattr(node, node.WhichOneof("node")) if kind(node) == "Node" else node


def children(node: Any) -> Iterator[tuple[str, Any]]:
    """The nodes right below one, with the names of the fields that hold them."""
    for field, value in node.ListFields():
        if field.message_type is None:
            continue
        for child in (value,) if hasattr(value, "ListFields") else value:
            if kind(child) != "Node":
                yield field.name, child
            elif child.WhichOneof("node"):
                yield field.name, inner(child)


def every(node: Any) -> Iterator[Any]:
    """A node and all below it."""
    yield node
    for _, child in children(node):
        yield from every(child)


def word(node: Any, field: str) -> str:
    """An enum's value by its name: AT_AddColumn."""
    return str(node.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(node, field)].name)


def switched_on(options: Iterable[Any], name: str) -> bool:
    """Whether an option in parentheses is given and not off: `(concurrently)`, `(full true)`."""
    given = [option.def_elem.arg for option in options if option.def_elem.defname == name]
    return any(_value(arg) not in ("false", "off", "0") for arg in given)


def _value(arg: Any) -> str:
    return str(arg.integer.ival) if arg.WhichOneof("node") == "integer" else str(arg.string.sval)


def strings(node: Any) -> list[str]:
    """The parts of a name that is a list of strings, or one string."""
    return [item.string.sval for item in node.list.items] if node.WhichOneof("node") == "list" else [node.string.sval]


def named(relation: Any) -> str:
    """A relation's name as one writes it."""
    return joined([part for part in (relation.catalogname, relation.schemaname, relation.relname) if part])


def joined(parts: Iterable[str]) -> str:
    """A name of several parts as one writes it, quoted where it has to be."""
    return ".".join(quoted(part) for part in parts)


@cache
def quoted(name: str) -> str:
    """A name in double quotes if it needs them."""
    if _PLAIN.fullmatch(name) and _postgast().scan(name).tokens[0].keyword_kind <= _UNRESERVED:
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
