"""Types under their names in pg_type, and the changes of a column's type that do not rewrite the table. Pure.

The rules are those of ATColumnChangeRequiresRewrite in tablecmds.c, of the binary-coercible casts in pg_cast, and of
the support functions of the length coercions (varchar_support, numeric_support, varbit_support, interval_support,
TemporalSimplify).
"""

# ruff: noqa: SIM905  # a long list of names is easier to read as one text

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.sql.builtin import SERIALS
from sqlmigrate.sql.tree import by_identity, constant, strings

if TYPE_CHECKING:
    from sqlmigrate.sql.parser import Node

_SQL_NAMES = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "bpchar": "char",
    "varbit": "bit varying",
}
# The binary-coercible casts of pg_cast (castmethod b); those between oid and the reg types are in _OID_LIKE.
_OID_LIKE = frozenset(
    "oid int4 regproc regprocedure regoper regoperator regclass regcollation regtype regconfig regdictionary "
    "regrole regnamespace regdatabase".split()
)
_BINARY = frozenset(
    [
        ("text", "varchar"),
        ("varchar", "text"),
        ("text", "bpchar"),
        ("varchar", "bpchar"),
        ("xml", "text"),
        ("xml", "varchar"),
        ("xml", "bpchar"),
        ("cidr", "inet"),
        ("bit", "varbit"),
        ("varbit", "bit"),
        ("text", "citext"),
        ("varchar", "citext"),
        ("citext", "text"),
        ("citext", "varchar"),
        ("citext", "bpchar"),
        ("pg_node_tree", "text"),
    ]
)
_TIMES = ("timestamp", "timestamptz", "time", "timetz")
_ZONED = frozenset([("timestamp", "timestamptz"), ("timestamptz", "timestamp")])
_MAX_PRECISION = 6
_FULL_RANGE = 0x7FFF
# No other type is binary-coercible to these types: a cast function converts every row.
_NEVER_FREE = frozenset(
    "int2 int4 int8 float4 float8 bool date json jsonb uuid money bytea macaddr macaddr8 point line lseg box path "
    "polygon circle tsvector tsquery name cidr xml int4range int8range numrange tsrange tstzrange daterange hstore "
    "geometry geography vector ltree".split()
)
_WITH_MODIFIERS = ("varchar", "numeric", "varbit", "interval", *_TIMES)
_OTHERS = (
    "text bpchar bit inet citext char decimal pg_lsn xid xid8 tid jsonpath txid_snapshot pg_snapshot record "
    "int4multirange int8multirange nummultirange tsmultirange tstzmultirange datemultirange cube"
).split()
BUILT_IN = _NEVER_FREE | _OID_LIKE | {*_WITH_MODIFIERS, *_OTHERS}
# Types that share an operator class: a change between them keeps the index.
_OPERATOR_CLASSES = {"varchar": "text", "cidr": "inet"}


class Type(NamedTuple):
    """A type: its name in pg_type (`int4`, `s.mood`), its modifiers (`(10, 2)`), and whether it is an array."""

    name: str
    modifiers: tuple[int, ...] = ()
    array: bool = False

    def __str__(self) -> str:
        modifiers = [str(modifier) for modifier in self.modifiers]
        if self.name == "interval":
            modifiers = modifiers[1:]
        suffix = f"({', '.join(modifiers)})" if modifiers else ""
        return _SQL_NAMES.get(self.name, self.name.removeprefix("public.")) + suffix + ("[]" if self.array else "")


@by_identity
def type_of(node: Node) -> Type:
    """Returns the type of a TypeName."""
    parts = [part for part in strings(node.get("names", [])) if part != "pg_catalog"]
    values = (constant(modifier) for modifier in node.get("typmods", ()))
    modifiers = tuple(value for value in values if isinstance(value, int))
    name = ".".join(parts)
    if name in ("numeric", "decimal") and len(modifiers) == 1:
        modifiers = (*modifiers, 0)
    if name == "interval" and modifiers == (_FULL_RANGE,):
        modifiers = ()
    return Type(SERIALS.get(name, name), modifiers, bool(node.get("arrayBounds")))


def is_serial(node: Node) -> bool:
    """Returns whether a TypeName is serial, smallserial or bigserial."""
    return any(name in SERIALS for name in strings(node.get("names", []))[-1:])


def change_is_free(old: Type, new: Type, *, utc: bool = False) -> bool:
    """Returns whether a change of a column's type keeps the stored rows; a domain counts as an unknown type.

    `utc` is whether the time zone of the session is UTC: then timestamp and timestamptz are stored alike.
    """
    if old == new:
        return True
    if old.array or new.array:
        return old.array and new.array and old.name == new.name and not new.modifiers
    same = old.name == new.name
    if not same and not _coerces(old.name, new.name, utc=utc):
        return False
    return not new.modifiers or _fits(old if same else Type(new.name), new)


def never_free(new: Type) -> bool:
    """Returns whether a change from any other type to this type rewrites the table."""
    if new.array:
        return bool(new.modifiers) or new.name in BUILT_IN.difference(_WITH_MODIFIERS)
    return new.name in _NEVER_FREE or (new.name in ("bpchar", "bit") and bool(new.modifiers))


def share_operators(old: Type, new: Type) -> bool:
    """Returns whether an index on a column stays valid when the type changes."""
    names = [_OPERATOR_CLASSES.get(type_.name, "oid" if _is_oid(type_) else type_.name) for type_ in (old, new)]
    return names[0] == names[1]


def _is_oid(type_: Type) -> bool:
    return type_.name in _OID_LIKE and type_.name != "int4"


def _coerces(old: str, new: str, *, utc: bool) -> bool:
    both_oids = old in _OID_LIKE and new in _OID_LIKE
    return (old, new) in _BINARY or both_oids or (utc and (old, new) in _ZONED)


def _fits(old: Type, new: Type) -> bool:
    """Returns whether every value with the old modifiers satisfies the new modifiers."""
    if new.name in ("varchar", "varbit"):
        return bool(old.modifiers) and new.modifiers[0] >= old.modifiers[0]
    if new.name == "numeric":
        return bool(old.modifiers) and new.modifiers[1] == old.modifiers[1] and new.modifiers[0] >= old.modifiers[0]
    if new.name in _TIMES:
        return new.modifiers[0] >= _precision(old)
    if new.name == "interval":
        return interval_fits(old, new)
    return False


def _precision(type_: Type) -> int:
    return type_.modifiers[0] if type_.modifiers else _MAX_PRECISION


def interval_fits(old: Type, new: Type) -> bool:
    """Returns whether every value of the old interval type fits the new interval type.

    The first modifier is a set of bits, one for each field that is kept; the second modifier is the precision.
    """
    precisions = [type_.modifiers[1] if len(type_.modifiers) > 1 else _MAX_PRECISION for type_ in (old, new)]
    fields = [type_.modifiers[0] if type_.modifiers else _FULL_RANGE for type_ in (old, new)]
    return precisions[1] >= precisions[0] and (fields[1] == fields[0] or bool(fields[1] & 1 << 12))
