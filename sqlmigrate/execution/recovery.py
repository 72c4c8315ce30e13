"""Judges what an interrupted statement outside a transaction block did.

A name proves nothing, as other people use the same names: the catalog is compared with the state that was recorded
before the statement was sent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlmigrate.errors import SqlMigrateError
from sqlmigrate.execution.catalog import HERE, relation_oid
from sqlmigrate.execution.databases import created
from sqlmigrate.execution.indexes import created_index, reindexed
from sqlmigrate.execution.replaced import replaced_tables
from sqlmigrate.execution.verdict import done, repeat
from sqlmigrate.sql.effect import effect_of
from sqlmigrate.sql.tokens import tokens

if TYPE_CHECKING:
    from sqlmigrate.execution.verdict import State, Verdict
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.sql.effect import CatalogEffect

# SQLSTATEs for an object that already exists or does not exist; the server checks them before it changes anything.
REFUSALS = frozenset(("42P07", "42P04", "42704", "42P01", "42710", "3D000", "3F000"))
_NOT_RECORDED = "an earlier run did not record what existed before it started the statement; the statement runs again"
_ELSEWHERE = "an earlier run started the statement in another database; the statement runs again"
_CHANGED = "the statement was changed after an earlier run had started it"

# The objects that can be dropped, each with its oid and its name as SQL.
_OBJECTS = {
    "index": """select c.oid, pg_catalog.format('%%I.%%I', n.nspname, c.relname)
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace""",
    "database": "select d.oid, pg_catalog.quote_ident(d.datname) from pg_catalog.pg_database d",
    "tablespace": "select s.oid, pg_catalog.quote_ident(s.spcname) from pg_catalog.pg_tablespace s",
}
_WITH_OID = "select o.name from ({objects}) o(oid, name) where o.oid = %(oid)s::oid"
_WITH_NAME = "select o.oid::int8 from ({objects}) o(oid, name) where o.name = %(name)s"
_PARTITION = """
select h.xmin::text, pg_catalog.to_jsonb(h) ->> 'inhdetachpending' = 'true',
       pg_catalog.format('%%I.%%I', pn.nspname, p.relname), pg_catalog.format('%%I.%%I', cn.nspname, c.relname)
from pg_catalog.pg_inherits h
join pg_catalog.pg_class p on p.oid = h.inhparent join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
join pg_catalog.pg_class c on c.oid = h.inhrelid join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
where h.inhrelid = %(child)s::oid and h.inhparent = %(parent)s::oid
"""
_INVALID_INDEXES = """
select c.oid::int8, pg_catalog.format('%%I.%%I', n.nspname, c.relname), c.relname = %(name)s::name
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.indrelid = %(table)s::oid and not i.indisvalid
"""


def judge(connection: Connection, statement: str, begun_state: str) -> Verdict:
    """Returns whether a statement that was started, and perhaps interrupted, did its work.

    Drops the invalid indexes that the statement left, and no others.

    Args:
        connection: A session with the role of the script.
        statement: The statement that the file contains now.
        begun_state: The state before the statement was sent: see `catalog.state_before`.

    Raises:
        SqlMigrateError: The statement would drop something else now.
    """
    if not begun_state:
        return repeat(_NOT_RECORDED) if effect_of(statement) else repeat()
    state = json.loads(begun_state)
    effect = effect_of(state["statement"])
    if effect is None or state["database"] != connection.rows(f"select {HERE}")[0][0]:
        return repeat(_ELSEWHERE)
    is_same = list(tokens(state["statement"])) == list(tokens(statement))
    if not is_same and effect.kind.startswith(("create database", "create tablespace", "detach", "drop")):
        return repeat(_CHANGED)
    replaced = replaced_tables(connection, effect, state)
    verdict = _judged(connection, effect, state)
    verdict = verdict._replace(remarks=(*replaced, *verdict.remarks))
    return verdict if is_same else repeat(_CHANGED, *verdict.remarks)


def kept_index(connection: Connection, begun_state: str) -> str | None:
    """Returns the invalid index that CREATE INDEX CONCURRENTLY IF NOT EXISTS found and kept, if any."""
    state = json.loads(begun_state) if begun_state else {}
    effect = effect_of(state.get("statement", ""))
    if effect is None or effect.kind != "create index" or not (effect.conditional and effect.name):
        return None
    rows = connection.rows(_INVALID_INDEXES, {"table": state["table"], "name": effect.name[-1]})
    return next((name for _, name, is_named in rows if is_named), None)


def left_index(connection: Connection, begun_state: str) -> bool:
    """Whether a table has an invalid index that it did not have before CREATE INDEX CONCURRENTLY."""
    state = json.loads(begun_state) if begun_state else {}
    if "indexes" not in state:
        return False
    rows = connection.rows(_INVALID_INDEXES, {"table": state["table"], "name": ""})
    return any(oid not in state["indexes"].values() for oid, *_ in rows)


def _judged(connection: Connection, effect: CatalogEffect, state: State) -> Verdict:
    match effect.kind.split():
        case ["create", "index"]:
            return created_index(connection, effect, state)
        case ["create", kind]:
            return created(connection, kind, effect, state)
        case ["reindex", kind]:
            return reindexed(connection, kind, state)
        case ["drop", kind]:
            return _dropped(connection, kind, effect, state)
    return _detached(connection, effect, state)


def _dropped(connection: Connection, kind: str, effect: CatalogEffect, state: State) -> Verdict:
    if state["oid"] is None:
        return done() if effect.conditional else repeat()
    old = state["name"]
    names = connection.rows(_WITH_OID.format(objects=_OBJECTS[kind]), {"oid": state["oid"]})
    others = connection.rows(_WITH_NAME.format(objects=_OBJECTS[kind]), {"name": old})
    if not names:
        return done(*([f"{kind} {old} was created again after the statement; it is left"] if others else []))
    if names[0][0] == old:
        return repeat()
    if others:
        raise SqlMigrateError(
            f"{kind} {old} is not the one that the statement was started for: that one was renamed to {names[0][0]}",
            hint=f"drop {names[0][0]}, or give it its old name back, and run the command again",
        )
    return repeat(f"{kind} {old} was renamed to {names[0][0]} after the statement was started")


def _is_replaced(connection: Connection, effect: CatalogEffect, state: State) -> bool:
    child, parent = (relation_oid(name, connection.literal) for name in (effect.name, effect.table))
    oids = connection.rows(f"select {child}::int8, {parent}::int8")[0]
    return None not in oids and oids != (state["child"], state["parent"])


def _detached(connection: Connection, effect: CatalogEffect, state: State) -> Verdict:
    if state["link"] is None or state["pending"]:
        return repeat()
    rows = connection.rows(_PARTITION, {"parent": state["parent"], "child": state["child"]})
    if not rows:
        # A table that was created again is not the partition that the statement was started for.
        return repeat() if _is_replaced(connection, effect, state) else done()
    link, is_pending, parent, child = rows[0]
    if is_pending:
        connection.run(f"alter table {parent} detach partition {child} finalize")
    elif link != state["link"]:
        return done(f"partition {child} was attached again after the statement; it is left")
    return done() if is_pending else repeat()
