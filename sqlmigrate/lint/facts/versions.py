"""What PostgreSQL's major versions do not have yet: functions, expressions, settings and clauses. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.sql.tree import constant, options, qualified, relation, strings, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.lint.rule import Case
    from sqlmigrate.sql.parser import Node

    Feature = tuple[int, str]

FUNCTIONS = {
    **dict.fromkeys(("regexp_count", "regexp_instr", "regexp_like", "regexp_substr"), 15),
    **dict.fromkeys(("any_value", "array_sample", "array_shuffle", "date_add", "date_subtract", "erf", "erfc"), 16),
    **dict.fromkeys(("pg_input_error_info", "pg_input_is_valid", "random_normal", "system_user"), 16),
    **dict.fromkeys(("to_bin", "unicode_assigned", "unicode_version", "icu_unicode_version", "to_regtypemod"), 17),
    **dict.fromkeys(("uuid_extract_timestamp", "uuid_extract_version", "xmltext"), 17),
    **dict.fromkeys(("array_reverse", "array_sort", "casefold", "crc32", "crc32c", "gamma", "lgamma"), 18),
    **dict.fromkeys(("uuidv4", "uuidv7"), 18),
}
_SETTINGS = {
    **dict.fromkeys(("recursive_worktable_factor", "stats_fetch_consistency"), 15),
    **dict.fromkeys(("createrole_self_grant", "enable_presorted_aggregate", "vacuum_buffer_usage_limit"), 16),
    **dict.fromkeys(("enable_group_by_reordering", "event_triggers", "io_combine_limit", "transaction_timeout"), 17),
    **dict.fromkeys(("enable_distinct_reordering", "enable_self_join_elimination", "vacuum_truncate"), 18),
}
_NODES = {
    **dict.fromkeys(("JsonObjectConstructor", "JsonArrayConstructor", "JsonArrayQueryConstructor"), 16),
    **dict.fromkeys(("JsonObjectAgg", "JsonArrayAgg", "JsonIsPredicate"), 16),
    **dict.fromkeys(("JsonParseExpr", "JsonScalarExpr", "JsonSerializeExpr", "JsonFuncExpr", "JsonTable"), 17),
}
_NAMES = {
    "JsonObjectConstructor": "JSON_OBJECT",
    "JsonArrayConstructor": "JSON_ARRAY",
    "JsonArrayQueryConstructor": "JSON_ARRAY",
    "JsonObjectAgg": "JSON_OBJECTAGG",
    "JsonArrayAgg": "JSON_ARRAYAGG",
    "JsonIsPredicate": "IS JSON",
    "JsonParseExpr": "JSON()",
    "JsonScalarExpr": "JSON_SCALAR",
    "JsonSerializeExpr": "JSON_SERIALIZE",
    "JsonTable": "JSON_TABLE",
}
_VACUUM = {"buffer_usage_limit": 16, "skip_database_stats": 16, "only_database_stats": 16}


def in_expressions(case: Case) -> Iterator[Feature]:
    """Yields the functions and kinds of expression that a statement uses, each with its first version."""
    for kind, body in walk(case.node):
        if kind in _NODES:
            name = _NAMES.get(kind) or str(body.get("op", "")).removesuffix("_OP")
            yield _NODES[kind], name
        elif kind == "FuncCall":
            yield from _of_call(case, body)
        elif kind == "RangeSubselect" and "alias" not in body:
            yield 16, "a subquery in FROM without an alias"
        elif kind in ("TypeName", "typeName"):
            yield from _of_type(body)
    yield from _of_returning(case)


def _of_call(case: Case, body: Node) -> Iterator[Feature]:
    name, arguments = qualified(body.get("funcname", ())), body.get("args", ())
    if name[0] not in ("", "pg_catalog") or (not name[0] and case.catalog.function(name) is not None):
        return
    if name[1] in FUNCTIONS:
        yield FUNCTIONS[name[1]], f"{name[1]}()"
    elif name[1] == "random" and len(arguments) == 2:
        yield 17, "random() with limits"
    elif name[1] == "date_trunc" and len(arguments) == 3 and case.kind == "IndexStmt":
        yield 16, "date_trunc() with a time zone in an index"
    elif name[1] == "timezone" and len(arguments) == 1 and name[0]:
        yield 17, "AT LOCAL"


def _of_type(body: Node) -> Iterator[Feature]:
    limits = [constant(modifier) for modifier in body.get("typmods", ())]
    if strings(body.get("names", ()))[-1:] == ["numeric"] and len(limits) == 2 and not 0 <= limits[1] <= limits[0]:
        yield 15, "numeric with a negative scale, or a scale above the precision"


def _of_returning(case: Case) -> Iterator[Feature]:
    clause = case.node.get("returningClause")
    if not clause:
        return
    aliases = {body.get("alias", {}).get("aliasname", body.get("relname")) for _, body in walk(case.node)}
    for kind, body in walk(clause):
        parts = strings(body.get("fields", ())) if kind == "ColumnRef" else []
        if parts[:1] in (["old"], ["new"]) and len(body["fields"]) == 2 and parts[0] not in aliases:
            yield 18, f"{parts[0].upper()} in RETURNING"


def in_statement(case: Case) -> Iterator[Feature]:  # noqa: C901, PLR0912  # one case for each kind of statement
    """Yields the clauses and settings that a statement uses, each with its first version."""
    node = case.node
    partitioned = case.table is not None and case.table.kind == "partitioned"
    match case.kind:
        case "VariableSetStmt" if node.get("name", "").lower() in _SETTINGS and node.get("kind") != "VAR_RESET":
            yield _SETTINGS[node["name"].lower()], f"the setting {node['name'].lower()}"
        case "VacuumStmt":
            yield from (
                (since, name.upper()) for name, since in _VACUUM.items() if name in options(node.get("options", ()))
            )
        case "CreateSeqStmt" if node["sequence"].get("relpersistence") == "u":
            yield 15, "an unlogged sequence"
        case "AT_SetLogged" | "AT_SetUnLogged" if case.statement.body.get("objtype") == "OBJECT_SEQUENCE":
            yield 15, "SET LOGGED or UNLOGGED of a sequence"
        case "AT_SetStorage" if strings([node.get("def", {})])[:1] == ["default"]:
            yield 16, "SET STORAGE DEFAULT"
        case "AT_SetStatistics" if "def" not in node:
            yield 17, "SET STATISTICS DEFAULT"
        case "CreateStatsStmt" if "defnames" not in node:
            yield 16, "CREATE STATISTICS without a name"
        case "ClusterStmt" if "relation" in node and partitioned:
            yield 15, "CLUSTER of a partitioned table"
        case "AT_SetAccessMethod" if partitioned:
            yield 17, "SET ACCESS METHOD of a partitioned table"
        case "AlterDomainStmt" if node.get("def", {}).get("Constraint", {}).get("contype") == "CONSTR_NOTNULL":
            yield 17, "a named NOT NULL constraint of a domain"
        case "CopyStmt" if not node.get("is_from") and _copies_matview(case):
            yield 18, "COPY TO of a materialized view"
        case "AT_DropConstraint" | "RenameStmt":
            yield from _of_not_null(case)
        case "CreateStmt" | "AT_AddConstraint":
            yield from _of_exclusion(case, node.get("tableElts", (node.get("def", {}),)), partitioned=partitioned)


def _copies_matview(case: Case) -> bool:
    table = case.catalog.table(relation(case.node.get("relation", {})))
    return table is not None and table.kind == "matview"


def _of_not_null(case: Case) -> Iterator[Feature]:
    """Yields the constraint's name if it is that of an unnamed NOT NULL, which has no name before PostgreSQL 18."""
    is_other = case.kind == "RenameStmt" and case.node["renameType"] != "OBJECT_TABCONSTRAINT"
    name, table = case.node.get("subname") or case.node.get("name", ""), case.table
    if is_other or case.node.get("missing_ok") or table is None or table.created is None or table.constraint(name):
        return
    if any(column.not_null and f"{table.name[1]}_{column.name}_not_null" == name for column in table.columns.values()):
        yield 18, f"{name}, the name of a NOT NULL constraint,"


def _of_exclusion(case: Case, elements: Sequence[Node], *, partitioned: bool) -> Iterator[Feature]:
    kinds = [element.get("Constraint", {}).get("contype") for element in elements]
    if "CONSTR_EXCLUSION" in kinds and (partitioned or "partspec" in case.node):
        yield 17, "an exclusion constraint on a partitioned table"
