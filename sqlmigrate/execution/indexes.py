"""Judges what an interrupted CREATE INDEX or REINDEX CONCURRENTLY did, and drops the invalid indexes that it left."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import SqlMigrateError, StatementFailed
from sqlmigrate.execution.catalog import DEFINITION
from sqlmigrate.execution.verdict import done, repeat
from sqlmigrate.server.conninfo import quoted
from sqlmigrate.sql.identifier import Identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.execution.verdict import State, Verdict
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.sql.effect import CatalogEffect

# A comment that stays as it is takes the lock of an index build: LOCK TABLE rejects materialized views.
_TABLE = """
select pg_catalog.format('%%I.%%I', n.nspname, t.relname), t.relkind = 'm',
       pg_catalog.quote_nullable(pg_catalog.obj_description(t.oid, 'pg_class'))
from pg_catalog.pg_class t join pg_catalog.pg_namespace n on n.oid = t.relnamespace where t.oid = %(oid)s::oid
"""
_INDEXES = f"""
select c.oid::int8, n.nspname, c.relname, i.indisvalid, {DEFINITION.format(i="i", c="c")}, c.reltablespace::int8
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.indrelid = %(table)s::oid order by i.indexrelid
"""
# An index build that another session runs waits for our snapshots, and a session that waits for a lock may hold one: a
# deadlock. So we poll. The table may be renamed or dropped meanwhile.
_BEGIN = "begin isolation level read committed read write; set local lock_timeout = '50ms'"
_LOCK = "lock table only {name} in share update exclusive mode"
_BUSY = {"55P03", "40P01", "42P01"}
# Each with the names of the indexes of which it may be a copy. An index of a TOAST table is locked by its main table.
_INVALID = f"""
select c.oid::int8, n.nspname, c.relname, i.indrelid::int8, coalesce(o.oid, t.oid)::int8,
       coalesce(o.relnamespace, t.relnamespace)::int8, (
           select coalesce(pg_catalog.array_agg(b.relname::text), '{{}}') from pg_catalog.pg_index x
           join pg_catalog.pg_class b on b.oid = x.indexrelid
           where x.indrelid = i.indrelid and x.indexrelid <> i.indexrelid
             and {DEFINITION.format(i="x", c="b")} = {DEFINITION.format(i="i", c="c")})
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class t on t.oid = i.indrelid left join pg_catalog.pg_class o on o.reltoastrelid = t.oid
where not i.indisvalid order by i.indrelid, c.relname
"""
_COPY_NAME = re.compile(r".*_cc(?:new|old)[0-9]*")
_LONGEST = 63  # bytes of a name
_NAME = "select c.relname from pg_catalog.pg_class c where c.oid = %(oid)s::oid"
_OID = "select pg_catalog.to_regclass(%(name)s)::oid::int8"
# A temporary index without a tablespace is created as an index of a table is.
_SCRATCH = """
select pg_catalog.set_config('temp_tablespaces', case when t = '' then '' else pg_catalog.quote_ident(t) end, true)
from pg_catalog.current_setting('default_tablespace') t;
create temporary table {copy} (like {table});
create {unique} index {name} on {copy} {rest}
"""


class _TableIndex(NamedTuple):
    oid: int
    schema: str
    name: str
    valid: bool
    definition: str
    tablespace: int

    def __str__(self) -> str:
        return str(Identifier(self.schema, self.name))


class _Copy(NamedTuple):
    """An invalid index, with the table to lock and its schema, and the names of indexes with the same definition."""

    oid: int
    schema: str
    name: str
    table: int
    main_table: int
    main_schema: int
    twins: list[str]

    def __str__(self) -> str:
        return str(Identifier(self.schema, self.name))


def created_index(connection: Connection, effect: CatalogEffect, state: State) -> Verdict:
    """Judges CREATE INDEX CONCURRENTLY."""
    if state["occupant"] is not None:
        existed = f"{quoted(effect.name[-1])} existed before the statement was started: {state['occupant']}"
        return repeat(existed)
    left: list[str] = []
    with _locked(connection, state["table"]) as table:
        if table is None:
            return repeat()
        try:
            expected = _expected(connection, effect, table)
        except StatementFailed as error:
            return repeat(f"could not determine what the statement creates: {error.message}")
        name = expected.name if effect.name else _free(expected.name, state["taken"])
        new = _new_indexes(connection, state)
        named = [index for index in new if index.name in (name, _aside(index.oid))]
        alike = [index for index in named if index[-2:] == expected[-2:]]
        if any(index.valid for index in alike):
            return done()
        left = [_set_aside(connection, index) for index in alike]
    _drop(connection, left)
    others = [f"index {index} is not what the statement creates; it is left" for index in named if index not in alike]
    return repeat(*others, *(_unproven(index) for index in new if index not in named and not index.valid))


def reindexed(connection: Connection, kind: str, state: State) -> Verdict:
    """Judges REINDEX CONCURRENTLY, which is always repeated."""
    remarks: list[str] = []
    for table in sorted({copy.main_table for copy in _copies(connection, kind, state)}):
        left: list[str] = []
        with _locked(connection, table):
            copies = [copy for copy in _copies(connection, kind, state) if copy.main_table == table]
            sources = Counter((copy.table, _source(copy, state)) for copy in copies)
            for copy in copies:
                source = _source(copy, state)
                if source == "" or (source and sources[copy.table, source] == 1):
                    left.append(_set_aside(connection, copy))
                else:
                    remarks.append(_unproven(copy))
        _drop(connection, left)
    return repeat(*remarks)


def _unproven(index: _TableIndex | _Copy) -> str:
    return f"invalid index {index} is not provably of the statement; it is left"


@contextmanager
def _locked(connection: Connection, table: int | None) -> Iterator[str | None]:
    """Holds the lock of an index build, so that nobody else builds an index of the table.

    The value is the name of the table as SQL; None if it does not exist.
    """
    try:
        while (name := _try_lock(connection, table)) is not None and not name:
            _pause(connection)
        yield name
        connection.run("commit")
    finally:
        if connection.in_transaction and not connection.lost:
            connection.run("rollback")


def _try_lock(connection: Connection, table: int | None) -> str | None:
    """Begins a transaction; returns the name of the table, empty if it could not be locked, None if there is none."""
    connection.run(_BEGIN)
    rows = connection.rows(_TABLE, {"oid": table})
    if not rows:
        return None
    name, is_view, comment = rows[0]
    lock = f"comment on materialized view {name} is {comment}" if is_view else _LOCK.format(name=name)
    try:
        connection.run(lock)
    except StatementFailed as error:
        if error.report.sqlstate not in _BUSY:
            raise
        connection.run("rollback")
        return ""
    connection.run("set local lock_timeout = 0")
    if connection.rows(_TABLE, {"oid": table})[:1] == rows:  # nobody renamed it before it was locked
        return str(name)
    connection.run("rollback")
    return ""


def _pause(connection: Connection) -> None:
    time.sleep(random.uniform(0.1, 0.4))
    connection.on_tick()


def _expected(connection: Connection, effect: CatalogEffect, table: str) -> _TableIndex:
    """Returns the index that the statement creates on an empty copy of the table, which is rolled back."""
    copy = quoted("pg_temp", effect.table[-1])
    name = quoted(effect.name[-1]) if effect.name else ""
    unique = "unique" if effect.unique else ""
    connection.run("savepoint sqlmigrate")
    try:
        connection.run(_SCRATCH.format(copy=copy, table=table, unique=unique, name=name, rest=effect.rest))
        (oid,) = connection.rows(_OID, {"name": copy})[0]
        return _TableIndex(*connection.rows(_INDEXES, {"table": oid})[0])
    finally:
        if connection.in_transaction and not connection.lost:
            connection.run("rollback to savepoint sqlmigrate")


def _new_indexes(connection: Connection, state: State) -> list[_TableIndex]:
    """Returns the indexes of the table that did not exist before the statement."""
    indexes = (_TableIndex(*row) for row in connection.rows(_INDEXES, {"table": state["table"]}))
    return [index for index in indexes if index.oid not in state["indexes"].values()]


def _free(name: str, taken: Sequence[str]) -> str:
    """Returns the first name that is not taken, with the number that PostgreSQL appends."""
    return next(free for number in count() if (free := f"{name}{number or ''}") not in taken)


def _copies(connection: Connection, kind: str, state: State) -> list[_Copy]:
    """Returns the invalid copies that did not exist before the statement, in its scope."""
    copies = (_Copy(*row) for row in connection.rows(_INVALID))
    return [
        copy
        for copy in copies
        if copy.oid not in state["invalid"]
        and (copy.name == _aside(copy.oid) or (_COPY_NAME.fullmatch(copy.name) and copy.twins))
        and _is_in_scope(copy, kind, state)
    ]


def _is_in_scope(copy: _Copy, kind: str, state: State) -> bool:
    if kind == "schema":
        return bool(copy.main_schema == state["schema"])
    if kind == "database":
        return True
    names = state.get("names", copy.twins)
    is_of_table = not {copy.table, copy.main_table}.isdisjoint(state["tables"])
    return is_of_table and (copy.name == _aside(copy.oid) or not set(names).isdisjoint(copy.twins))


def _source(copy: _Copy, state: State) -> str | None:
    """Returns the index of which the statement made the copy; an empty text if it is set aside; None if unknown."""
    if copy.name == _aside(copy.oid):
        return ""
    names = state.get("names", copy.twins)
    return next((twin for twin in copy.twins if twin in names and copy.name in _copy_names(copy, twin, state)), None)


def _copy_names(copy: _Copy, twin: str, state: State) -> Iterator[str]:
    """Yields the names that PostgreSQL gives the copy of an index, before and after the two are exchanged."""
    prefix = f"{copy.schema}."
    taken = {name.removeprefix(prefix) for name in state["taken"] if name.startswith(prefix)}
    for kind in ("ccnew", "ccold"):
        for number in count():
            suffix = f"_{kind}{number or ''}"
            name = twin.encode()[: _LONGEST - len(suffix)].decode(errors="ignore") + suffix
            if name not in taken:
                yield name
                break


def _aside(oid: int) -> str:
    return f"sqlmigrate_{oid}"


def _set_aside(connection: Connection, index: _TableIndex | _Copy) -> str:
    """Renames an index to a name that nobody else uses, and returns it: DROP INDEX CONCURRENTLY finds it by its name.

    PostgreSQL does not rename an index of a TOAST table, and drops only an invalid one.
    """
    name = _aside(index.oid)
    if index.name == name or index.schema == "pg_toast":
        return str(index)
    connection.run(f"alter index {index} rename to {name}")
    if connection.rows(_NAME, {"oid": index.oid}) != [(name,)]:
        raise SqlMigrateError(f"index {index} was replaced by another one", hint="run the command again")
    return quoted(index.schema, name)


def _drop(connection: Connection, indexes: list[str]) -> None:
    for index in indexes:
        connection.run(f"drop index concurrently {index}")
