"""The SQL in DO blocks and in functions written in PL/pgSQL. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.sql.parser import SyntaxFault, parse, parse_plpgsql
from sqlmigrate.sql.tree import constant, strings, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.sql.parser import Node

# PL/pgSQL's parse modes: a statement, an expression, or `target := expression`.
_STATEMENT, _EXPRESSION = 0, 2
_ASSIGNED = re.compile(r".*?:?=", re.DOTALL)
_PLACEHOLDER = re.compile(r"%(.)")
_HARMLESS_START = re.compile(r"'\s*(create|comment|grant|revoke|insert|update|delete|select|analyze)\b", re.IGNORECASE)


class Embedded(NamedTuple):
    """A statement in a body, with its line in the body; `sql` is None where EXECUTE builds its text at run time."""

    sql: str | None
    line: int
    may_alter: bool = False


class Body(NamedTuple):
    """The SQL of one or more bodies.

    `statements` are the SQL statements and the EXECUTE statements; `expressions` is all SQL, also that of conditions,
    loops and assignments, but not the text that EXECUTE runs; `is_dynamic` is whether any statement builds SQL.
    """

    statements: tuple[Embedded, ...]
    expressions: tuple[Node, ...]
    is_dynamic: bool


def read_bodies(sql: str, statement: Node | None = None) -> Body:
    """Reads the bodies in a CREATE FUNCTION statement or a DO block; `statement` is its tree, if it is parsed already.

    Raises:
        SyntaxFault: a body cannot be parsed, or there is none.
    """
    statements, expressions, is_dynamic = [], [], False
    for kind, node in walk(parse_plpgsql(sql, statement)):
        match kind:
            case "PLpgSQL_expr":
                expressions.append(node)
            case "PLpgSQL_stmt_execsql":
                statements.append(Embedded(node["sqlstmt"]["PLpgSQL_expr"]["query"], node.get("lineno", 1)))
            case "PLpgSQL_stmt_dynexecute":
                expression = node["query"]["PLpgSQL_expr"]["query"]
                may_alter = _HARMLESS_START.search(expression) is None
                statements.append(Embedded(_constant_text(expression), node.get("lineno", 1), may_alter))
        is_dynamic = is_dynamic or kind == "dynquery" or kind.startswith("PLpgSQL_stmt_dyn")
    return Body(tuple(statements), tuple(expressions), is_dynamic)


def parse_expression(expression: Node) -> list[Node]:
    """Returns the parse trees of one of the expressions of a `Body`.

    Raises:
        SyntaxFault: it is not SQL.
    """
    query, mode = expression["query"], expression["parseMode"]
    if mode == _STATEMENT:
        return parse(query)
    return parse("select " + (query if mode == _EXPRESSION else _ASSIGNED.sub("", query, count=1)))


def _constant_text(expression: str) -> str | None:
    try:
        target = parse(f"select {expression}")[0]["stmt"]["SelectStmt"]["targetList"][0]["ResTarget"]["val"]
    except (SyntaxFault, KeyError, IndexError):
        return None
    return _concatenated(target)


def _concatenated(node: Node) -> str | None:
    """Returns the text that an expression builds from constants alone, with || or format()."""
    value = constant(node)
    if isinstance(value, str):
        return value
    call, operation = node.get("FuncCall", {}), node.get("A_Expr", {})
    if strings(operation.get("name", ())) == ["||"]:
        parts = [_concatenated(operation[side]) for side in ("lexpr", "rexpr")]
        return None if None in parts else "".join(map(str, parts))
    if strings(call.get("funcname", ()))[-1:] == ["format"]:
        template, *arguments = map(_concatenated, call.get("args", [{}]))
        return None if template is None or None in arguments else _formatted(template, map(str, arguments))
    return None


def _formatted(template: str, arguments: Iterator[str]) -> str | None:
    """Returns the result of PostgreSQL's format(), or None if the template has more than %s, %I and %L."""
    spelling = {"s": "{}", "I": '"{}"', "L": "'{}'"}
    try:
        return _PLACEHOLDER.sub(
            lambda match: "%" if match[1] == "%" else spelling[match[1]].format(next(arguments)), template
        )
    except (KeyError, StopIteration):
        return None
