"""The queries of the database itself and of objects outside schemas: grants, settings, publications, servers, casts."""

from __future__ import annotations

from sqlmigrate.catalog.query import (
    ObjectQuery,
    comment,
    firing,
    options,
    owner,
    privileges,
    shared_comment,
    unless_member,
)

_THIS = "(select d.oid from pg_database d where d.datname = current_database())"
_LISTED = "(select string_agg(s, chr(10) order by s) from unnest({}) s)"


def _all(catalog: str, condition: str = "true") -> str:
    return f"from {catalog} o where {condition} and {unless_member(catalog, 'o.oid')}"


DATABASE = ObjectQuery(
    "database",
    "'database'",
    f"from pg_database o where o.oid = {_THIS}",
    {
        "settings": f"(select {_LISTED.format('s.setconfig')} from pg_db_role_setting s"
        " where s.setdatabase = o.oid and s.setrole = 0)",
        "connection limit": "case when o.datconnlimit <> -1 then o.datconnlimit::text end",
        "owner": owner("o.datdba"),
        "privileges": privileges("o.datacl", "d", "o.datdba"),
        "comment": shared_comment("pg_database", "o.oid"),
    },
)
ROLE_SETTINGS = ObjectQuery(
    "role setting",
    "quote_ident(r.rolname) || case when s.setdatabase <> 0 then ' in database' else '' end",
    f"from pg_db_role_setting s join pg_roles r on r.oid = s.setrole where s.setdatabase in (0, {_THIS})",
    {"settings": _LISTED.format("s.setconfig")},
)
# initdb creates the schema public; a dump contains only what differs from that.
_INITIAL = "(select i.initprivs from pg_init_privs i where i.classoid = 'pg_namespace'::regclass and i.objoid = o.oid)"
_IS_PUBLIC = "o.nspname = 'public'"
SCHEMAS = ObjectQuery(
    "schema",
    "quote_ident(o.nspname)",
    _all("pg_namespace", "o.nspname !~ '^pg_' and o.nspname <> 'information_schema'"),
    {
        "owner": f"case when not ({_IS_PUBLIC} and (o.nspowner = 10 or pg_get_userbyid(o.nspowner) ="
        " 'pg_database_owner')) then pg_get_userbyid(o.nspowner) end",
        "privileges": f"case when o.nspacl is distinct from {_INITIAL} then"
        f" {privileges('o.nspacl', 'n', 'o.nspowner')} end",
        "comment": f"nullif({comment('pg_namespace', 'o.oid')}, case when {_IS_PUBLIC} then"
        " 'standard public schema' end)",
    },
)
EXTENSIONS = ObjectQuery(
    "extension",
    "quote_ident(o.extname)",
    "from pg_extension o where o.extname <> 'plpgsql'",
    {
        "schema": "quote_ident((select n.nspname from pg_namespace n where n.oid = o.extnamespace))",
        "version": "o.extversion",
        "comment": comment("pg_extension", "o.oid"),
    },
)
DEFAULT_PRIVILEGES = ObjectQuery(
    "default privileges",
    "concat('of ', quote_ident(pg_get_userbyid(o.defaclrole)), ' on ', case o.defaclobjtype when 'r' then 'tables'"
    " when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas'"
    " when 'L' then 'large objects' end, (select ' in schema ' || quote_ident(n.nspname) from pg_namespace n"
    " where n.oid = o.defaclnamespace))",
    "from pg_default_acl o",
    {
        "privileges": 'coalesce((select string_agg(i::text, chr(10) order by i::text collate "C")'
        " from unnest(o.defaclacl) i), 'none')"
    },
)
# A grant on one of the server's own functions or views.
SYSTEM_GRANTS = (
    ObjectQuery(
        "system privileges",
        "'function ' || o.oid::regprocedure",
        "from pg_proc o left join pg_init_privs i on i.classoid = 'pg_proc'::regclass and i.objoid = o.oid"
        " and i.objsubid = 0 where o.pronamespace = 'pg_catalog'::regnamespace"
        " and o.proacl is distinct from i.initprivs",
        {"privileges": privileges("o.proacl", "f", "o.proowner")},
    ),
    ObjectQuery(
        "system privileges",
        "'relation ' || o.oid::regclass",
        "from pg_class o left join pg_init_privs i on i.classoid = 'pg_class'::regclass and i.objoid = o.oid"
        " and i.objsubid = 0 where o.relnamespace = 'pg_catalog'::regnamespace and o.relkind in ('r', 'v')"
        " and o.relacl is distinct from i.initprivs",
        {"privileges": privileges("o.relacl", "r", "o.relowner")},
    ),
    ObjectQuery(
        "system privileges",
        "'language ' || quote_ident(o.lanname)",
        "from pg_language o left join pg_init_privs i on i.classoid = 'pg_language'::regclass and i.objoid = o.oid"
        " and i.objsubid = 0 where o.lanacl is distinct from i.initprivs and not"
        f" ({unless_member('pg_language', 'o.oid')})",
        {"privileges": privileges("o.lanacl", "l", "o.lanowner")},
    ),
)
EVENT_TRIGGERS = ObjectQuery(
    "event trigger",
    "quote_ident(o.evtname)",
    _all("pg_event_trigger"),
    {
        "event": "o.evtevent::text",
        "function": "o.evtfoid::regprocedure::text",
        "tags": "array_to_string(o.evttags, ', ')",
        "state": firing("o.evtenabled"),
        "owner": owner("o.evtowner"),
        "comment": comment("pg_event_trigger", "o.oid"),
    },
)
WRAPPERS = ObjectQuery(
    "foreign data wrapper",
    "quote_ident(o.fdwname)",
    _all("pg_foreign_data_wrapper"),
    {
        "handler": "nullif(o.fdwhandler, 0)::regproc::text",
        "validator": "nullif(o.fdwvalidator, 0)::regproc::text",
        "options": options("o.fdwoptions"),
        "owner": owner("o.fdwowner"),
        "privileges": privileges("o.fdwacl", "F", "o.fdwowner"),
        "comment": comment("pg_foreign_data_wrapper", "o.oid"),
    },
)
_NO_SECRETS = (
    "(select string_agg(case when split_part(s, '=', 1) ~* 'passw|secret|token|key' then split_part(s, '=', 1) || '=…'"
    " else s end, ', ' order by s collate \"C\") from unnest(o.srvoptions) s)"
)
SERVERS = ObjectQuery(
    "server",
    "quote_ident(o.srvname)",
    _all("pg_foreign_server"),
    {
        "wrapper": "(select quote_ident(w.fdwname) from pg_foreign_data_wrapper w where w.oid = o.srvfdw)",
        "type": "o.srvtype",
        "version": "o.srvversion",
        "options": _NO_SECRETS,
        "owner": owner("o.srvowner"),
        "privileges": privileges("o.srvacl", "S", "o.srvowner"),
        "comment": comment("pg_foreign_server", "o.oid"),
    },
)
# The options often contain a password.
USER_MAPPINGS = ObjectQuery(
    "user mapping", "format('%I on %I', o.usename, o.srvname)", "from pg_user_mappings o", {"exists": "'yes'"}
)
SUBSCRIPTIONS = ObjectQuery(
    "subscription",
    "quote_ident(o.subname)",
    f"from pg_subscription o where o.subdbid = {_THIS}",
    {
        "publications": "(select string_agg(quote_ident(p), ', ' order by p) from unnest(o.subpublications) p)",
        "owner": owner("o.subowner"),
    },
)
LANGUAGES = ObjectQuery(
    "language",
    "quote_ident(o.lanname)",
    _all("pg_language", "o.lanispl"),
    {
        "definition": "concat_ws(', ', o.lanplcallfoid::regprocedure, nullif(o.laninline, 0)::regprocedure,"
        " nullif(o.lanvalidator, 0)::regprocedure, case when o.lanpltrusted then 'trusted' end)",
        "owner": owner("o.lanowner"),
        "privileges": privileges("o.lanacl", "l", "o.lanowner"),
        "comment": comment("pg_language", "o.oid"),
    },
)
# Objects with a smaller OID are the server's.
_OURS = "o.oid >= 16384"
CASTS = ObjectQuery(
    "cast",
    "format('%s as %s', format_type(o.castsource, null), format_type(o.casttarget, null))",
    _all("pg_cast", _OURS),
    {
        "function": "nullif(o.castfunc, 0)::regprocedure::text",
        "context": "case o.castcontext when 'i' then 'implicit' when 'a' then 'assignment' else 'explicit' end",
        "method": "case o.castmethod when 'b' then 'binary' when 'i' then 'inout' end",
        "comment": comment("pg_cast", "o.oid"),
    },
)
TRANSFORMS = ObjectQuery(
    "transform",
    "format('%s language %I', format_type(o.trftype, null), (select l.lanname from pg_language l"
    " where l.oid = o.trflang))",
    _all("pg_transform", _OURS),
    {
        "definition": "concat_ws(', ', nullif(o.trffromsql, 0)::regprocedure, nullif(o.trftosql, 0)::regprocedure)",
        "comment": comment("pg_transform", "o.oid"),
    },
)
ACCESS_METHODS = ObjectQuery(
    "access method",
    "quote_ident(o.amname)",
    _all("pg_am", _OURS),
    {
        "definition": "concat_ws(', ', o.amtype, o.amhandler::regproc)",
        "comment": comment("pg_am", "o.oid"),
    },
)
SECURITY_LABELS = ObjectQuery(
    "security label",
    "format('%s %s for %s', i.type, i.identity, o.provider)",
    "from pg_seclabel o, pg_identify_object(o.classoid, o.objoid, o.objsubid) i",
    {"label": "o.label"},
)
EXTENSION_DEPENDENCIES = ObjectQuery(
    "extension dependency",
    "format('%s %s on %I', i.type, i.identity, e.extname)",
    "from pg_depend o join pg_extension e on e.oid = o.refobjid, pg_identify_object(o.classid, o.objid, o.objsubid) i"
    " where o.refclassid = 'pg_extension'::regclass and o.deptype = 'x'",
    {"exists": "'yes'"},
)


def publications(version: int) -> ObjectQuery:
    """Returns the query of publications; PostgreSQL 15 and newer have schemas, columns and rows in them."""
    tables = "select r.prrelid::regclass::text as line from pg_publication_rel r where r.prpubid = o.oid"
    schemas = ""
    if version >= 15:
        tables = (
            "select concat(r.prrelid::regclass, (select ' (' || string_agg(quote_ident(a.attname), ', ' order by"
            " a.attname) || ')' from pg_attribute a where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)),"
            " ' where ' || pg_get_expr(r.prqual, r.prrelid)) as line from pg_publication_rel r where r.prpubid = o.oid"
        )
        schemas = (
            " union all select 'schema ' || quote_ident(s.nspname) from pg_publication_namespace p"
            " join pg_namespace s on s.oid = p.pnnspid where p.pnpubid = o.oid"
        )
    return ObjectQuery(
        "publication",
        "quote_ident(o.pubname)",
        _all("pg_publication"),
        {
            "tables": f"case when o.puballtables then 'all' else (select string_agg(t.line, chr(10) order by t.line)"
            f" from ({tables}{schemas}) t) end",
            "publishes": "concat_ws(', ', case when o.pubinsert then 'insert' end, case when o.pubupdate then"
            " 'update' end, case when o.pubdelete then 'delete' end, case when o.pubtruncate then 'truncate' end)",
            "via root": "case when o.pubviaroot then 'yes' end",
            "generated columns": "nullif(to_jsonb(o) ->> 'pubgencols', 'n')",
            "owner": owner("o.pubowner"),
            "comment": comment("pg_publication", "o.oid"),
        },
    )


def queries(version: int) -> list[ObjectQuery]:
    """Returns the queries of this module for a major version."""
    return [
        *(DATABASE, ROLE_SETTINGS, SCHEMAS, EXTENSIONS, DEFAULT_PRIVILEGES, *SYSTEM_GRANTS, EVENT_TRIGGERS),
        *(WRAPPERS, SERVERS, USER_MAPPINGS, publications(version), SUBSCRIPTIONS, LANGUAGES, CASTS, TRANSFORMS),
        *(ACCESS_METHODS, SECURITY_LABELS, EXTENSION_DEPENDENCIES),
    ]
