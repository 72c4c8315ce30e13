"""Finds out from the catalog whether an interrupted statement outside a transaction block did its work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmigrate.sql.scanner import tokens

if TYPE_CHECKING:
    from sqlmigrate.server.connection import Connection

# An index is identified by its table and its name: a name alone would be resolved with the search_path.
_INDEXES = """
select pg_catalog.format('%%I.%%I', n.nspname, c.relname), i.indisvalid,
       pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), ' INDEX [^ ]+ ON ', ' INDEX ON ')
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.indrelid = pg_catalog.to_regclass(%(table)s) and (%(index)s::text is null or c.relname = %(index)s)
order by i.indexrelid
"""
# The invalid indexes that an interrupted REINDEX leaves: on a table, its partitions and TOAST tables, or in a schema.
_LEFTOVERS = """
select pg_catalog.format('%%I.%%I', n.nspname, c.relname)
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class t on t.oid = i.indrelid left join pg_catalog.pg_class o on o.reltoastrelid = t.oid
where not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$' and case %(kind)s
    when 'database' then true
    when 'schema' then coalesce(o.relnamespace, t.relnamespace) = pg_catalog.to_regnamespace(%(name)s)
    else coalesce(o.oid, t.oid) in (
        select coalesce(x.indrelid, r.relid) from (
            select pg_catalog.to_regclass(%(name)s)
            union select p.relid from pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(name)s)) p
        ) r(relid) left join pg_catalog.pg_index x on x.indexrelid = r.relid) end
"""
# The name that PostgreSQL generates for an index without a name.
_GIVEN_NAME = re.compile(r'_idx[0-9]*"?$')
_IS_THERE = "select pg_catalog.to_regclass(%(name)s) is not null"
# SQLSTATEs for an object that already exists or does not exist; the server checks them before it changes anything.
REFUSALS = frozenset(("42P07", "42P04", "42704", "42P01", "3D000", "3F000"))
_DATABASE = "select exists (select from pg_catalog.pg_database where datname = %(name)s)"
_INHERITS = """
select pg_catalog.to_jsonb(h) ->> 'inhdetachpending' = 'true'
from pg_catalog.pg_inherits h where h.inhrelid = pg_catalog.to_regclass(%(name)s)
"""


def settled(connection: Connection, statement: str) -> bool:
    """Whether a statement that was started, and perhaps interrupted, did its work. Drops invalid leftovers.

    Returns False if the statement must run again.
    """
    words = list(tokens(statement.rstrip("; \t\r\n")))
    match [word.lower() for word in words]:
        case ["create", "index", "concurrently", *_] | ["create", "unique", "index", "concurrently", *_]:
            return _index_settled(connection, *_index_and_table(words))
        case ["drop", "index", "concurrently", "if", "exists", *_] | ["drop", "database", "if", "exists", *_]:
            return False  # IF EXISTS makes it repeatable
        case ["drop", "index", "concurrently", *_]:
            name = "".join(word for word in words[3:] if word.lower() not in ("restrict", "cascade"))
            return "," not in name and not connection.rows(_IS_THERE, {"name": name})[0][0]
        case ["reindex", *rest] if "concurrently" in rest:
            _drop_all(connection, [row[0] for row in connection.rows(_LEFTOVERS, _reindexed(words))])
            return False
        case ["alter", "table", *rest] if "detach" in rest:
            return _detach_settled(connection, words)
        case ["create", "database", *_]:
            return bool(connection.rows(_DATABASE, {"name": _plain(words[2])})[0][0])
        case ["drop", "database", *_]:
            return not connection.rows(_DATABASE, {"name": _plain(words[2])})[0][0]
    return False


def invalid_index(connection: Connection, statement: str) -> str | None:
    """Returns the invalid index that CREATE INDEX CONCURRENTLY IF NOT EXISTS found and kept, if any."""
    words = list(tokens(statement))
    if "concurrently" not in [word.lower() for word in words[:4]] or words[0].lower() != "create":
        return None
    index, table = _index_and_table(words)
    found = connection.rows(_INDEXES, {"table": table, "index": index}) if index else []
    return next((name for name, valid, _ in found if not valid), None)


def drop_twin(connection: Connection, statement: str) -> None:
    """Drops the duplicates of an unnamed index, which is built again after an interruption under another name."""
    words = list(tokens(statement))
    if "concurrently" not in [word.lower() for word in words[:4]] or words[0].lower() != "create":
        return
    index, table = _index_and_table(words)
    if index is None:
        found = connection.rows(_INDEXES, {"table": table, "index": None})
        alike = [name for name, valid, text in found if valid and text == found[-1][2]]
        _drop_all(connection, [name for name in alike[1:] if _GIVEN_NAME.search(name)])


def _index_settled(connection: Connection, index: str | None, table: str) -> bool:
    found = connection.rows(_INDEXES, {"table": table, "index": index})
    unnamed = f"{_plain(table.rpartition('.')[2])}_"
    broken = [
        name for name, valid, _ in found if not valid and (index or _plain(name.rpartition(".")[2]).startswith(unnamed))
    ]
    _drop_all(connection, broken)
    return index is not None and bool(found) and not broken


def _detach_settled(connection: Connection, words: list[str]) -> bool:
    lower = [word.lower() for word in words]
    partition = lower.index("partition")
    name = "".join(words[partition + 1 : lower.index("concurrently")])
    found = connection.rows(_INHERITS, {"name": name})
    if found and found[0][0]:
        connection.run(f"{' '.join(words[: lower.index('concurrently')])} finalize")
        return True
    return not found


def _drop_all(connection: Connection, indexes: list[str]) -> None:
    for index in indexes:
        connection.run(f"drop index concurrently {index}")


def _index_and_table(words: list[str]) -> tuple[str | None, str]:
    """Returns the name of the index, or None if the statement contains none, and the name of the table as written."""
    lower = [word.lower() for word in words]
    start = lower.index("concurrently") + 1
    if lower[start : start + 3] == ["if", "not", "exists"]:
        start += 3
    on = lower.index("on", start)
    table = on + 2 if lower[on + 1] == "only" else on + 1
    end = table + 1
    while words[end : end + 1] == ["."]:
        end += 2
    return (_plain(words[start]) if on > start else None), "".join(words[table:end])


def _reindexed(words: list[str]) -> dict[str, str]:
    """Returns the kind of the object that a REINDEX names, and its name."""
    lower = [word.lower() for word in words]
    kind = lower.index(")") + 1 if lower[1] == "(" else 1
    name = kind + 2 if lower[kind + 1] == "concurrently" else kind + 1
    return {"kind": lower[kind], "name": "".join(words[name:])}


def _plain(name: str) -> str:
    """Returns a name as in the catalog: folded to lower case, unless it is quoted."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
