"""SQL -> parse trees, by libpg_query: PostgreSQL's own grammar.

A tree is what libpg_query writes as JSON: a node is a dict with one key, its kind; false, zero and empty are left out.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from typing import Any

from sqlmigrate.errors import ConfigurationError

Node = dict[str, Any]


class SyntaxFault(Exception):
    """PostgreSQL's grammar refuses the text; `at` is the place in characters, counted from 0, or None."""

    def __init__(self, message: str, at: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


def parse(sql: str) -> list[Node]:
    """The trees of the statements of a text: `{"stmt": {kind: body}, …}` each.

    Raises:
        SyntaxFault: the text is not SQL as PostgreSQL 18 reads it.
    """
    text = sql.encode()
    result = _library().pg_query_parse(text)
    try:
        if result.error:
            raise _fault(result.error.contents, text)
        trees: list[Node] = _loaded(result.parse_tree).get("stmts", [])
        return trees
    finally:
        _library().pg_query_free_parse_result(result)


def parse_plpgsql(function: str) -> list[Node]:
    """The trees of the bodies in CREATE FUNCTION statements or DO blocks written in PL/pgSQL.

    Raises:
        SyntaxFault: a body is not PL/pgSQL.
    """
    text = function.encode()
    result = _library().pg_query_parse_plpgsql(text)
    try:
        if result.error:
            raise _fault(result.error.contents, text)
        functions: list[Node] = _loaded(result.plpgsql_funcs)
        return functions
    finally:
        _library().pg_query_free_plpgsql_parse_result(result)


def _loaded(tree: bytes) -> Any:
    try:
        return json.loads(tree)
    except RecursionError as error:
        raise SyntaxFault("an expression is nested too deep to be looked at", None) from error


def _fault(error: Any, text: bytes) -> SyntaxFault:
    place = error.cursorpos - 1
    at = len(text[:place].decode(errors="ignore")) if place >= 0 else None
    return SyntaxFault(error.message.decode(errors="replace"), at)


@cache
def _library() -> Any:
    """The library as postgast loads it, without the package itself, whose import takes longer than a file may."""
    package = importlib.util.find_spec("postgast")
    if package is None or not package.submodule_search_locations:
        raise ConfigurationError("the linter needs postgast", hint="pip install 'sqlmigrate[lint]'")
    path = f"{package.submodule_search_locations[0]}/native.py"
    spec = importlib.util.spec_from_file_location("postgast_native", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError("this postgast can't be used", hint="pip install 'sqlmigrate[lint]'")
    native = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(native)
    return native.lib
