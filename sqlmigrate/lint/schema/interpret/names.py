"""The names that PostgreSQL chooses for unnamed indexes and constraints (ChooseIndexName, ChooseConstraintName)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.sql.tree import kind_and_body, strings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.lint.schema.catalog import Constraint
    from sqlmigrate.sql.parser import Node

NAME_BYTES = 63
_SUFFIXES = {
    "check": "check",
    "not null": "not_null",
    "primary": "pkey",
    "unique": "key",
    "foreign": "fkey",
    "exclude": "excl",
}


def constraint_name(table: str, constraint: Constraint, taken: Callable[[str], bool]) -> str:
    """Returns the name that PostgreSQL chooses for an unnamed constraint."""
    columns = constraint.columns
    if constraint.kind == "check":
        columns = columns if len(columns) == 1 else ()
    if constraint.kind == "primary":
        columns = ()
    return free_name(table, "_".join(columns), _SUFFIXES[constraint.kind], taken)


def index_name(table: str, keys: Sequence[Node], taken: Callable[[str], bool]) -> str:
    """Returns the name that PostgreSQL chooses for an unnamed index."""
    return free_name(table, "_".join(map(_key_name, keys)), "idx", taken)


def free_name(first: str, second: str, label: str, taken: Callable[[str], bool]) -> str:
    """Joins the parts, truncates the name to 63 bytes, and appends the first number that makes the name unique."""
    number = 0
    while taken(name := _joined(first, second, label + (str(number) if number else ""))):
        number += 1
    return name


def _joined(first: str, second: str, label: str) -> str:
    """Truncates the longer of the first two parts until the name fits, as makeObjectName does."""
    room = NAME_BYTES - len(label) - 1 - (1 if second else 0)
    while len(first.encode()) + len(second.encode()) > room:
        if len(first.encode()) > len(second.encode()):
            first = first[:-1]
        else:
            second = second[:-1]
    return "_".join(part for part in (first, second, label) if part)


def _key_name(element: Node) -> str:
    if "name" in element:
        return str(element["name"])
    kind, body = kind_and_body(element.get("expr", {"": {}}))
    return strings(body.get("funcname", []))[-1] if kind == "FuncCall" else "expr"
