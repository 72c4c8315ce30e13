"""Parses SQL with libpg_query, which is PostgreSQL's own grammar. Only this module, `deparser` and `wire` use postgast.

A tree is the JSON that libpg_query writes: a node is a dict with one key, its kind; fields that are false, zero or
empty are omitted.
"""

from __future__ import annotations

import importlib.util
import json
import re
import threading
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

Node = dict[str, Any]
# The library recurses for each level of nesting, and each operator adds a level: it needs up to 100 bytes of stack
# for each byte of text, and a stack overflow kills the process.
_SMALL = 64 * 1024
_LARGE = 8 * 1024 * 1024
_STACK = 128
_PAGE = 4096
_NEAR = re.compile(rb"near line (\d+)")
# Functions that walk a tree recurse, and Python's limit is 1,000 levels; from 3.12 on, json reads deeper trees.
_DEEPEST = 900
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
_BRACKETS = b"[]{}"
_OTHERS = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_ALIKE = bytes.maketrans(b"{}", b"[]")
# Each round removes the leaves, and so one level. What is left of most trees has fewer nodes than `_DEEPEST`.
_ROUNDS = 24
_STEPS = {ord("["): 1, ord("]"): -1}
_WITH_BODY = re.compile(r"\b(?:do|function|procedure)\b", re.IGNORECASE)
# libpg_query writes the variables of a trigger function (tg_op) in this way, which is not valid JSON.
_NO_JSON = re.compile(rb"(?<=[\[,])\{\}\}")


class SyntaxFault(Exception):
    """A syntax error; `at` is its offset in characters, counted from 0, or None.

    `near` is the nearest line of a PL/pgSQL body, counted from 1, or 0.
    """

    def __init__(self, message: str, at: int | None, near: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.near = near


class TooDeep(SyntaxFault):
    """The text may be valid SQL, but it is nested too deeply for a tree."""

    def __init__(self) -> None:
        super().__init__("it is nested too deeply", None)


def parse(sql: str) -> list[Node]:
    """Returns the trees of the statements of a text, each as `{"stmt": {kind: body}, …}`.

    Raises:
        SyntaxFault: the text is not SQL as PostgreSQL 18 reads it.
    """
    return _with_room(_parse, sql.encode())


def parse_plpgsql(function: str, statement: Node | None = None) -> list[Node]:
    """Returns the trees of the bodies in CREATE FUNCTION statements or DO blocks written in PL/pgSQL.

    `statement` is the tree of one of them, if it is parsed already.

    Raises:
        SyntaxFault: a body is not PL/pgSQL, or there is none.
    """
    _require_body(function, statement)
    return _with_room(_parse_plpgsql, function.encode())


def check_plpgsql(function: str, statement: Node) -> None:
    """Checks the body of a function or DO block written in PL/pgSQL, and builds no tree of it.

    Raises:
        SyntaxFault: the body is not PL/pgSQL, or there is none.
    """
    _require_body(function, statement)
    _with_room(_check_plpgsql, function.encode())


def _require_body(function: str, statement: Node | None) -> None:
    is_alone = statement is not None and len(_WITH_BODY.findall(function)) == 1
    statements = [statement] if statement and is_alone else [tree["stmt"] for tree in parse(function)]
    if any(map(_lacks_body, statements)):
        raise SyntaxFault("it has no body", None)


def _lacks_body(statement: Node) -> bool:
    """Returns whether a function or block has no body: libpg_query crashes on it."""
    ((kind, body),) = statement.items()
    options = {"DoStmt": "args", "CreateFunctionStmt": "options"}.get(kind, "")
    return bool(options) and not any(option["DefElem"].get("defname") == "as" for option in body.get(options, ()))


def _parse(text: bytes) -> list[Node]:
    library = _library()
    result = library.pg_query_parse(text)
    try:
        if result.error:
            raise _fault(result.error.contents, text)
        trees: list[Node] = _loaded(result.parse_tree, text).get("stmts", [])
        return trees
    finally:
        library.pg_query_free_parse_result(result)


def _parse_plpgsql(text: bytes) -> list[Node]:
    functions: list[Node] = _loaded(_NO_JSON.sub(b"{}", _plpgsql(text)), text)
    return functions


def _check_plpgsql(text: bytes) -> list[Node]:
    _plpgsql(text)
    return []


def _plpgsql(text: bytes) -> bytes:
    library = _library()
    result = library.pg_query_parse_plpgsql(text)
    try:
        if result.error:
            raise _fault(result.error.contents, text)
        functions: bytes = result.plpgsql_funcs
        return functions
    finally:
        library.pg_query_free_plpgsql_parse_result(result)


def _with_room(read: Callable[[bytes], list[Node]], text: bytes) -> list[Node]:
    """Parses a text in a thread with a stack that is large enough for it."""
    if len(text) <= _SMALL:
        return read(text)
    if len(text) > _LARGE:
        raise TooDeep
    answers: list[list[Node] | SyntaxFault] = []
    before = threading.stack_size(_STACK * len(text) // _PAGE * _PAGE + 16 * _SMALL)
    try:
        thread = threading.Thread(target=lambda: answers.append(_answer(read, text)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if isinstance(answers[0], SyntaxFault):
        raise answers[0]
    return answers[0]


def _answer(read: Callable[[bytes], list[Node]], text: bytes) -> list[Node] | SyntaxFault:
    try:
        return read(text)
    except SyntaxFault as fault:
        return fault


def _loaded(tree: bytes, text: bytes) -> Any:
    """Loads a tree; `text` is the SQL that it was parsed from."""
    if _is_too_deep(tree, plain=not any(byte in text for byte in _BRACKETS)):
        raise TooDeep
    try:
        return json.loads(tree)
    except RecursionError as error:
        raise TooDeep from error


def _is_too_deep(tree: bytes, *, plain: bool) -> bool:
    """Returns whether the nesting is too deep; the strings of a plain tree contain no brackets."""
    brackets = (tree if plain else _TEXTS.sub(b"", tree)).translate(_ALIKE, _OTHERS)
    for levels in range(_ROUNDS):
        if len(brackets) // 2 + levels <= _DEEPEST:
            return False
        brackets = brackets.replace(b"[]", b"")
    return _ROUNDS + max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > _DEEPEST


def _fault(error: Any, text: bytes) -> SyntaxFault:
    place = error.cursorpos - 1
    at = len(text[:place].decode(errors="ignore")) if place >= 0 else None
    near = _NEAR.search(error.context or b"")
    return SyntaxFault(error.message.decode(errors="replace"), at, int(near[1]) if near else 0)


def library() -> Any:
    """Returns libpg_query.

    Raises:
        ConfigurationError: postgast is not installed.
    """
    return _library()


def is_installed() -> bool:
    """Returns whether the parser is installed."""
    return importlib.util.find_spec("postgast") is not None


@cache
def _library() -> Any:
    """Loads the library as postgast does, without the package, whose import takes too long."""
    package = importlib.util.find_spec("postgast")
    if package is None or not package.submodule_search_locations:
        raise ConfigurationError("PostgreSQL's grammar is not installed", hint="pip install 'sqlmigrate[lint]'")
    path = f"{package.submodule_search_locations[0]}/native.py"
    spec = importlib.util.spec_from_file_location("postgast_native", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError("this version of postgast cannot be used", hint="pip install 'sqlmigrate[lint]'")
    native = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(native)
    return native.lib
