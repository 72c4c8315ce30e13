"""The sizes of the tables of a database: rows, bytes, widths and indexes, but no data and no statistics of values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sqlmigrate.server.connection import Connection

# pg_table_size waits for a session that has locked the table exclusively.
_READ = """
begin read only; set local lock_timeout = '5s'; set local statement_timeout = '60s';
select pg_catalog.json_build_array(pg_catalog.current_database(), pg_catalog.to_char(
    pg_catalog.now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), (
select pg_catalog.json_agg(pg_catalog.json_build_array(
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
    case when c.reltuples >= 0 then c.reltuples else nullif(pg_catalog.pg_stat_get_live_tuples(c.oid), 0) end,
    pg_catalog.pg_table_size(c.oid),
    (select pg_catalog.sum(s.avg_width) from pg_catalog.pg_stats s
     where s.schemaname = n.nspname and s.tablename = c.relname and not s.inherited),
    (select pg_catalog.json_agg(pg_catalog.json_build_array(
         x.relname, pg_catalog.pg_relation_size(x.oid), a.amname) order by x.relname)
     from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
     join pg_catalog.pg_am a on a.oid = x.relam where i.indrelid = c.oid)) order by n.nspname, c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.oid >= 16384 and c.relpersistence <> 't'));
commit;"""


class IndexSize(NamedTuple):
    """The size of an index in bytes, and its access method."""

    name: str
    bytes: int
    method: str


@dataclass(frozen=True, slots=True)
class TableSize:
    """The size of a table. `rows` is an estimate, or None if the server has none; `width` is the average of a row.

    `bytes` includes TOAST, but not the indexes.
    """

    name: str
    rows: float | None
    bytes: int
    width: int | None = None
    indexes: tuple[IndexSize, ...] = ()


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of the tables of a database at one time; `tables` has them by their qualified names."""

    database: str
    server_version: int
    taken_at: str
    tables: dict[str, TableSize] = field(default_factory=dict)


def read(connection: Connection) -> Sizes:
    """Reads the sizes of all tables and materialized views.

    Raises:
        StatementFailed: A table is locked, or the role may not read the catalogs.
    """
    value = next(filter(None, [result.value for result in connection.transmit(_READ)]))
    database, taken_at, rows = json.loads(value)
    tables = (
        TableSize(name, count, size, width, tuple(IndexSize(*index) for index in indexes or ()))
        for name, count, size, width, indexes in rows or ()
    )
    return Sizes(database, connection.server_version // 10_000, taken_at, {table.name: table for table in tables})
