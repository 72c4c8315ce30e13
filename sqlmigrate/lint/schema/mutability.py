"""The calls and casts that make an expression not immutable: its value depends on more than the row. Pure."""

# ruff: noqa: SIM905  # a long list of names is easier to read as one text

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.datatype import Type, type_of
from sqlmigrate.lint.schema.volatility import inlined
from sqlmigrate.sql.builtin import VOLATILE
from sqlmigrate.sql.tree import kind_and_body, qualified, strings, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlmigrate.lint.schema.catalog import Catalog, Name
    from sqlmigrate.sql.parser import Node

    Types = Mapping[str, Type | None]

# Stable functions whose value changes with time, session or data.
CHANGING = frozenset(
    (
        "now statement_timestamp transaction_timestamp current_setting current_database current_schema current_schemas "
        "version txid_current pg_current_xact_id pg_backend_pid inet_client_addr to_regclass"
    ).split()
)
# Stable functions whose value depends on settings.
_BY_SETTING = frozenset(
    (
        "to_char to_date to_number concat concat_ws format array_to_string array_to_json row_to_json to_json to_jsonb "
        "jsonb_build_object jsonb_build_array make_timestamptz"
    ).split()
)
# Functions whose variant for timestamptz depends on the time zone.
_BY_ZONE = ("date_trunc", "date_part", "extract", "date")
_TEXTS = ("text", "varchar", "bpchar")
_CASTS = {
    "timestamptz": ("date", "time", "timestamp", "timetz", *_TEXTS),
    "timestamp": ("timestamptz", *_TEXTS),
    "date": ("timestamptz", *_TEXTS),
}


def mutable_part(expression: Node | None, catalog: Catalog, types: Types, within: tuple[Name, ...] = ()) -> str:
    """Returns a call or cast that is certainly not immutable, or an empty string; `types` are those of the columns."""
    for kind, body in walk(expression):
        part = changing_call(kind, body) or _typed(kind, body, types)
        if not part and kind == "FuncCall":
            part = _call(qualified(body.get("funcname", ())), catalog, within)
        if part:
            return part
    return ""


def changing_call(kind: str, body: Node) -> str:
    """Returns the call if its value changes with time, session or chance; of PostgreSQL's own functions only."""
    if kind == "SQLValueFunction":
        return str(body.get("op", "")).removeprefix("SVFOP_").removesuffix("_N").lower()
    name = qualified(body.get("funcname", ()))[1] if kind == "FuncCall" else ""
    return f"{name}()" if name in CHANGING or name in VOLATILE else ""


def _call(name: Name, catalog: Catalog, within: tuple[Name, ...]) -> str:
    function = None if name[0] == "pg_catalog" else catalog.function(name)
    if function is None:
        return f"{name[1]}()" if name[1] in _BY_SETTING else ""
    if function.volatility == "immutable" or function.name in within or name[1] in catalog.uncertain_names:
        return ""
    expression = inlined(function)
    if expression is None:
        return f"{name[1]}(), which is {function.volatility.upper()}" if function.language in ("plpgsql", "sql") else ""
    return mutable_part(expression, catalog, {}, (*within, function.name))


def _typed(kind: str, body: Node, types: Types) -> str:
    """Returns a cast or a call of a column whose variant for the column's type depends on a setting."""
    if kind == "TypeCast":
        old, new = _type(body.get("arg", {}), types), type_of(body["typeName"]) if "typeName" in body else None
        return f"the cast from {old} to {new}" if old and new and new.name in _CASTS.get(old.name, ()) else ""
    name = qualified(body.get("funcname", ()))[1] if kind == "FuncCall" else ""
    if name in _BY_ZONE and len(body.get("args", ())) < 3:  # a third argument is the time zone
        old = next((type_ for argument in body.get("args", ()) if (type_ := _type(argument, types))), None)
        return f"{name}() of {old}" if old and old.name == "timestamptz" else ""
    return ""


def _type(node: Node, types: Types) -> Type | None:
    kind, body = kind_and_body(node) if node else ("", {})
    if kind == "ColumnRef":
        type_ = types.get(strings(body.get("fields", ()))[-1]) if strings(body.get("fields", ())) else None
        return type_ if type_ and not type_.array else None
    return None
