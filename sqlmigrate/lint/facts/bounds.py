"""Whether bounds of partitions overlap, and whether a table's constraints imply a bound. Pure.

ATTACH does not scan a table whose constraints imply the bound. The proof succeeds only where the server's own does:
for conditions joined by AND that compare the key with constants, and a key that cannot be NULL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.facts.questions import conjuncts, proves_not_null
from sqlmigrate.sql.tree import constant, kind_and_body, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Table
    from sqlmigrate.sql.parser import Node

_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?(?:[+-]\d\d)?)?")
# Dates and times of the same length without a zone, which sort like their text.
_SORTED = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?")
# A limit of a range: the type of a constant with its value, or one of the ends.
_Limit = tuple[str, Any]
_ENDS: dict[str, _Limit] = {"minvalue": ("end", -1), "maxvalue": ("end", 1)}
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "="}


def implies_bound(table: Table, key: str, bound: Node) -> bool:
    """Returns whether valid CHECK and NOT NULL constraints keep every row of the table within the bound."""
    if bound.get("is_default") or not key or not proves_not_null(table, key):
        return False
    conditions = [part for check in table.checks for part in conjuncts(check.expression)]
    if bound.get("strategy") == "l":
        listed = {constant(datum) for datum in bound.get("listdatums", ())}
        return any(values and set(values) <= listed for values in _lists(conditions, key))
    if bound.get("strategy") == "r":
        comparisons = list(_comparisons(conditions, key))
        lower, upper = bound.get("lowerdatums", []), bound.get("upperdatums", [])
        return len(lower) == 1 and _reaches(comparisons, lower[0], ">") and _reaches(comparisons, upper[0], "<")
    return False


def bound_fault(bound: Node) -> str:
    """Returns why a bound is invalid by itself, or an empty string."""
    limits = _range(bound)
    if limits and _is_below(limits[0], limits[1]) is False:
        return "empty range bound specified for the partition"
    if bound.get("strategy") == "h" and bound.get("remainder", 0) >= bound.get("modulus", 0):
        return "remainder for hash partition must be less than modulus"
    return ""


def overlap(first: Node, second: Node) -> bool:
    """Returns whether two bounds certainly have a value in common; only bounds of constants are compared."""
    if first.get("is_default") or second.get("is_default"):
        return bool(first.get("is_default") and second.get("is_default"))
    if first.get("strategy") == second.get("strategy") == "l":
        values = [{_constant(datum) for datum in bound.get("listdatums", ())} - {None} for bound in (first, second)]
        return not values[0].isdisjoint(values[1])
    if first.get("strategy") == second.get("strategy") == "h":
        return first.get("modulus") == second.get("modulus") and first.get("remainder") == second.get("remainder")
    ranges = _range(first), _range(second)
    if not ranges[0] or not ranges[1]:
        return False
    return bool(_is_below(ranges[0][0], ranges[1][1]) and _is_below(ranges[1][0], ranges[0][1]))


def excludes(bound: Node, value: object) -> bool:
    """Returns whether a value, a number or a text, is certainly not within a bound of constants."""
    limit = (type(value).__name__, value)
    if bound.get("strategy") == "l":
        listed = [_constant(datum) for datum in bound.get("listdatums", ())]
        return all(item is not None and item[0] == limit[0] and item != limit for item in listed)
    limits = _range(bound)
    return bool(limits and (_is_below(limit, limits[0]) or _is_below(limit, limits[1]) is False))


def _range(bound: Node) -> tuple[_Limit | None, _Limit | None] | None:
    """Returns the limits of a range of one column."""
    lower, upper = bound.get("lowerdatums", []), bound.get("upperdatums", [])
    if bound.get("strategy") != "r" or len(lower) != 1 or len(upper) != 1:
        return None
    return _limit(lower[0]), _limit(upper[0])


def _limit(datum: Node) -> _Limit | None:
    word = strings(datum.get("ColumnRef", {}).get("fields", ()))[-1:]
    return _ENDS.get(word[0] if word else "") or _constant(datum)


def _constant(datum: Node) -> _Limit | None:
    """Returns a constant with its type, since 1 and true are equal in Python, or None for any other expression."""
    value = constant(datum)
    return (type(value).__name__, value) if kind_and_body(datum)[0] == "A_Const" and value is not None else None


def _is_below(first: _Limit | None, second: _Limit | None) -> bool | None:
    """Returns whether a limit is less than another, or None if that cannot be told from the text."""
    if first is None or second is None:
        return None
    if first == second or {*_ENDS.values()} & {first, second}:
        return first != second and (first == _ENDS["minvalue"] or second == _ENDS["maxvalue"])
    (kind, value), (other_kind, other) = first, second
    if kind != other_kind or kind not in ("int", "str"):
        return None
    sorts = kind == "int" or (len(value) == len(other) and _SORTED.fullmatch(value) and _SORTED.fullmatch(other))
    return bool(value < other) if sorts else None


def _reaches(comparisons: list[tuple[str, object]], datum: Node, direction: str) -> bool:
    """Returns whether a comparison is at least as narrow as this end of the bound."""
    if strings(datum.get("ColumnRef", {}).get("fields", ()))[-1:] in (["minvalue"], ["maxvalue"]):
        return True
    limit = constant(datum)
    for operator, value in comparisons:
        if direction == ">" and operator in (">", ">=", "=") and _not_below(value, limit):
            return True
        if direction == "<" and operator == "<" and _not_below(limit, value):
            return True
        if direction == "<" and operator in ("<=", "=") and _not_below(limit, value) and value != limit:
            return True
    return False


def _not_below(value: object, limit: object) -> bool:
    if isinstance(value, str) and isinstance(limit, str):
        return value == limit or bool(_ISO.fullmatch(value) and _ISO.fullmatch(limit) and value >= limit)
    return isinstance(value, int) and isinstance(limit, int) and type(value) is type(limit) and value >= limit


def _comparisons(conditions: list[Node], key: str) -> Iterator[tuple[str, object]]:
    for condition in conditions:
        expression = condition.get("A_Expr", {})
        operator = "".join(strings(expression.get("name", ())))
        if expression.get("kind") != "AEXPR_OP" or operator not in _MIRRORED:
            continue
        left, right = expression.get("lexpr", {}), expression.get("rexpr", {})
        if _is_key(left, key):
            yield operator, constant(right)
        elif _is_key(right, key):
            yield _MIRRORED[operator], constant(left)


def _lists(conditions: list[Node], key: str) -> Iterator[list[object]]:
    for condition in conditions:
        expression = condition.get("A_Expr", {})
        listed = expression.get("kind") == "AEXPR_IN" and strings(expression.get("name", ())) == ["="]
        if listed and _is_key(expression.get("lexpr", {}), key):
            yield [constant(item) for item in expression.get("rexpr", {}).get("List", {}).get("items", ())]
    for operator, value in _comparisons(conditions, key):
        if operator == "=":
            yield [value]


def _is_key(node: Node, key: str) -> bool:
    return strings(node.get("ColumnRef", {}).get("fields", ()))[-1:] == [key]
