"""The queries of objects in schemas that are not relations: functions, types, operators, text search and others."""

from __future__ import annotations

from sqlmigrate.catalog.query import (
    USER_SCHEMA,
    ObjectQuery,
    comment,
    owner,
    privileges,
    qualified,
    unless_member,
)


def _in_schema(catalog: str, prefix: str, *joins: str) -> str:
    """Returns FROM and WHERE for the rows o of a catalog in users' schemas n that no extension owns."""
    return (
        f"from {catalog} o join pg_namespace n on n.oid = o.{prefix}namespace {' '.join(joins)}"
        f" where {USER_SCHEMA} and {unless_member(catalog, 'o.oid')}"
    )


def _name(prefix: str) -> str:
    return f"format('%I.%I', n.nspname, o.{prefix}name)"


def _owned(catalog: str, prefix: str) -> dict[str, str]:
    return {"owner": owner(f"o.{prefix}owner"), "comment": comment(catalog, "o.oid")}


_SIGNATURE = "format('%I.%I(%s)', n.nspname, o.proname, pg_get_function_identity_arguments(o.oid))"
_PROC = {**_owned("pg_proc", "pro"), "privileges": privileges("o.proacl", "f", "o.proowner")}


def _routines(kind: str, kinds: str) -> ObjectQuery:
    source = f"{_in_schema('pg_proc', 'pro')} and o.prokind in ({kinds})"
    return ObjectQuery(kind, _SIGNATURE, source, {"definition": "pg_get_functiondef(o.oid)", **_PROC})


def _routine(column: str) -> str:
    return f"nullif({column}, 0)::regprocedure::text"


AGGREGATES = ObjectQuery(
    "aggregate",
    _SIGNATURE,
    _in_schema("pg_proc", "pro", "join pg_aggregate a on a.aggfnoid = o.oid"),
    {
        "arguments": "pg_get_function_arguments(o.oid)",
        "result": "pg_get_function_result(o.oid)",
        "kind": "case a.aggkind when 'o' then 'ordered set' when 'h' then 'hypothetical set' end",
        "transition function": "a.aggtransfn::regproc::text",
        "transition type": "format_type(a.aggtranstype, null)",
        "initial value": "a.agginitval",
        "final function": "nullif(a.aggfinalfn, 0)::regproc::text",
        "combine function": "nullif(a.aggcombinefn, 0)::regproc::text",
        "serial function": "nullif(a.aggserialfn, 0)::regproc::text",
        "deserial function": "nullif(a.aggdeserialfn, 0)::regproc::text",
        "moving functions": "nullif(concat_ws(', ', nullif(a.aggmtransfn, 0)::regproc,"
        " nullif(a.aggminvtransfn, 0)::regproc, nullif(a.aggmfinalfn, 0)::regproc, a.aggminitval,"
        " case when a.aggmtransfn <> 0 then format_type(a.aggmtranstype, null) end), '')",
        "sort operator": "nullif(a.aggsortop, 0)::regoperator::text",
        "final modify": "concat(a.aggfinalmodify, a.aggfinalextra, a.aggmfinalmodify, a.aggmfinalextra)",
        "parallel": "case o.proparallel when 's' then 'safe' when 'r' then 'restricted' end",
        "space": "concat_ws(', ', nullif(a.aggtransspace, 0), nullif(a.aggmtransspace, 0))",
        **_PROC,
    },
)

_TYPE = {**_owned("pg_type", "typ"), "privileges": privileges("o.typacl", "T", "o.typowner")}
ENUMS = ObjectQuery(
    "type",
    _name("typ"),
    _in_schema("pg_type", "typ") + " and o.typtype = 'e'",
    {
        "form": "'enum'",
        "labels": "(select string_agg(quote_literal(l.enumlabel), ', ' order by l.enumsortorder)"
        " from pg_enum l where l.enumtypid = o.oid)",
        **_TYPE,
    },
)
RANGES = ObjectQuery(
    "type",
    _name("typ"),
    _in_schema("pg_type", "typ", "join pg_range r on r.rngtypid = o.oid"),
    {
        "form": "'range'",
        "subtype": "format_type(r.rngsubtype, null)",
        "multirange": "format_type(r.rngmultitypid, null)",
        "operator class": qualified("pg_opclass", "opc", "r.rngsubopc"),
        "collation": qualified("pg_collation", "coll", "r.rngcollation"),
        "canonical": _routine("r.rngcanonical::oid"),
        "difference": _routine("r.rngsubdiff::oid"),
        **_TYPE,
    },
)
BASE_TYPES = ObjectQuery(
    "type",
    _name("typ"),
    _in_schema("pg_type", "typ")
    + " and o.typtype in ('b', 'p') and not exists (select from pg_type e where e.typarray = o.oid)",
    {
        "form": "case when o.typisdefined then 'base' else 'shell' end",
        "definition": "case when o.typisdefined then concat_ws(', ', o.typinput, o.typoutput, o.typreceive, o.typsend,"
        " o.typmodin, o.typmodout, o.typanalyze, o.typlen, o.typbyval, o.typalign, o.typstorage, o.typcategory,"
        " o.typispreferred, o.typdelim, o.typdefault, format_type(nullif(o.typelem, 0), null)) end",
        **_TYPE,
    },
)
DOMAINS = ObjectQuery(
    "domain",
    _name("typ"),
    _in_schema("pg_type", "typ", "join pg_type b on b.oid = o.typbasetype") + " and o.typtype = 'd'",
    {
        "type": "format_type(o.typbasetype, o.typtypmod)",
        "collation": f"case when o.typcollation <> b.typcollation then"
        f" {qualified('pg_collation', 'coll', 'o.typcollation')} end",
        "not null": "case when o.typnotnull then 'yes' end",
        "default": "coalesce(pg_get_expr(o.typdefaultbin, 'pg_type'::regclass), o.typdefault)",
        **_TYPE,
    },
)
DOMAIN_CONSTRAINTS = ObjectQuery(
    "domain constraint",
    "format('%I on %I.%I', k.conname, n.nspname, o.typname)",
    _in_schema("pg_type", "typ", "join pg_constraint k on k.contypid = o.oid and k.contype = 'c'"),
    {"definition": "pg_get_constraintdef(k.oid)", "comment": comment("pg_constraint", "k.oid")},
    parent=_name("typ"),
)

# The columns of this catalog differ between versions.
_LOCALE = "to_jsonb(o) ->> "
COLLATIONS = ObjectQuery(
    "collation",
    _name("coll"),
    _in_schema("pg_collation", "coll"),
    {
        "provider": "case o.collprovider when 'c' then 'libc' when 'i' then 'icu' when 'b' then 'builtin' end",
        "locale": f"concat_ws(', ', coalesce({_LOCALE}'colllocale', {_LOCALE}'colliculocale'), {_LOCALE}'collcollate',"
        f" {_LOCALE}'collctype')",
        "rules": f"{_LOCALE}'collicurules'",
        "deterministic": "case when not o.collisdeterministic then 'no' end",
        **_owned("pg_collation", "coll"),
    },
)
CONVERSIONS = ObjectQuery(
    "conversion",
    _name("con"),
    _in_schema("pg_conversion", "con"),
    {
        "definition": "concat_ws(', ', pg_encoding_to_char(o.conforencoding), pg_encoding_to_char(o.contoencoding),"
        " o.conproc, case when o.condefault then 'default' end)",
        **_owned("pg_conversion", "con"),
    },
)
OPERATORS = ObjectQuery(
    "operator",
    "format('%I.%s (%s, %s)', n.nspname, o.oprname, case when o.oprleft <> 0 then format_type(o.oprleft, null)"
    " else 'none' end, case when o.oprright <> 0 then format_type(o.oprright, null) else 'none' end)",
    _in_schema("pg_operator", "opr"),
    {
        "function": "nullif(o.oprcode, 0)::regprocedure::text",
        "commutator": "nullif(o.oprcom, 0)::regoperator::text",
        "negator": "nullif(o.oprnegate, 0)::regoperator::text",
        "restrict": "nullif(o.oprrest, 0)::regproc::text",
        "join": "nullif(o.oprjoin, 0)::regproc::text",
        "for": "nullif(concat_ws(', ', case when o.oprcanhash then 'hashes' end,"
        " case when o.oprcanmerge then 'merges' end), '')",
        **_owned("pg_operator", "opr"),
    },
)
_METHOD = "(select m.amname from pg_am m where m.oid = o.{}method)"
_MEMBERS = (
    "(select string_agg(t, ', ' order by t) from (select concat_ws(' ', 'operator', a.amopstrategy,"
    " a.amopopr::regoperator, case a.amoppurpose when 'o' then 'for order by ' ||"
    f" {qualified('pg_opfamily', 'opf', 'a.amopsortfamily')} end) as t from pg_amop a where a.amopfamily = {{0}}"
    " union all select concat_ws(' ', 'function', p.amprocnum, format_type(p.amproclefttype, null),"
    " format_type(p.amprocrighttype, null), p.amproc::regprocedure) from pg_amproc p where p.amprocfamily = {0}) m)"
)
OPERATOR_CLASSES = ObjectQuery(
    "operator class",
    f"format('%I.%I using %s', n.nspname, o.opcname, {_METHOD.format('opc')})",
    _in_schema("pg_opclass", "opc"),
    {
        "type": "format_type(o.opcintype, null)",
        "default": "case when o.opcdefault then 'yes' end",
        "storage": "case when o.opckeytype <> 0 then format_type(o.opckeytype, null) end",
        "family": qualified("pg_opfamily", "opf", "o.opcfamily"),
        **_owned("pg_opclass", "opc"),
    },
)
OPERATOR_FAMILIES = ObjectQuery(
    "operator family",
    f"format('%I.%I using %s', n.nspname, o.opfname, {_METHOD.format('opf')})",
    _in_schema("pg_opfamily", "opf"),
    {"members": _MEMBERS.format("o.oid"), **_owned("pg_opfamily", "opf")},
)

TEXT_SEARCH = (
    ObjectQuery(
        "text search configuration",
        _name("cfg"),
        _in_schema("pg_ts_config", "cfg"),
        {
            "parser": qualified("pg_ts_parser", "prs", "o.cfgparser"),
            "mapping": "(select string_agg(t.line, chr(10) order by t.line) from (select concat(k.alias, ': ',"
            " string_agg(m.mapdict::regdictionary::text, ', ' order by m.mapseqno)) as line from pg_ts_config_map m"
            " join ts_token_type(o.cfgparser) k on k.tokid = m.maptokentype where m.mapcfg = o.oid"
            " group by k.alias) t)",
            **_owned("pg_ts_config", "cfg"),
        },
    ),
    ObjectQuery(
        "text search dictionary",
        _name("dict"),
        _in_schema("pg_ts_dict", "dict"),
        {
            "template": qualified("pg_ts_template", "tmpl", "o.dicttemplate"),
            "options": "o.dictinitoption",
            **_owned("pg_ts_dict", "dict"),
        },
    ),
    ObjectQuery(
        "text search template",
        _name("tmpl"),
        _in_schema("pg_ts_template", "tmpl"),
        {
            "definition": "concat_ws(', ', o.tmplinit, o.tmpllexize)",
            "comment": comment("pg_ts_template", "o.oid"),
        },
    ),
    ObjectQuery(
        "text search parser",
        _name("prs"),
        _in_schema("pg_ts_parser", "prs"),
        {
            "definition": "concat_ws(', ', o.prsstart, o.prstoken, o.prsend, o.prsheadline, o.prslextype)",
            "comment": comment("pg_ts_parser", "o.oid"),
        },
    ),
)


def queries() -> list[ObjectQuery]:
    """Returns the queries of this module."""
    routines = [_routines("function", "'f', 'w'"), _routines("procedure", "'p'"), AGGREGATES]
    types = [ENUMS, RANGES, BASE_TYPES, DOMAINS, DOMAIN_CONSTRAINTS]
    operators = [OPERATORS, OPERATOR_CLASSES, OPERATOR_FAMILIES]
    return [*routines, *types, COLLATIONS, CONVERSIONS, *operators, *TEXT_SEARCH]
