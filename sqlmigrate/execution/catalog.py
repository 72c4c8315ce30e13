"""The SQL that reads from the catalog what a statement outside a transaction block meets and leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.sql.effect import effect_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Resolves a name as the server does, but without an error for a schema that the role may not use.
_RELATION = """(select c.oid from pg_catalog.unnest({schemas}) with ordinality s(name, number)
    join pg_catalog.pg_namespace n on n.nspname = s.name join pg_catalog.pg_class c on c.relnamespace = n.oid
    where c.relname = {name}::name order by s.number limit 1)"""
# What two indexes have in common that the same statement creates on tables with the same columns.
DEFINITION = """pg_catalog.jsonb_build_array({i}.indisunique, {i}.indnkeyatts, {c}.relam::int8, {i}.indclass::text,
    {i}.indcollation::text, {i}.indoption::text, {c}.reloptions, pg_catalog.to_jsonb({i}) -> 'indnullsnotdistinct',
    pg_catalog.pg_get_expr({i}.indpred, {i}.indrelid), (
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
            pg_catalog.pg_get_indexdef(a.attrelid, a.attnum::int, false), a.attoptions) order by a.attnum)
        from pg_catalog.pg_attribute a where a.attrelid = {i}.indexrelid))::text"""
_DATABASE = "(select d.oid::int8 from pg_catalog.pg_database d where d.datname = {name}::name)"
_TABLESPACE = "(select s.oid::int8 from pg_catalog.pg_tablespace s where s.spcname = {name}::name)"
_USER = "(select r.oid::int8 from pg_catalog.pg_roles r where r.rolname = current_user)"
HERE = "(select d.oid::int8 from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())"
# The oids of a relation and of its partitions.
_TREE = """(select o.oid from (select {relation} as oid) o where o.oid is not null
    union select p.relid from pg_catalog.pg_partition_tree({relation}) p)"""

_STATES = {
    "create index": """(select pg_catalog.jsonb_build_object('table', t.oid::int8,
        'occupant', (select coalesce(pg_catalog.pg_get_indexdef(i.indexrelid), 'a relation that is not an index')
            from pg_catalog.pg_class c left join pg_catalog.pg_index i on i.indexrelid = c.oid
            where c.relname = {name}::name
              and c.relnamespace = (select r.relnamespace from pg_catalog.pg_class r where r.oid = t.oid)),
        'indexes', (select coalesce(pg_catalog.jsonb_object_agg(c.relname, c.oid::int8), '{{}}')
            from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid where i.indrelid = t.oid),
        'taken', (select coalesce(pg_catalog.jsonb_agg(c.relname), '[]')
            from pg_catalog.pg_class r join pg_catalog.pg_class c on c.relnamespace = r.relnamespace
            where r.oid = t.oid and {name} is null and c.relname ~ '_idx[0-9]*$'
              and pg_catalog.starts_with(c.relname, pg_catalog.left({table_name}, 8))))
        from (select {table} as oid) t)""",
    "drop index": """(select pg_catalog.jsonb_build_object('oid', c.oid::int8,
        'name', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname))
        from (select {relation} as oid) r left join pg_catalog.pg_class c on c.oid = r.oid
        left join pg_catalog.pg_namespace n on n.oid = c.relnamespace)""",
    "reindex index": """(select pg_catalog.jsonb_build_object(
        'tables', coalesce(pg_catalog.jsonb_agg(i.indrelid::int8), '[]'),
        'names', coalesce(pg_catalog.jsonb_agg(c.relname), '[]'))
        from {tree} r join pg_catalog.pg_index i on i.indexrelid = r.oid
        join pg_catalog.pg_class c on c.oid = r.oid)""",
    "reindex table": """(select pg_catalog.jsonb_build_object(
        'tables', coalesce(pg_catalog.jsonb_agg(r.oid::int8), '[]')) from {tree} r)""",
    "reindex schema": """(select pg_catalog.jsonb_build_object(
        'schema', (select n.oid::int8 from pg_catalog.pg_namespace n where n.nspname = {name}::name)))""",
    "reindex database": "'{{}}'::pg_catalog.jsonb",
    "detach": """(select pg_catalog.jsonb_build_object('parent', p.oid::int8, 'child', c.oid::int8,
        'link', h.xmin::text, 'pending', pg_catalog.to_jsonb(h) -> 'inhdetachpending')
        from (select {table} as oid) p cross join (select {relation} as oid) c
        left join pg_catalog.pg_inherits h on h.inhrelid = c.oid and h.inhparent = p.oid)""",
    "create database": f"pg_catalog.jsonb_build_object('oid', {_DATABASE}, 'user', {_USER})",
    "create tablespace": f"pg_catalog.jsonb_build_object('oid', {_TABLESPACE}, 'user', {_USER})",
    "drop database": f"pg_catalog.jsonb_build_object('oid', {_DATABASE}, 'name', pg_catalog.quote_ident({{name}}))",
    "drop tablespace": f"pg_catalog.jsonb_build_object('oid', {_TABLESPACE}, 'name', pg_catalog.quote_ident({{name}}))",
}
_COPIES = """pg_catalog.jsonb_build_object(
    'invalid', (select coalesce(pg_catalog.jsonb_agg(i.indexrelid::int8), '[]')
        from pg_catalog.pg_index i where not i.indisvalid),
    'taken', (select coalesce(pg_catalog.jsonb_agg(n.nspname || '.' || c.relname), '[]')
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.relname ~ '_cc(new|old)[0-9]*$'))"""
_COMMON = "pg_catalog.jsonb_build_object('statement', {statement}, 'database', {here})"


def state_before(statement: str, literal: Callable[[str], str]) -> str:
    """Returns an SQL expression for what a later run must know to judge what the statement did.

    Its value is JSON, or empty for a statement that is simply repeated.
    """
    effect = effect_of(statement)
    if effect is None:
        return "''"
    relation = relation_oid(effect.name, literal)
    names = {
        "name": literal(effect.name[-1]) if effect.name else "null",
        "relation": relation,
        "table": relation_oid(effect.table, literal),
        "table_name": literal(effect.table[-1]) if effect.table else "null",
        "tree": _TREE.format(relation=relation),
    }
    parts = [_COMMON.format(statement=literal(statement), here=HERE), _STATES[effect.kind].format(**names)]
    parts += [_COPIES] if effect.kind.startswith("reindex") else []
    return f"({' || '.join(parts)})::text"


def several(states: Sequence[str]) -> str:
    """Returns an SQL expression for the states of several statements, from the expression for each."""
    return f"pg_catalog.json_build_array({', '.join(states)})::text"


def relation_oid(name: Sequence[str], literal: Callable[[str], str]) -> str:
    """Returns an SQL expression for the oid of a relation, null if there is none."""
    if not name:
        return "null::oid"
    *schema, plain = name
    schemas = f"array[{literal(schema[0])}::name]" if schema else "pg_catalog.current_schemas(true)"
    return _RELATION.format(schemas=schemas, name=literal(plain))
