"""The queries of relations and of what belongs to them: columns, constraints, indexes, triggers, rules, policies."""

from __future__ import annotations

from sqlmigrate.catalog.query import (
    LEFT_OUT,
    USER_SCHEMA,
    ObjectQuery,
    comment,
    firing,
    options,
    owner,
    privileges,
    qualified,
    unless_member,
)

_NAME = "format('%I.%I', n.nspname, c.relname)"
_OID = "c.oid"
# The rows of pg_class that count, c, and their schemas, n.
_RELATION = (
    f" join pg_namespace n on n.oid = c.relnamespace and {USER_SCHEMA}"
    f" and {unless_member('pg_class', 'c.oid')} and not (c.oid = any ({LEFT_OUT}))"
)
_COMMENT = comment("pg_class", "c.oid")


def _tablespace(relation: str) -> str:
    """Returns the tablespace of a relation; null for the database's."""
    column = f"{relation}.reltablespace"
    return (
        f"case when {column} <> 0 then (select quote_ident(s.spcname) from pg_tablespace s where s.oid = {column}) end"
    )


def _described(catalog: str, oid: str, alias: str = "x") -> str:
    """Returns a join with the comments on many objects, which is faster than a query for each."""
    return (
        f" left join pg_description {alias} on {alias}.classoid = '{catalog}'::regclass and {alias}.objoid = {oid}"
        f" and {alias}.objsubid = 0"
    )


_OWNED = {"owner": owner("c.relowner"), "privileges": privileges("c.relacl", "r", "c.relowner"), "comment": _COMMENT}
_OPTIONS = (
    "nullif(concat_ws(', ', "
    + options("c.reloptions")
    + ", case when c.reltoastrelid <> 0 then (select string_agg('toast.' || r, ', ' order by r) from pg_class k,"
    " unnest(k.reloptions) r where k.oid = c.reltoastrelid) end), '')"
)
_PARENTS = (
    " left join (select i.inhrelid, string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno) as names"
    " from pg_inherits i group by 1) p on p.inhrelid = c.oid"
)
_STORED = {
    "access method": "(select m.amname::text from pg_am m where m.oid = c.relam and m.amname <> 'heap')",
    "tablespace": _tablespace("c"),
    "options": _OPTIONS,
}

TABLES = ObjectQuery(
    "table",
    _NAME,
    f"from pg_class c{_RELATION}{_PARENTS} where c.relkind in ('r', 'p')",
    {
        "persistence": "case c.relpersistence when 'u' then 'unlogged' end",
        "of type": "case when c.reloftype <> 0 then format_type(c.reloftype, null) end",
        "partitioned by": "case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end",
        "inherits": "case when not c.relispartition then p.names end",
        "partition of": "case when c.relispartition then p.names end",
        "partition bound": "case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end",
        **_STORED,
        "replica identity": "case c.relreplident when 'n' then 'nothing' when 'f' then 'full' when 'i' then (select"
        " 'index ' || r.indexrelid::regclass from pg_index r where r.indrelid = c.oid and r.indisreplident) end",
        "row security": "nullif(concat_ws(', ', case when c.relrowsecurity then 'enabled' end,"
        " case when c.relforcerowsecurity then 'forced' end), '')",
        "clustered on": "case when c.relhasindex then (select r.indexrelid::regclass::text from pg_index r"
        " where r.indrelid = c.oid and r.indisclustered) end",
        **_OWNED,
    },
    extra=(_OID,),
)

FOREIGN_TABLES = ObjectQuery(
    "foreign table",
    _NAME,
    f"from pg_class c{_RELATION}{_PARENTS} join pg_foreign_table f on f.ftrelid = c.oid",
    {
        "server": "(select quote_ident(s.srvname) from pg_foreign_server s where s.oid = f.ftserver)",
        "options": options("f.ftoptions"),
        "inherits": "case when not c.relispartition then p.names end",
        "partition of": "case when c.relispartition then p.names end",
        "partition bound": "case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end",
        **_OWNED,
    },
    extra=(_OID,),
)

COMPOSITE_TYPES = ObjectQuery(
    "type",
    _NAME,
    f"from pg_class c{_RELATION} join pg_type t on t.oid = c.reltype"
    f" where c.relkind = 'c' and {unless_member('pg_type', 't.oid')}",
    {
        "form": "'composite'",
        "owner": owner("t.typowner"),
        "privileges": privileges("t.typacl", "T", "t.typowner"),
        "comment": comment("pg_type", "t.oid"),
    },
    extra=(_OID,),
)

VIEWS = ObjectQuery(
    "view",
    _NAME,
    f"from pg_class c{_RELATION} where c.relkind = 'v'",
    {"definition": "pg_get_viewdef(c.oid)", "options": options("c.reloptions"), **_OWNED},
    extra=(_OID,),
)

MATERIALIZED_VIEWS = ObjectQuery(
    "materialized view",
    _NAME,
    f"from pg_class c{_RELATION} where c.relkind = 'm'",
    {
        "definition": "pg_get_viewdef(c.oid)",
        **_STORED,
        "clustered on": "case when c.relhasindex then (select r.indexrelid::regclass::text from pg_index r"
        " where r.indrelid = c.oid and r.indisclustered) end",
        **_OWNED,
    },
    extra=(_OID,),
)

SEQUENCES = ObjectQuery(
    "sequence",
    _NAME,
    f"from pg_class c{_RELATION} join pg_sequence s on s.seqrelid = c.oid left join pg_depend d"
    " on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass"
    " and d.deptype in ('a', 'i') and d.refobjsubid > 0"
    " left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid"
    " left join pg_class ac on ac.oid = d.refobjid left join pg_namespace an on an.oid = ac.relnamespace"
    f"{_described('pg_class', 'c.oid')} where d.refobjid is null or not (d.refobjid = any ({LEFT_OUT}))",
    {
        "owned by": "case d.deptype when 'a' then format('%I.%I.%I', an.nspname, ac.relname, a.attname) end",
        "identity of": "case d.deptype when 'i' then format('%I.%I.%I', an.nspname, ac.relname, a.attname) end",
        "type": "format_type(s.seqtypid, null)",
        "start": "s.seqstart::text",
        "increment": "s.seqincrement::text",
        "minimum": "s.seqmin::text",
        "maximum": "s.seqmax::text",
        "cache": "s.seqcache::text",
        "cycle": "case when s.seqcycle then 'yes' end",
        "persistence": "case when c.relpersistence = 'u' and d.deptype is distinct from 'i' then 'unlogged' end",
        "owner": owner("c.relowner"),
        "privileges": privileges("c.relacl", "s", "c.relowner"),
        "comment": "x.description",
    },
    parent="case d.deptype when 'i' then format('%I.%I.%I', an.nspname, ac.relname, a.attname) end",
)

_NOT_NULL = (
    "case when a.attnotnull then concat_ws(' ', nullif(quote_ident(k.conname),"
    " quote_ident(c.relname || '_' || a.attname || '_not_null')), case when k.connoinherit then 'no inherit' end,"
    " case when not k.convalidated then 'not valid' end) end"
)
_NOT_NULLS = " left join pg_constraint k on k.contype = 'n' and k.conrelid = a.attrelid and k.conkey[1] = a.attnum"


def columns(version: int) -> ObjectQuery:
    """Returns the query of columns; PostgreSQL 18 and newer keep NOT NULL as a constraint, with a name.

    `reading` qualifies the identity: 10,000 qualified names take longer than all other properties.
    """
    named, names = (_NOT_NULL, _NOT_NULLS) if version >= 18 else ("case when a.attnotnull then '' end", "")
    is_view = "c.relkind in ('v', 'm')"
    return ObjectQuery(
        "column",
        "quote_ident(a.attname)",
        f"from pg_class c{_RELATION} join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        " join pg_type t on t.oid = a.atttypid"
        " left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
        " left join pg_description x on x.classoid = 'pg_class'::regclass and x.objoid = c.oid"
        f" and x.objsubid = a.attnum{names} where c.relkind in ('r', 'p', 'f', 'c', 'v', 'm')",
        {
            "type": f"case when {is_view} then null else format_type(a.atttypid, a.atttypmod) end",
            "collation": f"case when a.attcollation <> t.typcollation and not {is_view} then"
            f" {qualified('pg_collation', 'coll', 'a.attcollation')} end",
            "not null": named,
            "default": "case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end",
            "generated": "case a.attgenerated when 's' then 'stored ' when 'v' then 'virtual ' end"
            " || pg_get_expr(d.adbin, d.adrelid)",
            "identity": "case a.attidentity when 'a' then 'always' when 'd' then 'by default' end",
            "storage": "case when a.attstorage <> t.typstorage then case a.attstorage when 'p' then 'plain'"
            " when 'e' then 'external' when 'm' then 'main' when 'x' then 'extended' end end",
            "compression": "case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end",
            "statistics": "case when a.attstattarget >= 0 then a.attstattarget::text end",
            "options": "case when a.attoptions is not null then (select string_agg(o, ', ' order by o)"
            " from unnest(a.attoptions) o where o !~ '^pg_attver=') end",
            "foreign options": f"case when a.attfdwoptions is not null then {options('a.attfdwoptions')} end",
            "inherited": "case when not a.attislocal then 'yes' end",
            "privileges": privileges("a.attacl", "c", "c.relowner"),
            "comment": "x.description",
        },
        order="a.attrelid, a.attnum",
        extra=("a.attrelid", "a.attnum", "coalesce(nullif(t.typbasetype, 0), t.oid)", "a.attcollation"),
    )


_INDEX_SETTINGS = {
    "tablespace": _tablespace("x"),
    "invalid": "case when not i.indisvalid then 'yes' end",
    "attached to": "case when x.relispartition then (select h.inhparent::regclass::text from pg_inherits h"
    " where h.inhrelid = i.indexrelid) end",
}

CONSTRAINTS = ObjectQuery(
    "constraint",
    "format('%I on %I.%I', k.conname, n.nspname, c.relname)",
    f"from pg_constraint k join pg_class c on c.oid = k.conrelid{_RELATION}"
    " left join pg_index i on i.indexrelid = k.conindid and k.contype in ('p', 'u', 'x')"
    f" left join pg_class x on x.oid = i.indexrelid{_described('pg_constraint', 'k.oid', 'd')}"
    f"{_described('pg_class', 'i.indexrelid', 'e')} where k.contype in ('c', 'f', 'p', 'u', 'x') and k.conislocal"
    " and not (k.contype = 'f' and k.conparentid <> 0)"
    " or k.contype in ('p', 'u', 'x') and k.conparentid <> 0",
    {
        "definition": "pg_get_constraintdef(k.oid)",
        **_INDEX_SETTINGS,
        "options": options("x.reloptions"),
        "comment": "d.description",
        "index comment": "e.description",
    },
    parent=_NAME,
)

_STATISTICS_OF_EXPRESSIONS = (
    "case when i.indexprs is not null then (select string_agg(a.attnum || ' ' || a.attstattarget, ', ' order by"
    " a.attnum) from pg_attribute a where a.attrelid = i.indexrelid and a.attstattarget >= 0) end"
)


def indexes(version: int) -> ObjectQuery:
    """Returns the query of indexes that do not belong to a constraint.

    `index_definition` writes the definitions of plain ones.
    """
    plain = "i.indexprs is null and x.reloptions is null and x.relkind = 'i' and m.amname in ('btree', 'hash')"
    if version >= 15:
        plain += " and not i.indnullsnotdistinct"
    head = (
        "concat('CREATE ', case when i.indisunique then 'UNIQUE ' end, 'INDEX ', quote_ident(x.relname), ' ON ',"
        f" {_NAME}, ' USING ', m.amname)"
    )
    return ObjectQuery(
        "index",
        "format('%I.%I', n.nspname, x.relname)",
        f"from pg_index i join pg_class x on x.oid = i.indexrelid join pg_class c on c.oid = i.indrelid{_RELATION}"
        " join pg_am m on m.oid = x.relam left join pg_constraint k on k.conindid = i.indexrelid"
        " and k.contype in ('p', 'u', 'x') and k.conrelid = i.indrelid"
        f"{_described('pg_class', 'i.indexrelid', 'd')} where k.oid is null",
        {
            "definition": f"case when not ({plain}) then pg_get_indexdef(i.indexrelid) end",
            **_INDEX_SETTINGS,
            "statistics": _STATISTICS_OF_EXPRESSIONS,
            "comment": "d.description",
        },
        parent=_NAME,
        extra=(
            *(head, "i.indrelid", "i.indnkeyatts", "i.indkey::text", "i.indclass::text", "i.indcollation::text"),
            *("i.indoption::text", "pg_get_expr(i.indpred, i.indrelid)"),
        ),
    )


TRIGGERS = ObjectQuery(
    "trigger",
    "format('%I on %I.%I', g.tgname, n.nspname, c.relname)",
    f"from pg_trigger g join pg_class c on c.oid = g.tgrelid{_RELATION}"
    " left join pg_trigger p on p.oid = g.tgparentid"
    " where not g.tgisinternal and (g.tgparentid = 0 or g.tgenabled <> p.tgenabled)",
    {
        "definition": "pg_get_triggerdef(g.oid)",
        "state": firing("g.tgenabled"),
        "comment": comment("pg_trigger", "g.oid"),
    },
    parent=_NAME,
)

RULES = ObjectQuery(
    "rule",
    "format('%I on %I.%I', r.rulename, n.nspname, c.relname)",
    f"from pg_rewrite r join pg_class c on c.oid = r.ev_class{_RELATION}"
    " where not (r.rulename = '_RETURN' and c.relkind in ('v', 'm'))",
    {
        "definition": "pg_get_ruledef(r.oid)",
        "state": firing("r.ev_enabled"),
        "comment": comment("pg_rewrite", "r.oid"),
    },
    parent=_NAME,
)

POLICIES = ObjectQuery(
    "policy",
    "format('%I on %I.%I', p.polname, n.nspname, c.relname)",
    f"from pg_policy p join pg_class c on c.oid = p.polrelid{_RELATION}",
    {
        "command": "case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'"
        " when 'd' then 'delete' else 'all' end",
        "restrictive": "case when not p.polpermissive then 'yes' end",
        "roles": "(select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', '"
        " order by pg_get_userbyid(r)) from unnest(p.polroles) r)",
        "using": "pg_get_expr(p.polqual, p.polrelid)",
        "check": "pg_get_expr(p.polwithcheck, p.polrelid)",
        "comment": comment("pg_policy", "p.oid"),
    },
    parent=_NAME,
)

STATISTICS = ObjectQuery(
    "statistics",
    "format('%I.%I', sn.nspname, s.stxname)",
    f"from pg_statistic_ext s join pg_namespace sn on sn.oid = s.stxnamespace join pg_class c on c.oid = s.stxrelid"
    f"{_RELATION} where {unless_member('pg_statistic_ext', 's.oid')}",
    {
        "definition": "pg_get_statisticsobjdef(s.oid)",
        "target": "case when s.stxstattarget >= 0 then s.stxstattarget::text end",
        "owner": owner("s.stxowner"),
        "comment": comment("pg_statistic_ext", "s.oid"),
    },
    parent=_NAME,
)


def queries(version: int) -> list[ObjectQuery]:
    """Returns the queries of this module for a major version."""
    views = [VIEWS, MATERIALIZED_VIEWS]
    parts = [columns(version), CONSTRAINTS, indexes(version), TRIGGERS, RULES, POLICIES, STATISTICS]
    return [TABLES, FOREIGN_TABLES, COMPOSITE_TYPES, *views, SEQUENCES, *parts]
