"""SQL -> parse trees, by libpg_query: PostgreSQL's own grammar. The only door to postgast.

A tree is what libpg_query writes as JSON: a node is a dict with one key, its kind; false, zero and empty are left out.
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
# The library goes down with each level of nesting, and each operator makes one: it needs up to 100 bytes of
# stack for each byte of text, and where there are none it takes the process with it.
_SMALL = 64 * 1024
_LARGE = 8 * 1024 * 1024
_STACK = 128
_PAGE = 4096
_NEAR = re.compile(rb"near line (\d+)")
# Who walks through a tree goes down with it, and Python has room for a thousand; from 3.12 on json itself goes deeper.
_DEEPEST = 900
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
_BRACKETS = b"[]{}"
_OTHERS = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# What a trigger knows of itself (tg_op) is written so by libpg_query, which is no JSON.
_NO_JSON = re.compile(rb"(?<=[\[,])\{\}\}")


class SyntaxFault(Exception):
    """PostgreSQL's grammar refuses the text; `at` is the place in characters, counted from 0, or None.

    `near` is the line of a PL/pgSQL body near which it was, counted from 1, or 0.
    """

    def __init__(self, message: str, at: int | None, near: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.near = near


class TooDeep(SyntaxFault):
    """The text may well be SQL, but no tree is made of it."""

    def __init__(self) -> None:
        super().__init__("it is nested too deeply", None)


def parse(sql: str) -> list[Node]:
    """The trees of the statements of a text: `{"stmt": {kind: body}, …}` each.

    Raises:
        SyntaxFault: the text is not SQL as PostgreSQL 18 reads it.
    """
    return _with_room(_parse, sql.encode())


def parse_plpgsql(function: str) -> list[Node]:
    """The trees of the bodies in CREATE FUNCTION statements or DO blocks written in PL/pgSQL.

    Raises:
        SyntaxFault: a body is not PL/pgSQL, or there is none.
    """
    if any(_lacks_body(tree["stmt"]) for tree in parse(function)):
        raise SyntaxFault("it has no body", None)
    return _with_room(_parse_plpgsql, function.encode())


def _lacks_body(statement: Node) -> bool:
    """Of such a one the library takes for granted that it has one, and ends the process."""
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
    library = _library()
    result = library.pg_query_parse_plpgsql(text)
    try:
        if result.error:
            raise _fault(result.error.contents, text)
        functions: list[Node] = _loaded(_NO_JSON.sub(b"{}", result.plpgsql_funcs), text)
        return functions
    finally:
        library.pg_query_free_plpgsql_parse_result(result)


def _with_room(read: Callable[[bytes], list[Node]], text: bytes) -> list[Node]:
    """Reads a text where the stack is large enough for it."""
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
    """A tree; whatever stands in it was taken from the text."""
    if _depth(tree, plain=not any(byte in text for byte in _BRACKETS)) > _DEEPEST:
        raise TooDeep
    try:
        return json.loads(tree)
    except RecursionError as error:
        raise TooDeep from error


def _depth(tree: bytes, *, plain: bool) -> int:
    """How deep the brackets go; those within texts do not count, and in a plain tree there are none."""
    brackets = tree if plain else _TEXTS.sub(b"", tree)
    return max(accumulate(map(_STEPS.__getitem__, brackets.translate(None, _OTHERS))), default=0)


def _fault(error: Any, text: bytes) -> SyntaxFault:
    place = error.cursorpos - 1
    at = len(text[:place].decode(errors="ignore")) if place >= 0 else None
    near = _NEAR.search(error.context or b"")
    return SyntaxFault(error.message.decode(errors="replace"), at, int(near[1]) if near else 0)


def is_installed() -> bool:
    """Whether there is a grammar to read with."""
    return importlib.util.find_spec("postgast") is not None


@cache
def _library() -> Any:
    """The library as postgast loads it, without the package itself, whose import takes longer than a file may."""
    package = importlib.util.find_spec("postgast")
    if package is None or not package.submodule_search_locations:
        raise ConfigurationError("PostgreSQL's grammar is not installed", hint="pip install 'sqlmigrate[lint]'")
    path = f"{package.submodule_search_locations[0]}/native.py"
    spec = importlib.util.spec_from_file_location("postgast_native", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError("this postgast can't be used", hint="pip install 'sqlmigrate[lint]'")
    native = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(native)
    return native.lib
