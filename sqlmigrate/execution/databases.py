"""Judges whether an interrupted CREATE DATABASE or CREATE TABLESPACE did its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.execution.verdict import done, repeat
from sqlmigrate.sql.effect import Words
from sqlmigrate.sql.identifier import folded, quoted

if TYPE_CHECKING:
    from sqlmigrate.execution.verdict import State, Verdict
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.sql.effect import CatalogEffect

_OPTIONS = {
    "database": "owner template encoding locale lc_collate lc_ctype tablespace allow_connections connection_limit"
    " is_template",
    "tablespace": "owner location",
}
_INVISIBLE = {"strategy"}  # the result is the same
_OWNER = "coalesce((select r.oid from pg_catalog.pg_roles r where r.rolname = %(owner)s), %(user)s::oid)"
_DATABASE = f"""
select d.datdba = {_OWNER}
   and d.encoding = coalesce(pg_catalog.pg_char_to_encoding(%(encoding)s), t.encoding)
   and d.datcollate = coalesce(%(lc_collate)s, %(locale)s, t.datcollate)
   and d.datctype = coalesce(%(lc_ctype)s, %(locale)s, t.datctype)
   and d.dattablespace = coalesce(
       (select s.oid from pg_catalog.pg_tablespace s where s.spcname = %(tablespace)s), t.dattablespace)
   and d.datallowconn = coalesce(%(allow_connections)s::bool, true)
   and d.datconnlimit = coalesce(%(connection_limit)s::int, -1)
   and d.datistemplate = coalesce(%(is_template)s::bool, false)
from pg_catalog.pg_database d
left join pg_catalog.pg_database t on t.datname = coalesce(%(template)s, 'template1')
where d.datname = %(name)s::name
"""
_TABLESPACE = f"""
select s.spcowner = {_OWNER} and pg_catalog.pg_tablespace_location(s.oid) = %(location)s
from pg_catalog.pg_tablespace s where s.spcname = %(name)s::name
"""
_QUERIES = {"database": _DATABASE, "tablespace": _TABLESPACE}


def created(connection: Connection, kind: str, effect: CatalogEffect, state: State) -> Verdict:
    """Judges CREATE DATABASE or CREATE TABLESPACE."""
    (name,) = effect.name
    if state["oid"] is not None:
        return repeat(f"{kind} {quoted(name)} existed before the statement was started")
    options = _options(effect.rest)
    known = _OPTIONS[kind].split()
    values = {key: options.get(key) for key in known} | {"name": name, "user": state["user"]}
    rows = connection.rows(_QUERIES[kind], values)
    is_comparable = set(options) <= {*known, *_INVISIBLE}
    if not rows or (is_comparable and rows[0][0]):
        return done() if rows else repeat()
    return repeat(f"{kind} {quoted(name)} is not provably what the statement creates; it is left")


def _options(text: str) -> dict[str, str]:
    """Reads `[WITH] OWNER [=] value …`; a value of DEFAULT is omitted."""
    words = Words(text)
    words.take("with")
    options: dict[str, str] = {}
    while not words.ended:
        key = "connection_limit" if words.take("connection", "limit") else words.next().lower()
        words.take("=")
        value = "-" + words.next() if words.take("-") else words.next()
        if value.lower() != "default":
            options[key] = value[1:-1].replace("''", "'") if value.startswith("'") else folded(value)
    return options
