"""Reads a snapshot: all queries travel in one message, and see one moment of the database."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from sqlmigrate.catalog import database, objects, relations
from sqlmigrate.catalog.index_definition import IndexColumn, OperatorClass, PlainIndex, definition
from sqlmigrate.catalog.snapshot import CatalogObject, Key, Snapshot
from sqlmigrate.errors import StatementFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.catalog.query import ObjectQuery
    from sqlmigrate.server.connection import Connection, Row

# Names outside pg_catalog are qualified, and every query sees the same rows. The planner underestimates the rows of the
# catalogs, and a nested loop of 10,000 columns takes several times as long as a hash join.
_BEGIN = (
    "begin isolation level repeatable read, read only;set local search_path = pg_catalog;"
    "set local enable_nestloop = off;set local enable_mergejoin = off;set local jit = off;"
)
_TRIES = 3
_DROPPED_MEANWHILE = {"XX000", "42P01", "42704", "42883"}
# What `index_definition` needs to know. A polymorphic type accepts others: anyarray, anyenum, record and others.
_CLASSES = (
    "select c.oid, case when n.nspname = 'pg_catalog' then '' else quote_ident(n.nspname) || '.' end ||"
    " quote_ident(c.opcname), c.opcdefault, c.opcintype, t.typtype = 'p' from pg_opclass c"
    " join pg_type t on t.oid = c.opcintype join pg_namespace n on n.oid = c.opcnamespace"
)
_COLLATIONS = (
    "select c.oid, case when n.nspname = 'pg_catalog' then '' else quote_ident(n.nspname) || '.' end ||"
    " quote_ident(c.collname) from pg_collation c join pg_namespace n on n.oid = c.collnamespace"
    " where c.oid >= 16384 or c.oid in (select unnest(indcollation) from pg_index)"
)


def read(connection: Connection, left_out: Sequence[str] = ()) -> Snapshot:
    """Reads the objects of the connected database, in one round trip; see `SnapshotReader`."""
    return SnapshotReader(connection, left_out).read()


class SnapshotReader:
    """Reads snapshots of the connected database, each in one round trip.

    From the second one on, the queries are prepared: planning them takes 40 ms, as much as reading a small database.

    Args:
        connection: a connection outside a transaction.
        left_out: the quoted names of tables to leave out: those of the history.
    """

    def __init__(self, connection: Connection, left_out: Sequence[str] = ()) -> None:
        self._connection = connection
        self._major = connection.server_version // 10_000
        self._queries = [*database.queries(self._major), *relations.queries(self._major), *objects.queries()]
        names = ", ".join(connection.literal(name) for name in left_out)
        oids = (
            f"array(select to_regclass(s)::oid from unnest(array[{names}]::text[]) s where to_regclass(s) is not null)"
        )
        texts = [_CLASSES, _COLLATIONS, *(query.sql for query in self._queries)]
        self._texts = [text.replace("{left_out}", oids) for text in texts]
        self._is_first = True

    def read(self) -> Snapshot:
        """Reads a snapshot.

        Raises:
            StatementFailed, ConnectionLost
        """
        return self._snapshot(self._answers())

    def read_in_transaction(self) -> Snapshot:
        """Reads a snapshot in the open transaction, and sees its changes. The transaction's settings remain changed.

        Raises:
            StatementFailed, ConnectionLost
        """
        begin = _BEGIN.partition(";")[2]
        return self._snapshot(self._connection.answers(begin + ";".join(self._texts))[begin.count(";") :])

    def _snapshot(self, found: list[list[Row]]) -> Snapshot:
        """Makes the snapshot without garbage collections: they take half of the time, and find nothing."""
        is_collecting = gc.isenabled()
        gc.disable()
        try:
            classes, collations, *answers = found
            rows = _SnapshotRows({oid: OperatorClass(*rest) for oid, *rest in classes}, dict(collations))
            for query, answer in zip(self._queries, answers, strict=True):
                rows.add(query, answer)
            return Snapshot(rows.finished(), self._major)
        finally:
            if is_collecting:
                gc.enable()

    def _answers(self) -> list[list[Row]]:
        """Sends the queries, again if an object was dropped meanwhile: pg_get_indexdef and others use no snapshot."""
        for _ in range(_TRIES):
            try:
                return self._connection.answers(self._message())[_BEGIN.count(";") : -1]
            except StatementFailed as error:
                self._connection.run("rollback")
                if error.report.sqlstate not in _DROPPED_MEANWHILE:
                    raise
                failed = error
        raise failed

    def _message(self) -> str:
        texts = self._texts
        if self._is_first:
            self._is_first = False
        elif not texts[0].startswith("execute "):
            self._connection.run(_BEGIN + ";".join(_prepare(texts)) + ";commit")
            texts = self._texts = [f"execute sqlmigrate_{number}" for number in range(len(texts))]
        return f"{_BEGIN}{';'.join(texts)};commit"


def _prepare(texts: Sequence[str]) -> list[str]:
    return [f"prepare sqlmigrate_{number} as {text}" for number, text in enumerate(texts)]


class _SnapshotRows:
    """Makes objects from rows. Relations come before their columns, in their order, and those before indexes."""

    def __init__(self, classes: dict[int, OperatorClass], collations: dict[int, str]) -> None:
        self._classes = classes
        self._collations = collations
        self._objects: dict[Key, CatalogObject] = {}
        self._relations: dict[int, Key] = {}
        self._columns: dict[tuple[int, int], IndexColumn] = {}
        self._order: dict[int, list[str]] = {}

    def add(self, query: ObjectQuery, rows: list[Row]) -> None:
        names, kind, count = tuple(query.properties), query.kind, len(query.properties) + 2
        for row in rows:
            identity, parent, extra = row[0], row[1] or "", row[count:]
            properties = {name: value for name, value in zip(names, row[2:count], strict=True) if value is not None}
            if kind == "column":
                parent = self._relations[extra[0]].identity
                self._add_column(identity, extra, properties)
                identity = f"{parent}.{identity}"
                if not properties:  # of a view, whose definition has the name and the type
                    continue
            elif kind == "index":
                if "definition" not in properties:
                    text = definition(PlainIndex(*extra), self._columns, self._classes, self._collations)
                    properties["definition"] = text
            elif extra:
                self._relations[extra[0]] = Key(kind, identity)
            self._objects[Key(kind, identity)] = CatalogObject(properties, parent)

    def finished(self) -> dict[Key, CatalogObject]:
        """Returns the objects; a table has the order of its columns."""
        for oid, order in self._order.items():
            table = self._objects[self._relations[oid]]
            properties = {"columns": ", ".join(order), **table.properties}
            self._objects[self._relations[oid]] = table._replace(properties=properties)
        return self._objects

    def _add_column(self, name: str, extra: Row, properties: dict[str, str]) -> None:
        table, number, *types = extra
        self._columns[table, number] = IndexColumn(name, *types)
        if "type" in properties:
            self._order.setdefault(table, []).append(name)
