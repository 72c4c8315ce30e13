"""Writes the statements that turn an object into what is expected, where that is plain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmigrate.catalog import default_privileges, privileges, statements
from sqlmigrate.catalog.differences import SchemaChange, split_names
from sqlmigrate.catalog.snapshot import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlmigrate.catalog.differences import Difference
    from sqlmigrate.catalog.snapshot import CatalogObject, Snapshot

    Pair = tuple[str | None, str | None]

_STATES = {None: "enable", "disabled": "disable", "replica": "enable replica", "always": "enable always"}


def mend(difference: Difference, expected: Snapshot) -> list[str] | None:
    """Returns the statements that make an object what it is in a snapshot; None if they are not plain."""
    key, change, properties, old, new = difference
    item = old or new
    if item is not None and key.kind == "default privileges":
        return default_privileges.statements(key.identity, *properties["privileges"])
    if item is not None and key.kind == "column" and "type" not in item.properties:  # of a view
        return property_statements(key, item, properties)
    if item is not None and key.kind == "column" and Key("type", item.parent) in expected.objects:
        return _attribute(difference, item)
    if change is SchemaChange.ADDED and new is not None:
        text = statements.drop(key, new)
        return None if text is None else [text]
    if old is None or new is None:
        return create(key, old, expected) if old is not None else None
    if (recreated := _recreated(difference, expected)) is not None:
        return recreated
    try:
        return property_statements(key, old, properties)
    except KeyError:
        return None


def _attribute(difference: Difference, item: CatalogObject) -> list[str] | None:
    """Returns the statement for an attribute of a composite type."""
    key, change = difference.key, difference.change
    name = statements.part_name(key, item)
    if change is SchemaChange.CHANGED:
        return None
    action = (
        f"drop attribute {name}" if change is SchemaChange.ADDED else f"add attribute {statements.column(key, item)}"
    )
    return [f"alter type {item.parent} {action}"]


def create(key: Key, item: CatalogObject, snapshot: Snapshot) -> list[str] | None:
    """Returns the statements that create an object as it is in a snapshot, with its parts, privileges and comments."""
    text = statements.create(key, item, snapshot)
    if text is None:
        return None
    found = [text]
    for part, child in sorted(snapshot.objects.items()) if key.kind in _HAS_PARTS else ():
        is_made = "partition of" in item.properties and "attached to" in child.properties  # with the partition
        if child.parent == key.identity and part.kind != "column" and not is_made:
            created = create(part, child, snapshot)
            if created is None:
                return None
            found += created
    try:
        return found + _rest(key, item, snapshot)
    except KeyError:
        return None


def _rest(key: Key, item: CatalogObject, snapshot: Snapshot) -> list[str]:
    """Returns the statements for what CREATE does not say.

    Raises:
        KeyError: no statement for a property is known.
    """
    found = property_statements(key, item, _pairs(item, _AFTER if key.kind != "column" else _AFTER_COLUMN))
    if key.kind in {"table", "foreign table"}:
        for name in statements.columns_in(key, snapshot):
            column = snapshot.objects[name]
            found += property_statements(name, column, _pairs(column, _AFTER_COLUMN))
    return found


def _pairs(item: CatalogObject, names: set[str]) -> dict[str, Pair]:
    return {name: (item.properties[name], None) for name in sorted(names & item.properties.keys())}


_HAS_PARTS = {"table", "view", "materialized view", "foreign table", "domain"}
_AFTER = {
    *("comment", "privileges", "state", "replica identity", "row security", "clustered on", "statistics", "target"),
    *("owned by", "index comment"),
}
_AFTER_COLUMN = {"comment", "privileges", "statistics", "storage", "compression", "options"}


def _recreated(difference: Difference, expected: Snapshot) -> list[str] | None:
    """Returns DROP and CREATE for an object that has no data and whose definition differs; None if it is altered."""
    key, _, properties, old, new = difference
    if old is None or new is None:
        return None
    if key.kind in {"constraint", "domain constraint"} and "definition" in properties:
        before, after = properties["definition"]
        if before and after == f"{before} NOT VALID":
            kind = "table" if key.kind == "constraint" else "domain"
            return [f"alter {kind} {old.parent} validate constraint {statements.part_name(key, old)}"]
    if key.kind in _RECREATED and not _RECREATED[key.kind].isdisjoint(properties):
        dropped, created = statements.drop(key, new), create(key, old, expected)
        return [dropped, *created] if dropped and created else None
    return None


_RECREATED = {
    "constraint": {"definition", "options"},
    "domain constraint": {"definition"},
    "index": {"definition"},
    "trigger": {"definition"},
    "policy": {"command", "restrictive", "roles", "using", "check"},
    "rule": {"definition"},
    "materialized view": {"definition"},
    "statistics": {"definition"},
    "event trigger": {"event", "function", "tags"},
    "publication": {"tables", "publishes", "via root", "generated columns"},
}


def property_statements(key: Key, item: CatalogObject, properties: Mapping[str, Pair]) -> list[str]:
    """Returns the statements that change properties of an object from the second value to the first.

    Raises:
        KeyError: no statement for one of them is known.
    """
    found: list[str] = []
    for name, (expected, actual) in properties.items():
        if name == "privileges":
            found += statements.grants(key, item, expected, actual)
        elif name in _EVERYWHERE:
            found.append(_EVERYWHERE[name](key, item, expected))
        else:
            found += _WRITERS[key.kind][name](key, item, expected, actual)
    return found


def _comment(key: Key, item: CatalogObject, text: str | None) -> str:
    kind, identity = key
    if kind == "domain constraint":
        kind, identity = "constraint", f"{statements.part_name(key, item)} on domain {item.parent}"
    return f"comment on {kind} {'(' + identity + ')' if kind == 'cast' else identity} is {_literal(text)}"


def _owner(key: Key, _: CatalogObject, role: str | None) -> str:
    return f"alter {key.kind} {key.identity} owner to {privileges.role(role or '')}"


_EVERYWHERE: dict[str, Callable[[Key, CatalogObject, str | None], str]] = {
    "comment": _comment,
    "owner": _owner,
    "index comment": lambda key, item, text: f"comment on index {_index_of(key, item)} is {_literal(text)}",
}


def _index_of(key: Key, item: CatalogObject) -> str:
    """Returns the index of a constraint, which has its name, in the schema of the table."""
    schema = _SCHEMA.match(item.parent)
    return f"{schema[0] if schema else ''}{statements.part_name(key, item)}"


_SCHEMA = re.compile(r'(?:"(?:[^"]|"")*"|[^".]+)\.')


def _literal(text: str | None) -> str:
    if text is None:
        return "null"
    quoted = "'" + text.replace("'", "''") + "'"
    return f"E{quoted}".replace("\\", "\\\\") if "\\" in text else quoted


def _alter_column(action: Callable[[str, str | None], str]) -> Callable[..., list[str]]:
    def write(key: Key, item: CatalogObject, expected: str | None, _: str | None) -> list[str]:
        name = statements.part_name(key, item)
        return [f"alter table {item.parent} alter column {name} {action(name, expected)}"]

    return write


def _type(name: str, expected: str | None) -> str:
    return f"type {expected} using {name}::{expected}"


def _not_null(key: Key, item: CatalogObject, expected: str | None, actual: str | None) -> list[str]:
    if expected and actual is not None:  # its constraint has another name
        raise KeyError("not null")
    name = statements.part_name(key, item)
    return [f"alter table {item.parent} alter column {name} {'drop' if expected is None else 'set'} not null"]


def _identity(key: Key, item: CatalogObject, expected: str | None, actual: str | None) -> list[str]:
    if expected and actual:
        action = f"set generated {expected}"
    else:
        action = "drop identity" if expected is None else f"add generated {expected} as identity"
    return [f"alter table {item.parent} alter column {statements.part_name(key, item)} {action}"]


def _options(prefix: str) -> Callable[..., list[str]]:
    """Returns a writer for options: those that differ are set, and those that are not expected are reset."""

    def write(key: Key, item: CatalogObject, expected: str | None, actual: str | None) -> list[str]:
        wanted, present = (
            dict(option.split("=", 1) for option in split_names(text or "")) for text in (expected, actual)
        )
        subject = prefix.format(key=key, parent=item.parent, name=statements.part_name(key, item))
        changed = [f"{name} = {value}" for name, value in wanted.items() if present.get(name) != value]
        found = [f"{subject} set ({', '.join(changed)})"] if changed else []
        gone = [name for name in present if name not in wanted]
        return found + ([f"{subject} reset ({', '.join(gone)})"] if gone else [])

    return write


def _row_security(key: Key, _: CatalogObject, expected: str | None, actual: str | None) -> list[str]:
    found = []
    for word, on, off in (("enabled", "enable", "disable"), ("forced", "force", "no force")):
        wanted, present = (word in (text or "") for text in (expected, actual))
        if wanted != present:
            found.append(f"alter table {key.identity} {on if wanted else off} row level security")
    return found


def _replica_identity(key: Key, _: CatalogObject, expected: str | None, __: str | None) -> list[str]:
    index = (expected or "").removeprefix("index ")
    what = (
        f"using index {index.rpartition('.')[2]}"
        if expected and expected.startswith("index ")
        else expected or "default"
    )
    return [f"alter table {key.identity} replica identity {what}"]


def _collation(key: Key, item: CatalogObject, expected: str | None, _: str | None) -> list[str]:
    collate = expected or 'pg_catalog."default"'
    name, data_type = statements.part_name(key, item), item.properties["type"]
    return [f"alter table {item.parent} alter column {name} type {data_type} collate {collate}"]


def _index_statistics(key: Key, _: CatalogObject, expected: str | None, actual: str | None) -> list[str]:
    wanted, present = (dict(pair.split() for pair in split_names(text or "")) for text in (expected, actual))
    numbers = sorted(number for number in wanted.keys() | present.keys() if wanted.get(number) != present.get(number))
    return [
        f"alter index {key.identity} alter column {number} set statistics {wanted.get(number, -1)}"
        for number in numbers
    ]


def _state(key: Key, item: CatalogObject, expected: str | None, _: str | None) -> list[str]:
    if key.kind == "event trigger":
        return [f"alter event trigger {key.identity} {_STATES[expected]}"]
    return [f"alter table {item.parent} {_STATES[expected]} {key.kind} {statements.part_name(key, item)}"]


def _replaced(key: Key, item: CatalogObject, expected: str | None, _: str | None) -> list[str]:
    text = (expected or "").strip().removesuffix(";")
    if key.kind != "view":
        return [text]
    options = f" with ({item.properties['options']})" if "options" in item.properties else ""
    return [f"create or replace view {key.identity}{options} as\n{text}"]


def _labels(key: Key, _: CatalogObject, expected: str | None, actual: str | None) -> list[str]:
    """Adds the labels that are missing; a label cannot be removed or moved."""
    wanted, present = (split_labels(text or "") for text in (expected, actual))
    if [label for label in wanted if label in present] != present:
        raise KeyError("labels")
    found = []
    for position, label in enumerate(wanted):
        if label not in present:
            place = f" after {wanted[position - 1]}" if position else f" before {wanted[1]}" if wanted[1:] else ""
            found.append(f"alter type {key.identity} add value {label}{place}")
    return found


def split_labels(text: str) -> list[str]:
    """Splits the labels of an enum, which are literals."""
    swapped = text.replace('"', "\0").replace("'", '"')
    return [label.replace('"', "'").replace("\0", '"') for label in split_names(swapped)]


def _sequence(key: Key, item: CatalogObject, _: str | None, __: str | None) -> list[str]:
    return [f"alter sequence {key.identity} {statements.sequence_options(item.properties)}"]


def _clustered(key: Key, _: CatalogObject, expected: str | None, __: str | None) -> list[str]:
    if expected is None:
        return [f"alter table {key.identity} set without cluster"]
    return [f"alter table {key.identity} cluster on {expected.rpartition('.')[2]}"]


def _domain(action: Callable[[str | None], str]) -> Callable[..., list[str]]:
    return lambda key, _, expected, __: [f"alter domain {key.identity} {action(expected)}"]


def _set(word: str) -> Callable[[str, str | None], str]:
    return lambda _, expected: f"drop {word}" if expected is None else f"set {word} {expected}"


_SEQUENCE_OPTIONS = ("type", "start", "increment", "minimum", "maximum", "cache", "cycle")
_WRITERS: dict[str, dict[str, Callable[..., list[str]]]] = {
    "column": {
        "type": _alter_column(_type),
        "collation": _collation,
        "not null": _not_null,
        "default": _alter_column(_set("default")),
        "identity": _identity,
        "statistics": _alter_column(lambda _, expected: f"set statistics {expected or -1}"),
        "storage": _alter_column(lambda _, expected: f"set storage {expected or 'default'}"),
        "compression": _alter_column(lambda _, expected: f"set compression {expected or 'default'}"),
        "options": _options("alter table {parent} alter column {name}"),
    },
    "table": {
        "persistence": lambda key, _, expected, __: [f"alter table {key.identity} set {expected or 'logged'}"],
        "options": _options("alter table {key.identity}"),
        "replica identity": _replica_identity,
        "row security": _row_security,
        "clustered on": _clustered,
    },
    "view": {"definition": _replaced, "options": _options("alter view {key.identity}")},
    "materialized view": {"options": _options("alter materialized view {key.identity}"), "clustered on": _clustered},
    "function": {"definition": _replaced},
    "procedure": {"definition": _replaced},
    "trigger": {"state": _state},
    "rule": {"state": _state},
    "event trigger": {"state": _state},
    "index": {
        "statistics": _index_statistics,
        "invalid": lambda key, _, expected, __: [] if expected else [f"reindex index {key.identity}"],
    },
    "type": {"labels": _labels},
    "domain": {
        "default": _domain(lambda expected: f"set default {expected}" if expected else "drop default"),
        "not null": _domain(lambda expected: "set not null" if expected else "drop not null"),
    },
    "sequence": {
        **dict.fromkeys(_SEQUENCE_OPTIONS, _sequence),
        "owned by": lambda key, _, expected, __: [f"alter sequence {key.identity} owned by {expected or 'none'}"],
    },
    "statistics": {
        "target": lambda key, _, expected, __: [f"alter statistics {key.identity} set statistics {expected or -1}"]
    },
    "database": {},
}
