"""The changes of a column's type that may fail on a value or lose information. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.datatype import BUILT_IN, Type, interval_fits

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog

# The most digits of an integer of the type.
_DIGITS = {"int2": 5, "int4": 10, "int8": 19}
# The number of decimal digits that a floating-point type stores exactly.
_EXACT = {"float4": 7, "float8": 15}
_NUMBERS = (*_DIGITS, *_EXACT, "numeric")
_TEXTS = ("text", "varchar", "bpchar", "citext")
_LOSING = frozenset(
    [
        ("timestamptz", "timestamp"),
        ("timestamptz", "date"),
        ("timestamptz", "time"),
        ("timestamptz", "timetz"),
        ("timestamp", "date"),
        ("timestamp", "time"),
        ("timetz", "time"),
        ("inet", "cidr"),
        ("macaddr8", "macaddr"),
        ("int4", "bool"),
        ("int8", "bool"),
    ]
)
_LARGEST = 6


def is_narrower(old: Type, new: Type, catalog: Catalog) -> bool:
    """Returns whether the new type cannot store some value of the old type without loss."""
    if old.array != new.array:
        return old.array
    if old.name in _TEXTS:
        return _loses_text(old, new, catalog)
    if old.name in _NUMBERS and new.name in _NUMBERS:
        return _loses_digits(old, new)
    if old.name != new.name:
        return (old.name, new.name) in _LOSING
    return _loses_precision(old, new)


def _loses_text(old: Type, new: Type, catalog: Catalog) -> bool:
    if new.name in _TEXTS:
        return bool(new.modifiers) and (not old.modifiers or new.modifiers[0] < old.modifiers[0])
    known = catalog.type(new.name)
    return new.name in BUILT_IN.difference(("bytea", "name")) or (known is not None and known.kind == "enum")


def _loses_digits(old: Type, new: Type) -> bool:
    if new.name in _EXACT:
        return (_DIGITS | _EXACT).get(old.name, float("inf")) > _EXACT[new.name]
    if old.name in _EXACT:
        return new.name in _DIGITS or bool(new.modifiers)
    before, after = _places(old), _places(new)
    return before[0] > after[0] or before[1] > after[1]


def _places(type_: Type) -> tuple[float, float]:
    """Returns the number of digits before and after the decimal point."""
    if type_.name in _DIGITS:
        return _DIGITS[type_.name], 0
    if not type_.modifiers:
        return float("inf"), float("inf")
    return type_.modifiers[0] - type_.modifiers[1], type_.modifiers[1]


def _loses_precision(old: Type, new: Type) -> bool:
    if new.name in ("varbit", "bit"):
        return bool(new.modifiers) and (not old.modifiers or new.modifiers[0] < old.modifiers[0])
    if new.name == "interval":
        return not interval_fits(old, new)
    if new.name in ("timestamp", "timestamptz", "time", "timetz"):
        return bool(new.modifiers) and new.modifiers[0] < (old.modifiers or (_LARGEST,))[0]
    return False
