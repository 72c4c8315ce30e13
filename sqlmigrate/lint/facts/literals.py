"""Constants that a type certainly does not accept. Pure."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.casts import is_assignable
from sqlmigrate.lint.schema.datatype import BUILT_IN, Type

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog
    from sqlmigrate.sql.parser import Node

LITERALS = {"ival": "int4", "fval": "numeric", "boolval": "bool"}
# PostgreSQL 16 and newer also accept 0x1F, 0b1, 0o7 and 1_000.
_INTEGER = re.compile(r"\s*[+-]?(?:\d[\d_]*|0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+)\s*")
# What every number, and every date, contains.
_NUMERIC = re.compile(r"\d|nan|inf", re.IGNORECASE)
_DATE = re.compile(r"\d|now|today|tomorrow|yesterday|epoch|infinity|allballs", re.IGNORECASE)
_UUID = re.compile(r"\{?(?:[\da-fA-F]{4}-?){7}[\da-fA-F]{4}\}?")
_ISO_DATE = re.compile(r"\s*(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d:\d\d.*))?\s*")
_TIME = re.compile(r"\s*(\d\d):(\d\d)(?::(\d\d))?(?![\d:]).*", re.DOTALL)
_LAST_TIME = (24, 0, 0)
# Larger numbers, and more precise ones, are not compared.
_DIGITS = 1000
_EXACT = Context(prec=2 * _DIGITS + 20_000, Emax=MAX_EMAX, Emin=MIN_EMIN)
_BITS = {"int2": 16, "int4": 32, "int8": 64}
_WORDS = ("true", "false", "yes", "no", "on", "off", "1", "0")


def literal_fault(node: Node, type_: Type | None, catalog: Catalog) -> str:
    """Returns why a constant is no value of the type; empty for other expressions, and if it may be one."""
    body = node.get("A_Const")
    if body is None or body.get("isnull") or type_ is None:
        return ""
    kind = next((name for key, name in LITERALS.items() if key in body), "")
    if kind:
        different = is_assignable(Type(kind), type_, catalog) is False
        return f"it is of type {type_}, but the expression is of type {Type(kind)}" if different else ""
    if "sval" not in body or type_.array:
        return ""
    value = str(body["sval"].get("sval", ""))
    domain = catalog.type(type_.name) if type_.name not in BUILT_IN else None
    if domain is not None and domain.kind == "domain":
        return literal_fault(node, domain.base, catalog)
    if domain is not None and domain.kind == "enum":
        certain = domain.created is not None and not catalog.uncertain and domain.name[1] not in catalog.uncertain_names
        return (
            f"invalid input value for enum {domain.name[1]}: '{value}'"
            if certain and value not in domain.values
            else ""
        )
    if not _is_accepted(value, type_.name):
        return f"invalid input syntax for type {type_}: '{value}'"
    return "" if _is_in_range(value, type_.name) else f"value '{value}' is out of range for type {type_}"


def _is_accepted(value: str, type_: str) -> bool:
    match type_:
        case "int2" | "int4" | "int8":
            return _INTEGER.fullmatch(value) is not None
        case "bool":
            word = value.strip().lower()
            return word not in ("", "o") and any(valid.startswith(word) for valid in _WORDS)
        case "float4" | "float8" | "numeric":
            return _NUMERIC.search(value) is not None
        case "date" | "timestamp" | "timestamptz":
            return _DATE.search(value) is not None
        case "uuid":
            return _UUID.fullmatch(value) is not None
        case "json" | "jsonb":
            try:
                json.loads(value, strict=False)
            except (ValueError, RecursionError):
                return False
    return True


def _is_in_range(value: str, type_: str) -> bool:
    match type_:
        case "int2" | "int4" | "int8":
            number = _number(value)
            return number is None or _fits(number, _BITS[type_])
        case "date" | "timestamp" | "timestamptz":
            match = _ISO_DATE.fullmatch(value)
            return match is None or (_is_date(*map(int, match.groups()[:3])) and _is_time(match[4] or ""))
        case "time" | "timetz":
            return _is_time(value)
    return True


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        return bool(date(year, month, day))
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    match = _TIME.fullmatch(text)
    time = tuple(int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    return time <= _LAST_TIME and time[1] < 60 and time[2] <= 60


def _number(value: str) -> Decimal | None:
    try:
        return Decimal(value.strip())
    except InvalidOperation:
        return None


def _fits(number: Decimal, bits: int) -> bool:
    limit = 2 ** (bits - 1)
    return bool(-limit <= number.to_integral_value(ROUND_HALF_UP) < limit)


def overflow(node: Node, type_: Type | None) -> str:
    """Returns why a number that a statement stores is out of range of the type; a default may be out of range."""
    if type_ is None or type_.array or (type_.name not in _BITS and not (type_.name == "numeric" and type_.modifiers)):
        return ""
    body = node.get("A_Const", {})
    text = next((str(body[kind].get(kind, 0)) for kind in ("ival", "fval", "sval") if kind in body), "")
    number = _number(text) if text else None
    if number is None or not number.is_finite() or number.adjusted() > _DIGITS:
        return ""
    if type_.name in _BITS:
        return "" if _fits(number, _BITS[type_.name]) else f"{number} is out of range for type {type_}"
    precision, scale = (*type_.modifiers, 0)[:2]
    rounded = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _EXACT)
    is_below = abs(rounded) < Decimal(10) ** (precision - scale)
    return "" if is_below else f"numeric field overflow: {number} is no value of type {type_}"


def is_too_long(node: Node, type_: Type | None) -> bool:
    """Returns whether a text constant is longer than the type allows, apart from spaces at its end."""
    value = node.get("A_Const", {}).get("sval", {}).get("sval", "")
    limited = type_ is not None and type_.name in ("varchar", "bpchar") and bool(type_.modifiers) and not type_.array
    return bool(limited and type_ and len(value.rstrip(" ")) > type_.modifiers[0])
