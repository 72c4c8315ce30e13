"""Reads a file and parses its statements; the scanner skips COPY data and psql meta-commands."""

from __future__ import annotations

import re
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ScriptError
from sqlmigrate.lint.schema.state import Statement
from sqlmigrate.sql.item import Item, Kind
from sqlmigrate.sql.parser import SyntaxFault, parse
from sqlmigrate.sql.plpgsql import read_bodies
from sqlmigrate.sql.psql import unsupported
from sqlmigrate.sql.scanner import scan
from sqlmigrate.sql.tree import kind_and_body, options, qualified, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlmigrate.sql.parser import Node

# The parser gets this much text at once, in characters: parsing each statement alone takes 1.5 times as long.
_BATCH = 64 * 1024
# A larger INSERT is not parsed: a parse tree takes fifty times the memory of its text.
_LARGE = 1024 * 1024
# White space, line comments and semicolons before a statement.
_SPACE = re.compile(r"(?:[\s;]+|--[^\n]*)*")
# Statements that do not change the schema.
_ROWS_ONLY = re.compile(r"(?:insert|update|delete|merge|comment|grant|revoke|analyze|copy|notify)\b", re.IGNORECASE)


class Unit(NamedTuple):
    """A statement, or its syntax error and how to avoid it, with the white space and comments before it."""

    statement: Statement | None
    item: Item
    before: Item | None
    fault: SyntaxFault | None = None
    safer: str = ""


def units(path: str, chunks: Iterable[str], *, schema_only: bool = False) -> Iterator[Unit]:
    """Yields the statements of a text in order; after a syntax error it continues with the next statement.

    With `schema_only` it may skip statements that do not change the schema.

    Raises:
        ScriptError: the rest of the file cannot be read.
    """
    source = iter(chunks)
    first, second = next(source, ""), next(source, None)
    at_once = None if second is not None else _at_once(path, first)
    if at_once is not None:
        yield from at_once
        return
    yield from _scanned(path, chain((first,), () if second is None else (second,), source), schema_only=schema_only)


def _at_once(path: str, text: str) -> list[Unit] | None:
    """Returns the units of a text that the parser alone can split into statements, as it can for most migrations.

    Returns None for a text with a backslash, a block comment or a syntax error, which the scanner must split.
    """
    if "\\" in text or "/*" in text:
        return None
    try:
        trees = parse(text)
    except SyntaxFault:
        return None
    data = text if text.isascii() else text.encode()
    parsed_units = []
    at, line, column = 0, 1, 1
    for tree in trees:
        start = tree.get("stmt_location", 0)
        end = start + tree["stmt_len"] if "stmt_len" in tree else len(data)
        end += data[end : end + 1] in (";", b";")
        raw = _text(data[at:end])
        lead = _SPACE.match(raw).end()  # type: ignore[union-attr]  # the pattern matches the empty text
        space = Item(Kind.SPACE, raw[:lead], line, column)
        line, column = space.end
        item = Item(Kind.STATEMENT, raw[lead:], line, column)
        begin = at + lead if data is text else at + len(raw[:lead].encode())
        parsed_units.append(Unit(_statement(path, item, tree["stmt"], begin), item, space))
        line, column = item.end
        at = end
    rest = Item(Kind.SPACE, _text(data[at:]), line, column)
    return [*parsed_units, Unit(None, rest, rest)]


def _text(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode()


def _scanned(path: str, chunks: Iterable[str], *, schema_only: bool) -> Iterator[Unit]:
    """Yields the units of a text that the scanner splits into statements."""
    waiting: list[tuple[Item, Item | None]] = []
    size, space = 0, None
    try:
        for item in scan(path, chunks):
            if item.kind is Kind.SPACE:
                space = item
            elif item.kind is Kind.STATEMENT:
                rows = (schema_only or len(item.text) > _LARGE) and _ROWS_ONLY.match(item.text)
                if not rows:
                    waiting.append((item, space))
                    size += len(item.text)
                space = None
            elif item.kind is Kind.COMMAND and item.hint is not None:
                yield from _parsed(path, waiting)
                waiting, size = [], 0
                yield Unit(None, item, space, SyntaxFault(unsupported(item.text), 0), item.hint)
                space = None
            if size > _BATCH:
                yield from _parsed(path, waiting)
                waiting, size = [], 0
    except ScriptError:
        yield from _parsed(path, waiting)
        raise
    yield from _parsed(path, waiting)
    if space is not None:
        yield Unit(None, space, space)


def inner_statements(statement: Statement) -> tuple[list[Statement], bool]:
    """Returns the statements in the body of a DO block or function, and whether the body builds further statements."""
    block = options(statement.body.get("args") or statement.body.get("options", ()))
    body = block.get("as", "")
    text = str(body[0] if isinstance(body, list) else body)
    first_line = statement.text.count("\n", 0, max(statement.text.find(text), 0))
    match str(block.get("language", "plpgsql" if statement.kind == "DoStmt" else "sql")).lower():
        case "sql":
            return _inner(statement, statement.text.split("\n"), text, first_line + 1), False
        case "plpgsql":
            return _of_plpgsql(statement, first_line)
    return [], True


class Routines:
    """The functions and procedures that a file creates, the last one of each name."""

    def __init__(self) -> None:
        self._statements: dict[str, tuple[int, Statement]] = {}

    def add(self, statement: Statement) -> None:
        """Adds what a CREATE FUNCTION creates."""
        name = qualified(statement.body["funcname"])[1]
        place, _ = self._statements.get(name, (len(self._statements), None))
        self._statements[name] = place, statement

    def called_by(self, statement: Statement) -> list[Statement]:
        """Returns the routines that a statement calls, in the order in which the file creates them."""
        if not self._statements:
            return []
        calls = (body for kind, body in walk(statement.body) if kind in ("FuncCall", "funccall"))
        names = {qualified(body.get("funcname", ()))[1] for body in calls}
        found = [self._statements[name] for name in names if name in self._statements]
        return [routine for _, routine in sorted(found, key=itemgetter(0))]


def called(call: Statement, routine: Statement) -> tuple[list[Statement], bool]:
    """Returns `inner_statements` of a function or procedure, located at the call."""
    statements, hidden = inner_statements(routine)
    line = call.location.text or " "
    return [statement._replace(line=call.line, column=call.column, inner=line) for statement in statements], hidden


def _of_plpgsql(statement: Statement, first_line: int) -> tuple[list[Statement], bool]:
    try:
        embedded = read_bodies(statement.text, {statement.kind: statement.body}).statements
    except (SyntaxFault, UnicodeDecodeError):
        return [], True
    lines = statement.text.split("\n")
    inner: list[Statement] = []
    for part in embedded:
        found = _inner(statement, lines, part.sql or part.outline or "", first_line + part.line)
        inner += found if part.sql else (outline._replace(outline=True) for outline in found)
    return inner, any(part.sql is None and part.may_alter for part in embedded)


def _parsed(path: str, waiting: list[tuple[Item, Item | None]]) -> Iterator[Unit]:
    """Parses all statements at once, or each alone after a syntax error or an unexpected number of statements."""
    try:
        trees = parse("".join(item.text for item, _ in waiting))
    except SyntaxFault:
        trees = []
    if len(trees) != len(waiting):
        for item, space in waiting:
            yield from _parsed_alone(path, item, space)
        return
    start = 0
    for (item, space), tree in zip(waiting, trees, strict=True):
        yield Unit(_statement(path, item, tree["stmt"], start), item, space)
        start += len(item.text) if item.text.isascii() else len(item.text.encode())


def _parsed_alone(path: str, item: Item, space: Item | None) -> Iterator[Unit]:
    try:
        trees = parse(item.text)
    except SyntaxFault as fault:
        yield Unit(None, item, space, fault)
        return
    for tree in trees:
        yield Unit(_statement(path, item, tree["stmt"], 0), item, space)


def _statement(path: str, item: Item, node: Node, start: int) -> Statement:
    kind, body = kind_and_body(node)
    return Statement(kind, body, item.text, path, item.line, item.column, start)


def _inner(outer: Statement, lines: list[str], sql: str, line: int) -> list[Statement]:
    try:
        trees = parse(sql)
    except SyntaxFault:
        return []
    text = lines[line - 1].rstrip("\r") if line - 1 < len(lines) else ""
    column = len(text) - len(text.lstrip()) + 1
    number = outer.line + line - 1
    return [
        Statement(*kind_and_body(tree["stmt"]), sql, outer.path, number, column, inner=text or " ") for tree in trees
    ]
