"""The casts that ALTER COLUMN … TYPE applies without USING: those of pg_cast for assignment, and to text. Pure."""

# ruff: noqa: SIM905  # a long list of names is easier to read as one text

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.datatype import BUILT_IN, Type

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog, UserType

_TEXTS = ("text", "varchar", "bpchar", "name", "citext")
_NUMBERS = ("int2", "int4", "int8", "float4", "float8", "numeric")
_REFERENCES = (
    "oid regproc regprocedure regoper regoperator regclass regcollation regtype regconfig regdictionary regrole "
    "regnamespace"
).split()
# pg_cast of PostgreSQL 14 to 18, castcontext a and i, without the casts to text.
_ASSIGNED: dict[str, tuple[str, ...]] = {
    "int2": (*_NUMBERS, *_REFERENCES),
    **dict.fromkeys(("int4", "int8"), (*_NUMBERS, "money", *_REFERENCES)),
    **dict.fromkeys(("float4", "float8"), _NUMBERS),
    "numeric": (*_NUMBERS, "money"),
    "money": ("numeric",),
    **dict.fromkeys(_REFERENCES, ("int4", "int8", *_REFERENCES)),
    **dict.fromkeys(("text", "varchar"), ("regclass", "char", "citext")),
    "bit": ("varbit",),
    "varbit": ("bit",),
    "cidr": ("inet",),
    "inet": ("cidr",),
    "date": ("timestamp", "timestamptz"),
    "timestamp": ("date", "time", "timestamptz"),
    "timestamptz": ("date", "time", "timestamp", "timetz"),
    "interval": ("time",),
    "time": ("interval", "timetz"),
    "timetz": ("time",),
    "json": ("jsonb",),
    "jsonb": ("json",),
    "box": ("polygon",),
    "path": ("polygon",),
    "point": ("box",),
    "polygon": ("path",),
    "macaddr": ("macaddr8",),
    "macaddr8": ("macaddr",),
}
# Types of PostgreSQL itself; an extension may create casts from and to its own types.
_CORE = frozenset(_ASSIGNED) | frozenset(
    "bool bytea bpchar uuid xml tsvector tsquery pg_lsn circle line lseg int4range int8range numrange tsrange "
    "tstzrange daterange name".split()
)


def is_assignable(old: Type, new: Type, catalog: Catalog) -> bool | None:
    """Returns whether a value is cast without USING, or None if a type or the casts between them are unknown."""
    old, new = _base(old, catalog), _base(new, catalog)
    if (old.name, old.array) == (new.name, new.array) or (new.name in _TEXTS and not new.array):
        return True
    if catalog.has_casts or not (_is_known(old, catalog) and _is_known(new, catalog)):
        return None
    return old.array == new.array and (new.name in _TEXTS or new.name in _ASSIGNED.get(old.name, ()))


def _is_known(type_: Type, catalog: Catalog) -> bool:
    return type_.name in _CORE or _user_type(type_, catalog) is not None


def _user_type(type_: Type, catalog: Catalog) -> UserType | None:
    return None if type_.name in BUILT_IN else catalog.type(type_.name)


def _base(type_: Type, catalog: Catalog) -> Type:
    domain = _user_type(type_, catalog)
    if domain is None or domain.base is None or type_.array:
        return type_
    return _base(domain.base, catalog)
