"""Constants that a type certainly does not accept. Pure."""

from __future__ import annotations

import json
import re
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
    return "" if _is_accepted(value, type_.name) else f"invalid input syntax for type {type_}: '{value}'"


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


def is_too_long(node: Node, type_: Type | None) -> bool:
    """Returns whether a text constant is longer than the type allows, apart from spaces at its end."""
    value = node.get("A_Const", {}).get("sval", {}).get("sval", "")
    limited = type_ is not None and type_.name in ("varchar", "bpchar") and bool(type_.modifiers) and not type_.array
    return bool(limited and type_ and len(value.rstrip(" ")) > type_.modifiers[0])
