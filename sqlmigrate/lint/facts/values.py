"""Constants as the columns of a table store them, and conditions on them. Pure.

A value is NULL, UNKNOWN, or a pair of its kind and what it is; values of one kind are equal where the pairs are.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.schema.datatype import BUILT_IN, type_of
from sqlmigrate.sql.tree import bodies, constant, kind_and_body, strings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlmigrate.lint.schema.catalog import Catalog
    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node

Value = tuple[str, Any]
NULL: Value = ("null", None)
UNKNOWN: Value = ("unknown", None)
_KINDS = {
    **dict.fromkeys(("int2", "int4", "int8", "numeric"), "number"),
    **dict.fromkeys(("text", "varchar", "bpchar"), "text"),
    "bool": "boolean",
    "uuid": "uuid",
    "date": "date",
}
_INTEGERS = ("int2", "int4", "int8")
_WORDS = {"true": True, "t": True, "false": False, "f": False}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ORDER = {"<": lt, ">": gt, "<=": le, ">=": ge}
_ORDERED = ("number", "date")
_SEVERAL = {"AEXPR_IN": "in", "AEXPR_BETWEEN": "between", "AEXPR_NOT_BETWEEN": "not between", "AEXPR_OP_ANY": "any"}
# A regular expression that means the same to PostgreSQL and to Python, and texts without a line break.
_SAME_PATTERN = re.compile(r"(?:[\w ^$@%&#,;<>=!/'\"~`.|+*?()-]|\[\^?[\w @.+/-]+\]|\{\d+(?:,\d*)?\}|\\[.dws])*")
_LENGTHS = ("length", "char_length", "character_length")


def value_of(node: Node, type_: Type | None, catalog: Catalog) -> Value:
    """Returns what a column of the type stores for a constant."""
    if node.get("A_Const", {}).get("isnull"):
        return NULL
    if type_ is None or type_.array or "A_Const" not in node:
        return UNKNOWN
    if type_.name not in BUILT_IN:
        defined = catalog.type(type_.name)
        if defined is None or defined.kind not in ("enum", "domain"):
            return UNKNOWN
        return value_of(node, defined.base, catalog) if defined.kind == "domain" else _of_kind(node, "enum")
    value = _of_kind(node, _KINDS.get(type_.name, ""))
    return value if _is_stored_as_is(value, type_) else UNKNOWN


def _of_kind(node: Node, kind: str) -> Value:
    """Returns a constant as a value of a kind."""
    written = constant(node)
    text = str(written) if "sval" in node.get("A_Const", {}) or isinstance(written, str) else None
    match kind:
        case "number" if not isinstance(written, bool) and (number := _number(str(written))) is not None:
            return kind, number
        case "text" | "enum" if text is not None:
            return kind, text
        case "boolean" if isinstance(written, bool) or str(written).lower() in _WORDS:
            return kind, written if isinstance(written, bool) else _WORDS[str(written).lower()]
        case "uuid" if text is not None:
            return kind, text.replace("-", "").lower()
        case "date" if text is not None and _DATE.fullmatch(text):
            return kind, text
    return UNKNOWN


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 100 else None


def _is_stored_as_is(value: Value, type_: Type) -> bool:
    """Whether the type neither rounds the value nor removes spaces from it."""
    kind, content = value
    if kind == "number" and type_.name in _INTEGERS:
        return bool(content == content.to_integral_value())
    if kind == "number" and type_.modifiers:
        return -int(content.normalize().as_tuple().exponent) <= type_.modifiers[1]
    return not (kind == "text" and content.endswith(" ") and type_.name != "text")


def are_equal(first: Value, second: Value) -> bool | None:
    """Returns whether two values are equal, or None for NULL and where that cannot be told."""
    if first[0] != second[0] or first in (NULL, UNKNOWN):
        return None
    return bool(first[1] == second[1])


def holds(condition: Node | None, row: Mapping[str, Value]) -> bool | None:
    """Returns whether a row meets a condition, or None for NULL and where that cannot be told."""
    kind, body = kind_and_body(condition) if condition else ("", {})
    match kind:
        case "BoolExpr":
            return _combined(body["boolop"], [holds(part, row) for part in body["args"]])
        case "NullTest":
            value = _operand(body["arg"], row, "")
            is_null = None if value == UNKNOWN else value == NULL
            return is_null if is_null is None or body["nulltesttype"] == "IS_NULL" else not is_null
        case "A_Expr":
            return _compared(body, row)
        case "A_Const":
            return body["boolval"].get("boolval", False) if "boolval" in body else None
        case "ColumnRef":
            value = _operand(condition or {}, row, "boolean")
            return value[1] if value[0] == "boolean" else None
    return None


def _combined(operator: str, parts: list[bool | None]) -> bool | None:
    if operator == "NOT_EXPR":
        return None if parts[0] is None else not parts[0]
    decisive = operator == "OR_EXPR"
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def _compared(body: Node, row: Mapping[str, Value]) -> bool | None:
    operator = "".join(strings(body.get("name", ())))
    several = _SEVERAL.get(body.get("kind", ""))
    left = _operand(body.get("lexpr", {}), row, "")
    if several is not None:
        listed = body.get("rexpr", {})
        listed = listed.get("List", {}).get("items") or listed.get("A_ArrayExpr", {}).get("elements", ())
        return _several(several, operator, left, [_operand(item, row, left[0]) for item in listed])
    if body.get("kind") != "AEXPR_OP":
        return None
    right = _operand(body.get("rexpr", {}), row, left[0])
    if left[0] == "constant":
        left = _operand(body.get("lexpr", {}), row, right[0])
    return _one(operator, left, right)


def _several(several: str, operator: str, left: Value, listed: list[Value]) -> bool | None:
    if several in ("in", "any") and operator in ("=", "<>") and (several == "in" or operator == "="):
        found = _combined("OR_EXPR", [are_equal(left, value) for value in listed]) if listed else None
        return found if operator == "=" or found is None else not found
    if several.endswith("between") and len(listed) == 2:
        within = _combined("AND_EXPR", [_one(">=", left, listed[0]), _one("<=", left, listed[1])])
        return within if several == "between" or within is None else not within
    return None


def _one(operator: str, left: Value, right: Value) -> bool | None:
    if operator in ("~", "!~") and left[0] == right[0] == "text":
        return _matches(left[1], right[1], negated=operator == "!~")
    equal = are_equal(left, right)
    if equal is None or operator in ("=", "<>"):
        return equal if operator == "=" or equal is None else not equal
    order = _ORDER.get(operator)
    return bool(order(left[1], right[1])) if order is not None and left[0] in _ORDERED else None


def _matches(text: str, pattern: str, *, negated: bool) -> bool | None:
    if not _SAME_PATTERN.fullmatch(pattern) or not text.isascii() or "\n" in text or len(text) > 200:
        return None
    try:
        return (re.search(pattern, text, re.ASCII) is not None) is not negated
    except re.error:
        return None


def _operand(node: Node, row: Mapping[str, Value], kind: str) -> Value:
    """Returns a side of a comparison; a constant becomes a value of the kind of the other side."""
    name, body = kind_and_body(node) if node else ("", {})
    match name:
        case "ColumnRef" if len(body.get("fields", ())) == 1:
            return row.get(strings(body["fields"])[-1:][0] if strings(body["fields"]) else "", UNKNOWN)
        case "A_Const" if not body.get("isnull"):
            return _of_kind(node, kind) if kind not in ("", "constant") else ("constant", None)
        case "TypeCast":
            return _cast(body, row)
        case "FuncCall":
            return _called(body, row)
    return UNKNOWN


def _cast(body: Node, row: Mapping[str, Value]) -> Value:
    type_, argument = type_of(body["typeName"]), body["arg"]
    kind = _KINDS.get(type_.name, "") if not type_.modifiers and not type_.array else ""
    if "A_Const" in argument:
        return _of_kind(argument, kind) if kind else UNKNOWN
    value = _operand(argument, row, "")
    return value if value[0] == kind or value == NULL else UNKNOWN


def _called(body: Node, row: Mapping[str, Value]) -> Value:
    name, arguments = strings(body.get("funcname", ()))[-1:], bodies(body, "args")
    value = _operand(body["args"][0], row, "") if len(arguments) == 1 else UNKNOWN
    if value[0] != "text":
        return value if value == NULL else UNKNOWN
    if name and name[0] in _LENGTHS:
        return "number", Decimal(len(value[1]))
    if name in (["lower"], ["upper"]) and value[1].isascii():
        return "text", value[1].lower() if name == ["lower"] else value[1].upper()
    return UNKNOWN
