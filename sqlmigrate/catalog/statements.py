"""Writes the statements that create and drop objects of a snapshot, or nothing if it cannot write them completely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.catalog import privileges
from sqlmigrate.catalog.differences import columns_of
from sqlmigrate.catalog.snapshot import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlmigrate.catalog.snapshot import CatalogObject, Snapshot

# Kinds whose DROP names the table: DROP TRIGGER name ON table.
_ON_TABLE = {"trigger", "rule", "policy"}
# Kinds whose DROP names the identity and nothing else.
_PLAIN = {
    "table", "view", "materialized view", "foreign table", "sequence", "index", "function", "procedure", "aggregate",
    "type", "domain", "schema", "extension", "statistics", "publication", "event trigger", "server", "collation",
    "foreign data wrapper", "cast", "operator", "operator family", "conversion", "text search configuration",
    "text search dictionary", "text search parser", "text search template", "access method", "language",
    "subscription",
}  # fmt: skip
# Dropping them loses rows.
HOLDS_DATA = {"table", "column", "sequence", "materialized view", "schema", "extension"}


def drop(key: Key, item: CatalogObject) -> str | None:
    """Returns the statement that drops an object, without CASCADE; None if it cannot be written."""
    kind, identity = key
    name = part_name(key, item)
    if kind == "column":
        return f"alter table {item.parent} drop column {name}"
    if kind == "constraint":
        return f"alter table {item.parent} drop constraint {name}"
    if kind == "domain constraint":
        return f"alter domain {item.parent} drop constraint {name}"
    if kind == "operator class":
        return f"drop operator class {identity}"
    if kind == "user mapping":
        role, _, server = identity.partition(" on ")
        return f"drop user mapping for {role} server {server}"
    if kind == "cast":
        return f"drop cast ({identity})"
    if kind in _PLAIN or kind in _ON_TABLE:
        return f"drop {kind} {identity}"
    return None


def part_name(key: Key, item: CatalogObject) -> str:
    """Returns the name of a part without that of the object that it is part of."""
    if key.kind == "column":
        return key.identity[len(item.parent) + 1 :]
    return key.identity.removesuffix(f" on {item.parent}")


def create(key: Key, item: CatalogObject, snapshot: Snapshot) -> str | None:
    """Returns the statement that creates an object as it is in a snapshot; None if it cannot be written completely."""
    writer = _WRITERS.get(key.kind)
    return writer(key, item, snapshot) if writer else None


def columns_in(key: Key, snapshot: Snapshot) -> list[Key]:
    """Returns the columns of a table, in their order."""
    names = [Key("column", f"{key.identity}.{name}") for name in columns_of(snapshot.objects[key])]
    return [name for name in names if name in snapshot.objects]


def column(key: Key, item: CatalogObject) -> str:
    """Returns the definition of a column, as in CREATE TABLE."""
    properties = item.properties
    words = [part_name(key, item), properties["type"]]
    if "collation" in properties:
        words.append(f"collate {properties['collation']}")
    if "generated" in properties:
        kind, _, expression = properties["generated"].partition(" ")
        words.append(f"generated always as ({_unwrapped(expression)}) {kind}")
    if "identity" in properties:
        words.append(f"generated {properties['identity']} as identity")
    if "default" in properties:
        words.append(f"default {properties['default']}")
    if "not null" in properties:
        words.append("not null")
    return " ".join(words)


def _unwrapped(expression: str) -> str:
    return (
        expression[1:-1]
        if expression.startswith("(") and expression.endswith(")") and _is_one(expression)
        else expression
    )


def _is_one(expression: str) -> bool:
    """Whether the first parenthesis closes at the end."""
    depth = 0
    for position, character in enumerate(expression):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return position == len(expression) - 1
    return False


def _table(key: Key, item: CatalogObject, snapshot: Snapshot) -> str | None:
    properties = item.properties
    persistence = "unlogged " if "persistence" in properties else ""
    options = f" with ({properties['options']})" if "options" in properties else ""
    if "of type" in properties or "access method" in properties or "tablespace" in properties:
        return None
    partitioned = f" partition by {properties['partitioned by']}" if "partitioned by" in properties else ""
    head = f"create {persistence}table {key.identity}"
    if "partition of" in properties:
        return f"{head} partition of {properties['partition of']} {properties['partition bound']}{partitioned}{options}"
    own = [name for name in columns_in(key, snapshot) if "inherited" not in snapshot.objects[name].properties]
    columns = ",\n".join(f"    {column(name, snapshot.objects[name])}" for name in own)
    inherits = f" inherits ({properties['inherits']})" if "inherits" in properties else ""
    return f"{head} (\n{columns}\n){inherits}{partitioned}{options}"


def _column(key: Key, item: CatalogObject, _: Snapshot) -> str | None:
    return f"alter table {item.parent} add column {column(key, item)}" if "type" in item.properties else None


def _constraint(key: Key, item: CatalogObject, _: Snapshot) -> str | None:
    if "attached to" in item.properties:
        return None
    kind = "domain" if key.kind == "domain constraint" else "table"
    options = item.properties.get("options")
    definition = item.properties["definition"]
    if options:
        return (
            None
            if " DEFERRABLE" in definition
            else f"alter {kind} {item.parent} add constraint {part_name(key, item)} {definition} with ({options})"
        )
    return f"alter {kind} {item.parent} add constraint {part_name(key, item)} {definition}"


def _by_definition(_: Key, item: CatalogObject, __: Snapshot) -> str | None:
    return item.properties["definition"].rstrip().removesuffix(";") if "attached to" not in item.properties else None


def _view(key: Key, item: CatalogObject, _: Snapshot) -> str | None:
    if not {"access method", "tablespace"}.isdisjoint(item.properties):
        return None
    options = f" with ({item.properties['options']})" if "options" in item.properties else ""
    return f"create {key.kind} {key.identity}{options} as\n{item.properties['definition'].strip().removesuffix(';')}"


def _policy(key: Key, item: CatalogObject, _: Snapshot) -> str:
    properties = item.properties
    words = [f"create policy {part_name(key, item)} on {item.parent}"]
    words += ["as restrictive"] if "restrictive" in properties else []
    words += [f"for {properties['command']}"] if properties["command"] != "all" else []
    words += [f"to {properties['roles']}"] if properties["roles"] != "public" else []
    words += [f"using ({_unwrapped(properties['using'])})"] if "using" in properties else []
    words += [f"with check ({_unwrapped(properties['check'])})"] if "check" in properties else []
    return " ".join(words)


def sequence_options(properties: Mapping[str, str]) -> str:
    """Returns the options of a sequence, as in CREATE SEQUENCE."""
    cycle = "cycle" if "cycle" in properties else "no cycle"
    return (
        f"as {properties['type']} increment {properties['increment']} minvalue {properties['minimum']}"
        f" maxvalue {properties['maximum']} start {properties['start']} cache {properties['cache']} {cycle}"
    )


def _sequence(key: Key, item: CatalogObject, _: Snapshot) -> str | None:
    if "identity of" in item.properties:
        return None
    unlogged = "unlogged " if "persistence" in item.properties else ""
    return f"create {unlogged}sequence {key.identity} {sequence_options(item.properties)}"


def _type(key: Key, item: CatalogObject, snapshot: Snapshot) -> str | None:
    properties = item.properties
    if properties["form"] == "enum":
        return f"create type {key.identity} as enum ({properties.get('labels', '')})"
    if properties["form"] == "composite":
        columns = ", ".join(column(name, snapshot.objects[name]) for name in columns_in(key, snapshot))
        return f"create type {key.identity} as ({columns})"
    return None


def _domain(key: Key, item: CatalogObject, _: Snapshot) -> str:
    properties = item.properties
    words = [f"create domain {key.identity} as {properties['type']}"]
    words += [f"collate {properties['collation']}"] if "collation" in properties else []
    words += [f"default {properties['default']}"] if "default" in properties else []
    words += ["not null"] if "not null" in properties else []
    return " ".join(words)


def _schema(key: Key, _: CatalogObject, __: Snapshot) -> str:
    return f"create schema {key.identity}"


def _extension(key: Key, item: CatalogObject, _: Snapshot) -> str:
    return f"create extension {key.identity} schema {item.properties['schema']}"


def _publication(key: Key, item: CatalogObject, _: Snapshot) -> str:
    properties = item.properties
    lines = properties.get("tables", "").splitlines()
    tables = [line for line in lines if not line.startswith("schema ")]
    schemas = [f"tables in {line}" for line in lines if line.startswith("schema ")]
    targets = [*([f"table {', '.join(tables)}"] if tables else []), *schemas]
    what = " for all tables" if lines == ["all"] else f" for {', '.join(targets)}" if targets else ""
    root = ", publish_via_partition_root = true" if "via root" in properties else ""
    return f"create publication {key.identity}{what} with (publish = '{properties.get('publishes', '')}'{root})"


def _event_trigger(key: Key, item: CatalogObject, _: Snapshot) -> str:
    tags = item.properties.get("tags")
    quoted = ", ".join(f"'{tag}'" for tag in tags.split(", ")) if tags else ""
    when = f" when tag in ({quoted})" if quoted else ""
    function = item.properties["function"]
    return f"create event trigger {key.identity} on {item.properties['event']}{when} execute function {function}"


_WRITERS: dict[str, Callable[[Key, CatalogObject, Snapshot], str | None]] = {
    "table": _table,
    "column": _column,
    "constraint": _constraint,
    "domain constraint": _constraint,
    **dict.fromkeys(("index", "function", "procedure", "trigger", "rule", "statistics"), _by_definition),
    **dict.fromkeys(("view", "materialized view"), _view),
    "policy": _policy,
    "sequence": _sequence,
    "type": _type,
    "domain": _domain,
    "schema": _schema,
    "extension": _extension,
    "publication": _publication,
    "event trigger": _event_trigger,
}


def grants(key: Key, item: CatalogObject, expected: str | None, actual: str | None) -> list[str]:
    """Returns the statements that change the privileges of an object."""
    return privileges.statements(
        key.kind, key.identity, item.properties.get("owner", ""), expected, actual, item.parent
    )
