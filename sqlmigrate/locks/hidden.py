"""The reasons why the text of a statement does not show all of its locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.locks.expansion import expand, is_option_on, joined
from sqlmigrate.sql.tree import bodies, definition, strings, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlmigrate.sql.parser import Node

_FOREIGN_KEY = "if a foreign key is involved, its other table is locked too (ACCESS EXCLUSIVE)"
_REFERENCED = "the tables that its foreign keys reference are locked too (SHARE ROW EXCLUSIVE)"
_DEFAULT = f"a default partition is locked (ACCESS EXCLUSIVE) and may be scanned; {_REFERENCED}"
_CASCADE = "CASCADE drops and locks the dependent objects too"
_OF_TYPE = "CASCADE alters the tables of the type (ACCESS EXCLUSIVE)"
_PREPARED = "runs a prepared statement, whose text is not analysed"
# The unnamed locks of ALTER TABLE's subcommands.
OF_SUBCOMMANDS = {
    "AT_AlterColumnType": _FOREIGN_KEY,
    "AT_AttachPartition": _DEFAULT,
    "AT_DetachPartition": _DEFAULT,
    "AT_DetachPartitionFinalize": _REFERENCED,
    "AT_DropColumn": _FOREIGN_KEY,
    "AT_DropConstraint": _FOREIGN_KEY,
}
OF_DROPS = {
    "OBJECT_EXTENSION": "drops the tables that belong to the extension",
    "OBJECT_STATISTIC_EXT": "the table of the statistics is locked too (SHARE UPDATE EXCLUSIVE)",
    "OBJECT_TABLE": "the tables that its foreign keys reference, and its partitioned table, are locked too"
    " (ACCESS EXCLUSIVE)",
}
# AlterDomainStmt's letters for ADD CONSTRAINT, SET NOT NULL and VALIDATE CONSTRAINT.
_CHECKS_DOMAIN = ("C", "O", "V")
# Functions of PostgreSQL that migrations call and that lock no table. Any other function may run any statement. The
# functions behind SQL syntax, such as EXTRACT, come with their schema and are not listed.
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
    """.split()  # noqa: SIM905  # a list of two hundred strings would take two hundred lines
)
# These statements call the functions in them at once, and not when a created object is used.
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
    """Returns why a statement may take locks that `locks_of` does not return; an empty text where it cannot.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    expansion = expand(sql)
    reasons = (reason for kind, node in expansion.statements for reason in _reasons(kind, node))
    return "; ".join(dict.fromkeys(filter(None, (expansion.unread, *reasons))))


def _reasons(kind: str, node: Node) -> Iterator[str]:
    if kind in ALWAYS:
        yield ALWAYS[kind]
    elif kind in DEPENDING:
        yield from DEPENDING[kind](node)
    elif kind in _CALLING:
        yield from called_in(node)


def called_in(node: Node) -> Iterator[str]:
    """Yields why the functions that an expression or a statement calls may lock more."""
    for kind, body in walk(node):
        match kind:
            case "ExecuteStmt":  # in CREATE TABLE … AS, and in EXPLAIN
                yield _PREPARED
            case "FuncCall":
                yield _unknown(strings(body["funcname"]))


def _unknown(parts: list[str]) -> str:
    is_harmless = len(parts) == 1 and (parts[0] in HARMLESS or parts[0].startswith("pg_"))
    return "" if is_harmless or parts[0] == "pg_catalog" else _call_of(parts)


def _call(node: Node) -> Iterator[str]:
    yield _call_of(strings(node["funccall"]["funcname"]))


def _call_of(parts: Sequence[str]) -> str:
    return f"calls {joined(parts)}(), whose statements are not analysed"


def _cascade(node: Node, reason: str = _CASCADE) -> str:
    return reason if node.get("behavior") == "DROP_CASCADE" else ""


def _in_drop(node: Node) -> Iterator[str]:
    object_type = node["removeType"]
    yield OF_DROPS.get(object_type, "")
    if object_type == "OBJECT_INDEX":
        mode = "SHARE UPDATE EXCLUSIVE" if node.get("concurrent") else "ACCESS EXCLUSIVE"
        yield f"the table of the index is locked too ({mode})"
    yield _cascade(node)


def _in_alter_table(node: Node) -> Iterator[str]:
    for command in bodies(node, "cmds"):
        match node["objtype"]:
            case "OBJECT_TYPE":
                yield _cascade(command, _OF_TYPE)
            case "OBJECT_INDEX":
                pass
            case _:
                yield _in_subcommand(command)
                yield _cascade(command)


def _in_subcommand(command: Node) -> str:
    match command["subtype"]:
        case "AT_DetachPartition" if definition(command).get("concurrent"):
            return _REFERENCED  # PostgreSQL refuses it where a default partition exists
        case "AT_AlterConstraint":
            return _FOREIGN_KEY if definition(command).get("alterEnforceability") else ""
        case subtype:
            return OF_SUBCOMMANDS.get(subtype, "")


def _in_create(node: Node) -> Iterator[str]:
    if "partbound" in node.get("base", node):
        yield _DEFAULT


def _in_domain(node: Node) -> Iterator[str]:
    is_skipped = node["subtype"] == "C" and definition(node).get("skip_validation")
    if node["subtype"] in _CHECKS_DOMAIN and not is_skipped:
        yield f"every table with a column of {joined(strings(node['typeName']))} is scanned under SHARE"
    yield _cascade(node)


def _in_rename(node: Node) -> Iterator[str]:
    yield _cascade(node, _OF_TYPE) if node["renameType"] == "OBJECT_ATTRIBUTE" else ""


def _in_truncate(node: Node) -> Iterator[str]:
    yield _cascade(node, "CASCADE truncates every table whose foreign keys reference it (ACCESS EXCLUSIVE)")


def _in_reindex(node: Node) -> Iterator[str]:
    concurrently = is_option_on(node, "params", "concurrently")
    mode = "SHARE UPDATE EXCLUSIVE" if concurrently else "SHARE"
    match node["kind"]:
        case "REINDEX_OBJECT_INDEX":
            yield f"the table of the index is locked too ({mode})"
        case "REINDEX_OBJECT_SCHEMA" | "REINDEX_OBJECT_DATABASE" | "REINDEX_OBJECT_SYSTEM":
            yield f"every table in it is locked in turn ({mode})"


def _in_vacuum(node: Node) -> Iterator[str]:
    full = is_option_on(node, "options", "full")
    mode = "ACCESS EXCLUSIVE" if full else "SHARE UPDATE EXCLUSIVE"
    yield "" if "rels" in node else f"every table is locked in turn ({mode})"


def _in_cluster(node: Node) -> Iterator[str]:
    yield "" if "relation" in node else "every table that was clustered before is locked in turn (ACCESS EXCLUSIVE)"


ALWAYS = {
    "AlterExtensionStmt": "runs the scripts of the extension",
    "AlterTableMoveAllStmt": "every table of the tablespace is copied (ACCESS EXCLUSIVE)",
    "DropOwnedStmt": "every table that the role owns is dropped (ACCESS EXCLUSIVE)",
    "ExecuteStmt": _PREPARED,
    "ReassignOwnedStmt": "every table that the role owns is locked (ACCESS EXCLUSIVE)",
}
DEPENDING: dict[str, Callable[[Node], Iterator[str]]] = {
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
