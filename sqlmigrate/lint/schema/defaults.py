"""Defaults by their value: two spellings of a default are the same if the server stores the same value for both.

The server resolves the names and the types of a default before it stores it: '' and ''::text are the same default of a
text column, and '1970-01-01' and timestamptz '1970-01-01 00:00' are the same default of a timestamptz column.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.schema.datatype import Type, type_of
from sqlmigrate.lint.schema.interpret.names import free_name
from sqlmigrate.lint.schema.replacing import replace
from sqlmigrate.sql.tree import constant, kind_and_body, strings

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.lint.schema.catalog import Catalog, Column, Name
    from sqlmigrate.sql.parser import Node

_STRINGS = ("text", "varchar", "bpchar", "citext", "name", "char")
_INTEGERS = ("int2", "int4", "int8", "oid")
_NUMBERS = (*_INTEGERS, "numeric", "decimal", "float4", "float8")
_JSON = ("json", "jsonb")
_TRUE = ("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1")
_FALSE = ("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0")
_MOMENT = re.compile(
    r"(?:(\d{4})-(\d\d?)-(\d\d?))?(?:[ T]?(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)? *(Z|UTC|[+-]\d\d?(?::?\d\d)?)?",
    re.IGNORECASE,
)
_SPAN = re.compile(r"([+-]?\d+) *(year|month|mon|week|day|hour|minute|min|second|sec)s?", re.IGNORECASE)
_SECONDS = {"week": 604800, "day": 86400, "hour": 3600, "minute": 60, "min": 60, "second": 1, "sec": 1}
# The elements of an array literal that need no quotes, or have them for nothing.
_ELEMENTS = re.compile(r'\{(?:"?[\w.@:+-]*"?)(?:,"?[\w.@:+-]*"?)*\}')
_NOW = re.compile(r"^(now|today|tomorrow|yesterday)\b", re.IGNORECASE)


def same_default(catalog: Catalog, table: Name, old: Column, new: Column) -> bool:
    """Returns whether two columns have the same default, or spellings of literals that may have the same value."""
    first, second = (_value(catalog, table, column) for column in (old, new))
    return bool(first == second) or (isinstance(first, _Spelling) and isinstance(second, _Spelling))


class _Spelling(str):
    """A literal of a type whose values have several spellings that only the server can compare."""

    __slots__ = ()


def plain_type(catalog: Catalog, type_: Type) -> Type:
    """Returns the type without a schema that the search_path contains."""
    schema, _, name = type_.name.rpartition(".")
    return type_._replace(name=name) if schema in catalog.search_path else type_


def _value(catalog: Catalog, table: Name, column: Column) -> Any:
    """Returns a form of the default that is the same for all its spellings."""
    expression, type_ = column.default, _base(catalog, column.type)
    if expression is None or is_null(expression):
        return None
    literal = _literal(catalog, expression, type_)
    if literal is not None:
        return literal
    kind, body = kind_and_body(expression)
    if kind == "SerialDefault":
        sequence = free_name(table[1], column.name, "seq", lambda _: False)
        return "nextval", sequence
    if kind == "TypeCast" and type_ is not None and _base(catalog, type_of(body["typeName"])) == type_:
        return _value(catalog, table, _with_default(column, body["arg"]))
    return _normal(catalog, expression)


def _with_default(column: Column, default: Node) -> Column:
    return replace(column, default=default)


def is_null(expression: Node) -> bool:
    """Returns whether an expression is NULL or a cast of it."""
    if "TypeCast" in expression:
        return is_null(expression["TypeCast"].get("arg", {}))
    return bool(expression.get("A_Const", {}).get("isnull"))


def _base(catalog: Catalog, type_: Type | None) -> Type | None:
    """Returns the type below a domain."""
    domain = catalog.type(type_.name) if type_ is not None else None
    if type_ is None or domain is None or domain.kind != "domain" or domain.base is None:
        return type_ and plain_type(catalog, type_)
    return _base(catalog, domain.base)


def _literal(catalog: Catalog, expression: Node, type_: Type | None) -> Any:
    """Returns the value of a literal with any number of casts, or None for another expression."""
    cast = None
    while "TypeCast" in expression:
        cast = _base(catalog, type_of(expression["TypeCast"]["typeName"]))
        expression = expression["TypeCast"]["arg"]
    if "A_ArrayExpr" in expression:
        elements = expression["A_ArrayExpr"].get("elements", ())
        values = [constant(element) for element in elements]
        return None if None in values else ("array", tuple(map(_text, values)))
    value = constant(expression)
    if value is None or type_ is None:
        return None if value is None else ("literal", _text(value))
    return _typed(_text(value), cast or type_, type_)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(text: str, cast: Type, type_: Type) -> Any:
    """Returns the value of a text of the type `cast` in a column of a type."""
    if cast.array or type_.array:
        bare = re.sub(r"\s*([{},])\s*", r"\1", text.strip())
        elements = bare[1:-1].replace('"', "").split(",") if _ELEMENTS.fullmatch(bare) else None
        return _Spelling(text) if elements is None else ("array", tuple(elements if bare != "{}" else ()))
    if {cast.name, type_.name} <= {*_NUMBERS}:
        return _number(text, cast, type_)
    family = next((names for names in (_STRINGS, _JSON) if cast.name in names and type_.name in names), None)
    if family is not None and "json" not in (cast.name, type_.name):
        cast = type_
    return _READERS.get(cast.name, _exact)(text, cast)


def _number(text: str, cast: Type, type_: Type) -> Any:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _Spelling(text)
    rounds = any(each.name in _INTEGERS for each in (cast, type_)) and number != number.to_integral_value()
    if rounds or cast.modifiers:
        return "number", text, cast
    has_scale = type_.name == "numeric" and not type_.modifiers
    return "number", str(number) if has_scale else number.normalize()


def _exact(text: str, type_: Type) -> Any:
    return type_.name, text


def _string(text: str, type_: Type) -> Any:
    shown = text.rstrip() if type_.name == "bpchar" else text
    return "string", shown


def _boolean(text: str, _: Type) -> Any:
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else _Spelling(text)


def _json(text: str, _: Type) -> Any:
    try:
        return "jsonb", json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return _Spelling(text)


def _moment(text: str, type_: Type) -> Any:
    """Returns the fields of a date and time in ISO 8601; the zone of a text without one is that of the session."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None or not match[0] or _NOW.match(text):
        return _Spelling(text)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    date = (int(year), int(month), int(day)) if year else None
    time = (int(hour or 0), int(minute or 0), int(second or 0), (fraction or "").rstrip("0"))
    if type_.name == "date":
        return "date", date
    if type_.name in ("timestamp", "time"):
        return type_.name, date, time
    return (type_.name, date, time) if zone is None else _Spelling(text)


def _span(text: str, _: Type) -> Any:
    """Returns months and seconds of an interval that is spelled in units."""
    parts = _SPAN.findall(text)
    if not parts or _SPAN.sub("", text).strip():
        return _Spelling(text)
    months = sum(int(count) * (12 if unit.lower() == "year" else 1) for count, unit in parts if unit.lower() in _MONTHS)
    days = sum(int(count) * _SECONDS[unit.lower()] for count, unit in parts if unit.lower() in ("week", "day"))
    rest = sum(int(count) * _SECONDS.get(unit.lower(), 0) for count, unit in parts if unit.lower() not in _NO_TIME)
    return "interval", months, days, rest


_MONTHS = ("year", "month", "mon")
_NO_TIME = (*_MONTHS, "week", "day")
_READERS: dict[str, Callable[[str, Type], Any]] = {
    **dict.fromkeys(_STRINGS, _string),
    **dict.fromkeys(("timestamptz", "timestamp", "date", "time", "timetz"), _moment),
    **dict.fromkeys(
        ("inet", "cidr", "money", "tsvector", "tsquery", "xml", "hstore", "point", "box", "path", "bytea", "macaddr"),
        lambda text, _: _Spelling(text),
    ),
    **dict.fromkeys(
        ("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"), lambda text, _: _Spelling(text)
    ),
    "bool": _boolean,
    "jsonb": _json,
    "interval": _span,
    "uuid": lambda text, _: ("uuid", re.sub("[-{}]", "", text).lower()),
}


def _normal(catalog: Catalog, tree: Any) -> Any:
    """Returns an expression without locations, redundant casts of literals, and schemas of the search_path."""
    if isinstance(tree, list):
        return [_normal(catalog, item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "TypeCast" in tree and (text := constant(tree)) is not None and isinstance(text, str):
        names = strings(tree["TypeCast"]["typeName"].get("names", ()))
        if names[-1:] in (["text"], ["regclass"]):
            return _normal(catalog, tree["TypeCast"]["arg"])
    if "FuncCall" in tree and strings(tree["FuncCall"]["funcname"])[-1] == "nextval":
        return "nextval", _bare_name(catalog, str(constant(tree["FuncCall"].get("args", [{}])[0])))
    normal = {key: _normal(catalog, value) for key, value in tree.items() if key != "location"}
    for field in ("funcname", "names"):
        if field in normal and len(normal[field]) > 1 and strings(tree[field])[0] in _schemas(catalog):
            normal[field] = normal[field][1:]
    return normal


def _schemas(catalog: Catalog) -> tuple[str, ...]:
    return ("pg_catalog", *catalog.search_path)


def _bare_name(catalog: Catalog, text: str) -> str:
    """Returns the name in a text of the type regclass, without a schema that the search_path contains."""
    schema, _, name = text.replace('"', "").rpartition(".")
    return name if not schema or schema in _schemas(catalog) else f"{schema}.{name}"
