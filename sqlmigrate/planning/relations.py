"""Reads from the catalog which relations a statement touches besides those that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlmigrate.history.tables import Tables
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.sql.identifier import Identifier

# `own` is the relation itself, or the table of an index. `reads` adds what the query of a materialized view reads,
# through views. `kin` adds ancestors and descendants of partitions and of children by INHERITS: ANALYZE and VALIDATE
# CONSTRAINT go from a parent to its children. `partner` adds the other tables of foreign keys, with their ancestors.
# `functions` may run any statement: they are not in C, or not immutable. The catalog does not record that a query or an
# expression uses an object of PostgreSQL itself.
_FACTS = """
with recursive
names(number, schema, name) as (values {names}),
named(number, oid) as (
    select w.number, (
        select c.oid
        from pg_catalog.unnest(case when w.schema is null then pg_catalog.current_schemas(true)
                                    else array[w.schema] end) with ordinality s(name, number)
        join pg_catalog.pg_namespace n on n.nspname = s.name
        join pg_catalog.pg_class c on c.relnamespace = n.oid
        where c.relname = w.name order by s.number limit 1)
    from names w),
own(number, oid, via) as (
    select x.number, coalesce(i.indrelid, x.oid), ''
    from named x left join pg_catalog.pg_index i on i.indexrelid = x.oid where x.oid is not null),
reads(number, oid, via) as (
    select * from own
    union
    select r.number, d.refobjid, 'a materialized view reads it'
    from reads r
    join pg_catalog.pg_class c on c.oid = r.oid and c.relkind in ('v', 'm')
    join pg_catalog.pg_rewrite w on w.ev_class = r.oid
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> w.ev_class),
up(number, oid, via) as (
    select * from reads
    union
    select u.number, h.inhparent, 'partitions count as their parent'
    from up u join pg_catalog.pg_inherits h on h.inhrelid = u.oid),
down(number, oid, via) as (
    select * from reads
    union
    select d.number, h.inhrelid, 'partitions count as their parent'
    from down d join pg_catalog.pg_inherits h on h.inhparent = d.oid),
kin(number, oid, via) as (select * from up union select * from down),
partner(number, oid, via) as (
    select k.number, f.confrelid, 'a foreign key counts as touching both tables'
    from kin k join pg_catalog.pg_constraint f on f.conrelid = k.oid and f.contype = 'f'
    union
    select k.number, f.conrelid, 'a foreign key counts as touching both tables'
    from kin k join pg_catalog.pg_constraint f on f.confrelid = k.oid and f.contype = 'f'
    union
    select p.number, h.inhparent, p.via from partner p join pg_catalog.pg_inherits h on h.inhrelid = p.oid),
touched(number, oid, via) as (
    select t.number, t.oid, pg_catalog.min(t.via)
    from (select * from kin union all select * from partner) t group by 1, 2),
depending(number, classid, objid, evaluated) as (
    select k.number, 'pg_catalog.pg_class'::regclass, i.indexrelid, true
    from down k join pg_catalog.pg_index i on i.indrelid = k.oid
    union
    select k.number, 'pg_catalog.pg_constraint'::regclass, c.oid, true
    from down k join pg_catalog.pg_constraint c on c.conrelid = k.oid and c.contype = 'c'
    union
    select r.number, 'pg_catalog.pg_rewrite'::regclass, w.oid, false
    from reads r
    join pg_catalog.pg_class c on c.oid = r.oid and c.relkind in ('v', 'm')
    join pg_catalog.pg_rewrite w on w.ev_class = r.oid),
called(number, oid, evaluated) as (
    select p.number, coalesce(o.oprcode, d.refobjid), p.evaluated
    from depending p
    join pg_catalog.pg_depend d on d.classid = p.classid and d.objid = p.objid
        and d.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
    left join pg_catalog.pg_operator o
        on o.oid = d.refobjid and d.refclassid = 'pg_catalog.pg_operator'::regclass),
functions(number, name, evaluated) as (
    select c.number, f.oid::regproc::text, c.evaluated
    from called c join pg_catalog.pg_proc f on f.oid = c.oid
    where f.prolang not in (select l.oid from pg_catalog.pg_language l where l.lanname in ('internal', 'c'))
       or f.provolatile <> 'i' or f.prokind = 'a')
select x.number, x.oid::int8, n.nspname, c.relname,
    (select pg_catalog.json_object_agg(t.oid::int8, pg_catalog.json_build_array(
         pg_catalog.format('%I.%I', tn.nspname, tc.relname), t.via))
     from touched t join pg_catalog.pg_class tc on tc.oid = t.oid
     join pg_catalog.pg_namespace tn on tn.oid = tc.relnamespace where t.number = x.number),
    coalesce(
        (select case when oc.oid in (select pg_catalog.to_regclass(h) from pg_catalog.unnest({history}) h)
                         then 'is a table of sqlmigrate'
                     when oc.relpersistence = 't' then 'is a temporary table'
                     when oc.relnamespace in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
                         then 'is a table of the system'
                     when oc.relkind not in ('r', 'p', 'm') then 'is not a table or a materialized view' end
         from own o join pg_catalog.pg_class oc on oc.oid = o.oid where o.number = x.number),
        (select case when oc.relrowsecurity then 'reads a table with row-level security'
                     else 'reads a foreign table' end
         from reads r join pg_catalog.pg_class oc on oc.oid = r.oid
         where r.number = x.number and r.via <> '' and (oc.relrowsecurity or oc.relkind = 'f') limit 1),
        (select 'reads through the function ' || f.name
         from functions f where f.number = x.number and not f.evaluated limit 1), ''),
    coalesce((select f.name from functions f where f.number = x.number and f.evaluated limit 1), '')
from named x
join pg_catalog.pg_class c on c.oid = x.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
"""
# The commands of statements that may share a wave.
_TAGS = "array['ALTER TABLE', 'CREATE INDEX', 'DROP INDEX', 'REFRESH MATERIALIZED VIEW', 'REINDEX']"
_EVENT_TRIGGERS = f"""
select e.evtname from pg_catalog.pg_event_trigger e
where e.evtenabled <> 'D' and e.evtevent <> 'login' and (e.evttags is null or e.evttags && {_TAGS})
order by 1 limit 1
"""


class Relation(NamedTuple):
    """A relation as the catalog has it: a table, a materialized view, or an index.

    `touched` maps the oid of each relation that a statement on it touches to its name and the reason. `barrier` states
    why nothing on it may share a wave, `function` is a function that its indexes or constraints call.
    """

    schema: str
    name: str
    touched: Mapping[str, tuple[str, str]]
    barrier: str = ""
    function: str = ""


def relations(connection: Connection, names: Iterable[Identifier], tables: Tables) -> dict[Identifier, Relation]:
    """Returns the relations that exist, by the names that the session's search_path resolves.

    `tables` are the history tables, which every migration touches.
    """
    ordered = sorted(set(names))
    if not ordered:
        return {}
    literal = connection.literal
    values = (
        f"({number}, {f'{literal(name.schema)}::name' if name.schema else 'null::name'}, {literal(name.name)}::name)"
        for number, name in enumerate(ordered)
    )
    history = f"array[{', '.join(map(literal, tables[1:]))}]"
    rows = connection.rows(_FACTS.format(names=", ".join(values), history=history))
    return {
        ordered[number]: Relation(schema, name, {oid: (known[0], known[1]) for oid, known in touched.items()}, *reasons)
        for number, _, schema, name, touched, *reasons in rows
    }


def event_trigger(connection: Connection) -> str:
    """Returns the name of an event trigger that a statement of a wave may fire, or an empty text."""
    rows = connection.rows(_EVENT_TRIGGERS)
    return str(rows[0][0]) if rows else ""
