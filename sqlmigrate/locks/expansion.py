"""The statements that one statement runs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.sql.identifier import quoted
from sqlmigrate.sql.parser import SyntaxFault, parse
from sqlmigrate.sql.plpgsql import parse_expression, read_bodies
from sqlmigrate.sql.tree import is_on, kind_and_body, options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.sql.parser import Node


class Expansion(NamedTuple):
    """Kinds and bodies of the statements that one statement runs, and why other statements cannot be read."""

    statements: tuple[tuple[str, Node], ...]
    unread: str = ""


@lru_cache(maxsize=1)  # the callers ask about locks, hidden locks and losses of the same statement in turn
def expand(sql: str) -> Expansion:
    """Returns a statement, or the statements in a DO block; the elements of CREATE SCHEMA follow it."""
    try:
        nodes = parsed(parse(sql))
    except SyntaxFault as fault:
        return Expansion((), f"cannot be read: {fault.message}")
    if len(nodes) == 1 and nodes[0][0] == "DoStmt":
        return _expand_block(sql, nodes[0][1])
    schemas = (body for kind, body in nodes if kind == "CreateSchemaStmt")
    return Expansion((*nodes, *(kind_and_body(element) for body in schemas for element in body.get("schemaElts", ()))))


def parsed(trees: Iterable[Node]) -> tuple[tuple[str, Node], ...]:
    """Returns kind and body of each statement that the parser returned."""
    return tuple(kind_and_body(tree["stmt"]) for tree in trees)


def _expand_block(sql: str, block: Node) -> Expansion:
    language = options(block.get("args", ())).get("language", "plpgsql")
    if language != "plpgsql":
        return Expansion((), f"runs a DO block in {language}, which is not analysed")
    try:
        body = read_bodies(sql)
        nodes = [node for expression in body.expressions for node in parsed(parse_expression(expression))]
    except SyntaxFault as fault:
        return Expansion((), f"runs a DO block that cannot be read without its database: {fault.message}")
    return Expansion(tuple(nodes), "runs SQL that its DO block builds (EXECUTE)" if body.is_dynamic else "")


def relation_name(relation: Node) -> tuple[str, ...]:
    """Returns the parts of a RangeVar's name that the statement writes."""
    return tuple(part for field in ("catalogname", "schemaname", "relname") if (part := relation.get(field)))


def is_option_on(node: Node, field: str, option: str) -> bool:
    """Returns whether the options in a field, such as those of VACUUM, switch an option on."""
    return is_on(options(node.get(field, ())).get(option))


def joined(parts: Iterable[str]) -> str:
    """Returns a name as SQL, quoted where necessary."""
    return ".".join(map(quoted, parts))


def named(relation: Node) -> str:
    """Returns the name of a RangeVar as SQL."""
    return joined(relation_name(relation))
