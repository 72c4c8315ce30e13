"""Writes SQL from parse trees with libpg_query's deparser, the inverse of `sqlmigrate.sql.parser.parse`."""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING

from sqlmigrate.sql.parser import library
from sqlmigrate.sql.wire import encoded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.sql.parser import Node

# Quoted texts, which stay as they are, and keywords: the deparser quotes every name with a capital letter.
_KEYWORD = re.compile(r"""'[^']*'|"[^"]*"|(\$\w*\$).*?\1|([A-Z][A-Z_]*)""", re.DOTALL)


class DeparseFault(Exception):
    """A tree that the deparser cannot write as SQL."""


def deparse(statements: Iterable[Node], *, upper: bool = False) -> str:
    """Returns the SQL of statements, each as `{kind: body}`, with a semicolon after each of them.

    Names are quoted where necessary and have the schema of the tree. `upper` writes the keywords in capital letters.

    Raises:
        DeparseFault: the tree of a statement is not complete.
    """
    return "\n".join(f"{_deparse(node, upper=upper)};" for node in statements)


def _deparse(statement: Node, *, upper: bool) -> str:
    if body := _plain_block(statement):
        return f"{'DO' if upper else 'do'} $${body}$$"
    text = _written(_serialized(statement))
    return text if upper else _KEYWORD.sub(lambda match: match[0].lower() if match[2] else match[0], text)


def _plain_block(statement: Node) -> str:
    """Returns the body of a DO block that needs no other quotes than `$$`; long bodies take long to be deparsed."""
    (first, *others) = statement.get("DoStmt", {}).get("args", [{}])
    body = first.get("DefElem", {}).get("arg", {}).get("String", {}).get("sval", "")
    is_body = first.get("DefElem", {}).get("defname") == "as" and not others and isinstance(body, str)
    return body if is_body and "$" not in body else ""


def _written(tree: bytes) -> str:
    lib = library()
    (protobuf,) = lib.pg_query_deparse_protobuf.argtypes
    # The pointer is into the bytes, which the frame keeps.
    result = lib.pg_query_deparse_protobuf(protobuf(len(tree), ctypes.cast(ctypes.c_char_p(tree), ctypes.c_void_p)))
    try:
        if result.error:
            raise DeparseFault(result.error.contents.message.decode(errors="replace"))
        return str(result.query.decode())
    finally:
        lib.pg_query_free_deparse_result(result)


def _serialized(statement: Node) -> bytes:
    try:
        return encoded("ParseResult", {"stmts": [{"stmt": statement}]})
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise DeparseFault(str(error)) from error
