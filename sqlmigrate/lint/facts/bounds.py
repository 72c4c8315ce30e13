"""The proof that a table's constraints imply the bound of a partition, so that ATTACH does not scan the table. Pure.

It succeeds only where the server's own proof does: for conditions joined by AND that compare the key with constants,
and a key that cannot be NULL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import conjuncts, proves_not_null
from sqlmigrate.sql.tree import constant, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Table
    from sqlmigrate.sql.parser import Node

_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?(?:[+-]\d\d)?)?")
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
