"""Puts rows into the tables of a scratch database, and reads them and the values of sequences back."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.catalog.differences import columns_of
from sqlmigrate.catalog.mending import split_labels
from sqlmigrate.catalog.snapshot import Key
from sqlmigrate.errors import StatementFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlmigrate.catalog.snapshot import CatalogObject, Snapshot
    from sqlmigrate.server.connection import Connection

_KEY = re.compile(r"FOREIGN KEY \((.*?)\) REFERENCES (.*?)\((.*?)\)")
# A value that most checks accept, by the start of the type's name.
_VALUES = (
    (("smallint", "integer", "bigint", "numeric", "real", "double", "money", "oid"), "1"),
    (("boolean",), "true"),
    (("timestamp", "date"), "'2026-01-02'"),
    (("time",), "'12:00'"),
    (("interval",), "'1 day'"),
    (("uuid",), "'00000000-0000-4000-8000-000000000001'"),
    (("json",), "'{}'"),
    (("bytea",), "'\\x01'"),
    (("inet", "cidr"), "'10.0.0.1'"),
    (("macaddr",), "'08:00:2b:01:02:03'"),
    (("bit",), "B'1'"),
    (("xml",), "'<a/>'"),
    (("tsvector", "tsquery"), "'a'"),
    (("point",), "'(1,1)'"),
)
_TEXTS = ("text", "character", "name", '"char"', "citext")


class Contents(NamedTuple):
    """The rows of tables, each as a JSON object, and the last values of sequences; None if one was never used."""

    tables: Mapping[str, list[dict[str, object]]]
    sequences: Mapping[str, int | None]


def fill(connection: Connection, snapshot: Snapshot, tables: Iterable[str]) -> set[str]:
    """Puts a row into each of the tables, those that others refer to first; returns the tables that accept one."""
    filled: set[str] = set()
    waiting = list(tables)
    for _ in range(3):  # a table that refers to another may come before it
        for table in waiting:
            for is_full in (True, False):
                with suppress(StatementFailed):
                    connection.run(_insert(snapshot, table, is_full=is_full))
                    filled.add(table)
                    break
        waiting = [table for table in waiting if table not in filled]
        if not waiting:
            break
    return filled


def use_sequences(connection: Connection, snapshot: Snapshot, sequences: Iterable[Key]) -> None:
    """Takes values from sequences that no column owns, so that one that starts again is seen."""
    for key in sequences:
        if {"owned by", "identity of"}.isdisjoint(snapshot.objects[key].properties):
            literal = connection.literal(key.identity)
            with suppress(StatementFailed):
                connection.run(f"select nextval({literal}), nextval({literal})")


def _insert(snapshot: Snapshot, table: str, *, is_full: bool) -> str:
    references = _references(snapshot, table)
    names, values = [], []
    for name in columns_of(snapshot.objects[Key("table", table)]):
        column = snapshot.objects[Key("column", f"{table}.{name}")]
        properties = column.properties
        if not {"default", "identity", "generated"}.isdisjoint(properties):
            continue
        if not is_full and "not null" not in properties:
            continue
        names.append(name)
        values.append(references.get(name) or value_of(snapshot, properties["type"]))
    if not names:
        return f"insert into {table} default values"
    return f"insert into {table} ({', '.join(names)}) values ({', '.join(values)})"


def _references(snapshot: Snapshot, table: str) -> dict[str, str]:
    """Returns a subquery for each column with a foreign key."""
    found: dict[str, str] = {}
    for key, item in snapshot.objects.items():
        if key.kind == "constraint" and item.parent == table and (match := _KEY.match(item.properties["definition"])):
            for column, referenced in zip(match[1].split(", "), match[3].split(", "), strict=True):
                found[column] = f"(select {referenced} from {match[2]} limit 1)"
    return found


def value_of(snapshot: Snapshot, type_name: str) -> str:
    """Returns a literal of a type; null for a type that is not known."""
    if type_name.endswith("[]"):
        return "'{}'"
    if type_name.startswith(_TEXTS):
        return "'a'"
    for starts, literal in _VALUES:
        if type_name.startswith(starts):
            return literal
    if (domain := snapshot.objects.get(Key("domain", type_name))) is not None:
        return value_of(snapshot, domain.properties["type"])
    enum = snapshot.objects.get(Key("type", type_name))
    if enum is not None and "labels" in enum.properties:
        return split_labels(enum.properties["labels"])[0]
    return "null"


def read(connection: Connection, tables: Sequence[str], sequences: Sequence[str]) -> Contents:
    """Reads tables and sequences that exist; of the others it returns nothing."""
    found: dict[str, list[dict[str, object]]] = {}
    for name in tables:
        with suppress(StatementFailed):
            ((rows,),) = connection.rows(f"select coalesce(json_agg(t order by t::text), '[]')::text from {name} t")
            found[name] = json.loads(rows)
    values: dict[str, int | None] = {}
    for name in sequences:
        with suppress(StatementFailed):
            ((value,),) = connection.rows(f"select case when is_called then last_value end from {name}")
            values[name] = value
    return Contents(found, values)


def mentioned(snapshot: Snapshot, text: str) -> tuple[list[str], list[str]]:
    """Returns the tables that a text names, with those that refer to them, and the sequences that it may change."""
    words = set(re.findall(r"[\w$]+", text.lower()))
    tables = {key.identity for key in snapshot.objects if key.kind == "table"}
    named = {table for table in tables if _bare(table) in words}
    keys = [(key, item) for key, item in snapshot.objects.items() if key.kind in {"constraint", "sequence"}]
    named |= {item.parent for key, item in keys if key.kind == "constraint" and _refers(item, named)}
    sequences = [
        key.identity
        for key, item in keys
        if key.kind == "sequence" and (_bare(key.identity) in words or _owner(item) in named)
    ]
    return sorted(named), sequences


def _refers(item: CatalogObject, tables: set[str]) -> bool:
    match = _KEY.match(item.properties["definition"])
    return match is not None and match[2] in tables


def _owner(sequence: CatalogObject) -> str:
    column = sequence.properties.get("owned by") or sequence.properties.get("identity of") or ""
    return column.rpartition(".")[0]


def _bare(name: str) -> str:
    return name.rpartition(".")[2].strip('"').lower()
