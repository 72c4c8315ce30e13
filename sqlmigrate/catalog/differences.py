"""Compares two snapshots, object by object."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlmigrate.catalog.snapshot import CatalogObject, Key, Snapshot

_COLUMNS = "columns"


class SchemaChange(Enum):
    """How an object differs from what is expected."""

    ADDED = "added"
    MISSING = "missing"
    CHANGED = "changed"


class Difference(NamedTuple):
    """An object that is not as expected. Of a changed object, `properties` are those that differ.

    Each property has the expected value and the actual one; None if the object does not have it. `expected` and
    `actual` are None if there is no such object.
    """

    key: Key
    change: SchemaChange
    properties: Mapping[str, tuple[str | None, str | None]]
    expected: CatalogObject | None
    actual: CatalogObject | None


def compare(expected: Snapshot, actual: Snapshot) -> list[Difference]:
    """Returns the differences, sorted; the parts of an added or missing object are no differences of their own."""
    found = [*_only_in(expected, actual, SchemaChange.MISSING), *_only_in(actual, expected, SchemaChange.ADDED)]
    gone = {difference.key for difference in found}
    found += _changed(expected, actual, gone)
    return sorted(found, key=lambda difference: difference.key)


def _only_in(one: Snapshot, other: Snapshot, change: SchemaChange) -> Iterator[Difference]:
    keys = [key for key in one.objects if key not in other.objects]
    identities = {key.identity for key in keys}
    for key in keys:
        item = one.objects[key]
        if item.parent in identities:
            continue
        if change is SchemaChange.MISSING:
            yield Difference(key, change, {name: (value, None) for name, value in item.properties.items()}, item, None)
        else:
            yield Difference(key, change, {name: (None, value) for name, value in item.properties.items()}, None, item)


def _changed(expected: Snapshot, actual: Snapshot, gone: set[Key]) -> Iterator[Difference]:
    names = {key.identity for key in gone if key.kind == "column"}
    for key, old in expected.objects.items():
        new = actual.objects.get(key)
        if new is None or new.properties == old.properties:
            continue
        properties = {
            name: (old.properties.get(name), new.properties.get(name))
            for name in sorted(old.properties.keys() | new.properties.keys())
            if old.properties.get(name) != new.properties.get(name)
        }
        if _COLUMNS in properties and not _is_reordered(key, old, new, names):
            del properties[_COLUMNS]
        if properties:
            yield Difference(key, SchemaChange.CHANGED, properties, old, new)


def _is_reordered(key: Key, old: CatalogObject, new: CatalogObject, gone: set[str]) -> bool:
    """Whether the columns that both tables have come in another order; `gone` are those that only one of them has."""
    orders = [[name for name in columns_of(table) if f"{key.identity}.{name}" not in gone] for table in (old, new)]
    return orders[0] != orders[1]


def columns_of(table: CatalogObject) -> list[str]:
    """Returns the quoted names of the columns of a table, in their order."""
    return split_names(table.properties.get(_COLUMNS, ""))


def split_names(text: str) -> list[str]:
    """Splits a list of quoted names at the commas between them."""
    names, is_quoted, start = [], False, 0
    for position, character in enumerate(text):
        if character == '"':
            is_quoted = not is_quoted
        elif character == "," and not is_quoted:
            names.append(text[start:position].strip())
            start = position + 1
    return [*names, text[start:].strip()] if text else []
