"""Why the locks of a statement can't all be told from its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.locks.alter import definition
from sqlmigrate.locks.tree import every, joined, kind, runs, switched_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_FOREIGN_KEY = "if it has to do with a foreign key, the other table of that is locked too (ACCESS EXCLUSIVE)"
_REFERRED = "the tables that its foreign keys refer to are locked too (SHARE ROW EXCLUSIVE)"
_DEFAULT = f"the default partition, if there is one, is locked (ACCESS EXCLUSIVE) and may be scanned; {_REFERRED}"
_CASCADE = "CASCADE drops what depends on it, and locks that too"
_OF_TYPE = "CASCADE alters the tables of the type (ACCESS EXCLUSIVE)"
_PREPARED = "runs a prepared statement, which is not looked at"
# What ALTER TABLE's parts lock that they do not name.
OF_PARTS = {
    "AT_AlterColumnType": _FOREIGN_KEY,
    "AT_AttachPartition": _DEFAULT,
    "AT_DetachPartition": _DEFAULT,
    "AT_DetachPartitionFinalize": _REFERRED,
    "AT_DropColumn": _FOREIGN_KEY,
    "AT_DropConstraint": _FOREIGN_KEY,
}
OF_DROPS = {
    "OBJECT_EXTENSION": "drops the tables that belong to the extension",
    "OBJECT_STATISTIC_EXT": "the table of the statistics is locked too (SHARE UPDATE EXCLUSIVE)",
    "OBJECT_TABLE": "the tables that its foreign keys refer to, and the one it is a partition of, are locked too"
    " (ACCESS EXCLUSIVE)",
}
# ALTER DOMAIN's own letters: add a constraint, SET NOT NULL, VALIDATE CONSTRAINT.
_DOMAIN_CHECKED = ("C", "O", "V")
# Functions of PostgreSQL's own that migrations call, which lock nothing; any other may run what it likes. Those
# by which it spells its own syntax, such as EXTRACT, come with their schema and are not needed here.
HARMLESS = frozenset(
    """
    abs age any_value array_agg array_append array_cat array_dims array_fill array_length array_lower array_ndims
    array_position array_positions array_prepend array_remove array_replace array_sample array_shuffle array_to_json
    array_to_string array_to_tsvector array_upper ascii avg bit_and bit_length bit_or bool_and bool_or btrim
    cardinality cbrt ceil ceiling char_length chr clock_timestamp col_description concat concat_ws convert_from
    convert_to corr cos count crc32 cume_dist current_database current_query current_schema current_schemas
    current_setting currval date_bin date_part date_trunc daterange decode degrees dense_rank div encode enum_first
    enum_last enum_range erf every exp factorial first_value floor format format_type gcd gen_random_uuid
    generate_series get_byte has_column_privilege has_schema_privilege has_table_privilege hashtext host
    inet_client_addr initcap int4range int8range isempty isfinite json_agg json_array_elements json_array_length
    json_build_array json_build_object json_each json_each_text json_extract_path_text json_object json_object_agg
    json_object_keys json_populate_record json_strip_nulls json_to_record json_to_recordset json_typeof jsonb_agg
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
    jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first
    jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_to_record
    jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval lag last_value lastval lcm lead left
    length ln log lower lpad ltrim make_date make_interval make_time make_timestamp make_timestamptz masklen max md5
    min mod mode network nextval normalize now nth_value ntile num_nonnulls num_nulls numrange obj_description
    octet_length overlay parse_ident percent_rank percentile_cont percentile_disc phraseto_tsquery pi
    plainto_tsquery point position power quote_ident quote_literal quote_nullable radians random range_agg
    range_merge rank regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
    regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right round row_number
    row_to_json rpad rtrim scale set_config setseed setval setweight sha224 sha256 sha384 sha512 shobj_description
    sign sin split_part sqrt starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg
    string_to_array string_to_table strpos substr substring sum tan timeofday timezone to_char to_date to_hex
    to_json to_jsonb to_number to_regclass to_regnamespace to_regproc to_regtype to_timestamp to_tsquery to_tsvector
    transaction_timestamp translate trim_array trim_scale trunc ts_headline ts_rank tsrange tstzrange
    tsvector_to_array txid_current unistr unnest upper uuid_generate_v4 uuidv4 uuidv7 var_pop var_samp variance
    version websearch_to_tsquery width_bucket xmlagg
    """.split()  # noqa: SIM905 - a list of two hundred strings would be two hundred lines
)
# Of these statements the functions are called now, and not when what they make is used.
_CALLING = frozenset(
    (
        "CopyStmt",
        "CreateTableAsStmt",
        "DeleteStmt",
        "ExplainStmt",
        "InsertStmt",
        "MergeStmt",
        "SelectStmt",
        "UpdateStmt",
    )
)


def hidden_in(sql: str) -> str:
    """Why the statement may lock more than `locks_of` tells; empty where it does not.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    run = runs(sql)
    reasons = [reason for node in run.statements for reason in _reasons(node) if reason]
    return "; ".join(dict.fromkeys([run.untold, *reasons] if run.untold else reasons))


def _reasons(node: Any) -> Iterator[str]:
    name = kind(node)
    if name in SAID:
        yield SAID[name]
    elif name in TOLD:
        yield from TOLD[name](node)
    elif name in _CALLING:
        yield from _called(node)


def _called(node: Any) -> Iterator[str]:
    for below in every(node):
        match kind(below):
            case "ExecuteStmt":  # of CREATE TABLE … AS, and of EXPLAIN
                yield _PREPARED
            case "FuncCall":
                yield _unknown(below)


def _unknown(call: Any) -> str:
    parts = [part.sval for part in call.funcname]
    own = parts[0] == "pg_catalog" or (len(parts) == 1 and (parts[0] in HARMLESS or parts[0].startswith("pg_")))
    return "" if own else _call_of(parts)


def _call(node: Any) -> Iterator[str]:
    yield _call_of(part.sval for part in node.funccall.funcname)


def _call_of(parts: Iterable[str]) -> str:
    return f"calls {joined(parts)}(), whose statements are not looked at"


def _in_drop(node: Any) -> Iterator[str]:
    thing = node.removeType
    yield OF_DROPS.get(thing, "")
    if thing == "OBJECT_INDEX":
        mode = "SHARE UPDATE EXCLUSIVE" if node.concurrent else "ACCESS EXCLUSIVE"
        yield f"the table of the index is locked too ({mode})"
    if node.behavior == "DROP_CASCADE":
        yield _CASCADE


def _in_alter_table(node: Any) -> Iterator[str]:
    of_type, of_index = (node.objtype == one for one in ("OBJECT_TYPE", "OBJECT_INDEX"))
    for command in node.cmds:
        cascades = command.behavior == "DROP_CASCADE"
        if of_type:
            yield _OF_TYPE if cascades else ""
        elif not of_index:
            yield _in_part(command)
            yield _CASCADE if cascades else ""


def _in_part(command: Any) -> str:
    match command.subtype:
        case "AT_DetachPartition" if definition(command).concurrent:
            return _REFERRED  # it is refused where there is a default partition
        case "AT_AlterConstraint":
            return _FOREIGN_KEY if definition(command).alterEnforceability else ""
        case part:
            return OF_PARTS.get(part, "")


def _in_create(node: Any) -> Iterator[str]:
    if (node.base or node).partbound:
        yield _DEFAULT


def _in_domain(node: Any) -> Iterator[str]:
    skipped = node.subtype == "C" and definition(node).skip_validation
    if node.subtype in _DOMAIN_CHECKED and not skipped:
        yield f"every table with a column of {joined(p.sval for p in node.typeName)} is scanned under SHARE"
    if node.behavior == "DROP_CASCADE":
        yield _CASCADE


def _in_rename(node: Any) -> Iterator[str]:
    yield _OF_TYPE if node.behavior == "DROP_CASCADE" and node.renameType == "OBJECT_ATTRIBUTE" else ""


def _in_truncate(node: Any) -> Iterator[str]:
    if node.behavior == "DROP_CASCADE":
        yield "CASCADE truncates every table whose foreign keys refer to it (ACCESS EXCLUSIVE)"


def _in_reindex(node: Any) -> Iterator[str]:
    concurrently = switched_on(node.params, "concurrently")
    mode = "SHARE UPDATE EXCLUSIVE" if concurrently else "SHARE"
    match node.kind:
        case "REINDEX_OBJECT_INDEX":
            yield f"the table of the index is locked too ({mode})"
        case "REINDEX_OBJECT_SCHEMA" | "REINDEX_OBJECT_DATABASE" | "REINDEX_OBJECT_SYSTEM":
            yield f"every table of it is locked in turn ({mode})"


def _in_vacuum(node: Any) -> Iterator[str]:
    mode = "ACCESS EXCLUSIVE" if switched_on(node.options, "full") else "SHARE UPDATE EXCLUSIVE"
    yield "" if node.rels else f"every table is locked in turn ({mode})"


def _in_cluster(node: Any) -> Iterator[str]:
    yield ("" if node.relation else "every table that was clustered before is locked in turn (ACCESS EXCLUSIVE)")


SAID = {
    "AlterExtensionStmt": "runs the scripts of the extension",
    "AlterTableMoveAllStmt": "every table of the tablespace is copied (ACCESS EXCLUSIVE)",
    "DropOwnedStmt": "every table that the role owns is dropped (ACCESS EXCLUSIVE)",
    "ExecuteStmt": _PREPARED,
    "ReassignOwnedStmt": "every table that the role owns is locked (ACCESS EXCLUSIVE)",
}
TOLD: dict[str, Callable[[Any], Iterator[str]]] = {
    "AlterDomainStmt": _in_domain,
    "AlterTableStmt": _in_alter_table,
    "CallStmt": _call,
    "ClusterStmt": _in_cluster,
    "CreateForeignTableStmt": _in_create,
    "CreateStmt": _in_create,
    "DropStmt": _in_drop,
    "ReindexStmt": _in_reindex,
    "RenameStmt": _in_rename,
    "TruncateStmt": _in_truncate,
    "VacuumStmt": _in_vacuum,
}
