"""The names that PostgreSQL chooses for unnamed indexes and constraints (ChooseIndexName, ChooseConstraintName)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.sql.tree import kind_and_body, strings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.lint.schema.catalog import Catalog, Constraint
    from sqlmigrate.sql.parser import Node

NAME_BYTES = 63
# So many numbers are tried in turn before the first free one is searched for.
_IN_TURN = 20
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

    def name(number: int) -> str:
        return _joined(first, second, label + (str(number) if number else ""))

    number = next((number for number in range(_IN_TURN) if not taken(name(number))), None)
    return name(_first_free(lambda number: taken(name(number))) if number is None else number)


def _first_free(taken: Callable[[int], bool]) -> int:
    """Returns a free number above a taken one: the first free one if there is no gap, found by halving."""
    low, high = _IN_TURN - 1, 2 * _IN_TURN
    while taken(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(middle) else (low, middle)
    return high


def taken_in(catalog: Catalog, schema: str) -> Callable[[str], bool]:
    """Returns a test for the names that tables and indexes of a schema have."""
    return lambda name: (schema, name) in catalog.index_tables or (schema, name) in catalog.tables


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
