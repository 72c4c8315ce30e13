"""Describes what happened to a table between a statement that was interrupted and the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.execution.catalog import relation_oid
from sqlmigrate.sql.identifier import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.execution.verdict import State
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.sql.effect import CatalogEffect

_NOW = """
select (select pg_catalog.format('%I.%I', n.nspname, c.relname)
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = {oid}),
       (select c.relname from pg_catalog.pg_class c where c.oid = {oid}), {named}::int8
"""
_SINCE = "after the statement was started"


def replaced_tables(connection: Connection, effect: CatalogEffect, state: State) -> tuple[str, ...]:
    """Returns a remark for each table of a statement that is not the one that had the name before the statement."""
    match effect.kind:
        case "create index":
            tables = [(effect.table, state["table"])]
        case "reindex table" if len(state["tables"]) == 1:  # with partitions, the oids have no order
            tables = [(effect.name, state["tables"][0])]
        case "detach":
            tables = [(effect.table, state["parent"]), (effect.name, state["child"])]
        case _:
            tables = []
    remarks = (_replaced(connection, name, oid) for name, oid in tables if oid is not None)
    return tuple(filter(None, remarks))


def _replaced(connection: Connection, name: Sequence[str], oid: int) -> str:
    query = _NOW.format(oid=int(oid), named=relation_oid(name, connection.literal))
    current, relname, named = connection.rows(query)[0]
    table = f"table {'.'.join(map(quoted, name))}"
    if named == oid:
        return ""
    if current is None:
        return f"{table} was dropped {'and created again ' if named else ''}{_SINCE}"
    if named is not None:
        return f"{table} is another table than before the statement was started: that one is now {current}"
    return f"{table} was renamed to {current} {_SINCE}" if relname != name[-1] else ""
