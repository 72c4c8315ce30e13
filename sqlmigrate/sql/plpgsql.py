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
    """A statement in a body, with its line in the body; `sql` is None where EXECUTE builds its text at run time.

    `outline` is the text that EXECUTE runs, with a name in braces for each part that is known only at run time.
    """

    sql: str | None
    line: int
    may_alter: bool = False
    outline: str | None = None


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
                built = _built(expression)
                text = None if built is None else _text(built, outlined=False)
                outline = None if built is None else _text(built, outlined=True)
                statements.append(Embedded(text, node.get("lineno", 1), may_alter, outline))
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


def _built(expression: str) -> Node | None:
    """Returns the expression that EXECUTE runs, or None if it cannot be parsed."""
    try:
        target: Node = parse(f"select {expression}")[0]["stmt"]["SelectStmt"]["targetList"][0]["ResTarget"]["val"]
    except (SyntaxFault, KeyError, IndexError):
        return None
    return target


def _text(node: Node, *, outlined: bool) -> str | None:
    """Returns the text that an expression builds from constants alone, with || or format().

    In an outline, other parts become names in braces; an expression without a constant has no outline.
    """
    value = constant(node)
    if isinstance(value, str):
        return value
    call, operation = node.get("FuncCall", {}), node.get("A_Expr", {})
    if strings(operation.get("name", ())) == ["||"]:
        parts = [_part(operation[side], '"{}"', outlined=outlined) for side in ("lexpr", "rexpr")]
        return None if None in parts else "".join(map(str, parts))
    if strings(call.get("funcname", ()))[-1:] == ["format"]:
        template, *arguments = call.get("args", [{}])
        text = _text(template, outlined=outlined)
        values = [_part(argument, _BARE, outlined=outlined) for argument in arguments]
        return None if text is None or None in values else _formatted(text, map(str, values), outlined=outlined)
    return None


# How format() gets an argument: it quotes it itself.
_BARE = "{}"


def _part(node: Node, spelling: str, *, outlined: bool) -> str | None:
    text = _text(node, outlined=outlined and spelling != _BARE)
    if text is not None or not outlined:
        return text
    call = node.get("FuncCall", {})
    function = strings(call.get("funcname", ()))[-1:]
    names = strings(node.get("ColumnRef", call.get("args", [{}])[0].get("ColumnRef", {})).get("fields", ()))
    quoted = "'{}'" if function in (["quote_literal"], ["quote_nullable"]) else spelling
    return quoted.format("{" + ".".join(names or function) + "}")


def _formatted(template: str, arguments: Iterator[str], *, outlined: bool) -> str | None:
    """Returns the result of PostgreSQL's format(), or None if the template has more than %s, %I and %L."""
    spelling = {"s": "{}", "I": '"{}"', "L": "'{}'"}

    def spelled(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        argument = next(arguments)
        is_name = outlined and match[1] == "s" and argument[:1] == "{"
        return spelling["I" if is_name else match[1]].format(argument)

    try:
        return _PLACEHOLDER.sub(spelled, template)
    except (KeyError, StopIteration):
        return None
