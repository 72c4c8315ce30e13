"""Correctness: statements that fail because of the version of PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.versions import in_expressions, in_statement
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Example, Hit, Rule, good
from sqlmigrate.lint.schema.interpret.definitions import column_constraints, generated_kind
from sqlmigrate.sql.tree import options, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.sql.parser import Node

_NEWEST = 18
_RETURNING = (18, "RETURNING WITH", lambda node: node.get("returningClause", {}).get("options"))
# By the kind of the statement: the version, the feature, and whether the statement uses it.
_OTHERS: dict[str, tuple[tuple[int, str, Callable[[Node], object]], ...]] = {
    "AT_SetExpression": ((17, "SET EXPRESSION", lambda _: True),),
    "AT_SetAccessMethod": ((15, "SET ACCESS METHOD", lambda _: True),),
    "AT_AlterConstraint": (
        (18, "ENFORCED in ALTER CONSTRAINT", lambda node: node["def"]["ATAlterConstraint"].get("alterEnforceability")),
    ),
    "IndexStmt": ((15, "NULLS NOT DISTINCT", lambda node: node.get("nulls_not_distinct")),),
    "ViewStmt": ((15, "security_invoker", lambda node: "security_invoker" in options(node.get("options", ()))),),
    "CopyStmt": (
        (16, "COPY with DEFAULT", lambda node: "default" in options(node.get("options", ()))),
        (17, "COPY with ON_ERROR", lambda node: "on_error" in options(node.get("options", ()))),
        (18, "COPY with REJECT_LIMIT", lambda node: "reject_limit" in options(node.get("options", ()))),
    ),
    "VacuumStmt": (
        (
            18,
            "ONLY in VACUUM and ANALYZE",
            lambda node: any(
                not item["VacuumRelation"].get("relation", {"inh": True}).get("inh") for item in node.get("rels", ())
            ),
        ),
    ),
    "InsertStmt": (_RETURNING,),
    "UpdateStmt": (_RETURNING,),
    "DeleteStmt": (_RETURNING,),
}


def _on(version: int, sql: str, *, bad: bool = False) -> Example:
    return Example(sql, bad=bad, postgres=version)


def _check_version(case: Case) -> Iterator[Hit]:
    if case.postgres >= _NEWEST:
        return
    features = (*_features(case), *in_statement(case), *in_expressions(case))
    for since, what in dict.fromkeys(features):
        if since > case.postgres:
            yield Hit(f"{what} requires PostgreSQL {since}, so the statement fails on {case.postgres}")


def _features(case: Case) -> Iterator[tuple[int, str]]:
    """Yields the features that a statement uses, each with the version of PostgreSQL that introduced it."""
    node = case.node
    match case.kind:
        case "CreateStmt" | "AT_AddColumn" | "AT_AddConstraint" | "AT_ColumnDefault":
            yield from _of_definitions(node)
            if case.table is not None and case.table.kind == "partitioned" and _is_left_unvalidated(node):
                yield 18, "a NOT VALID foreign key on a partitioned table"
        case "MergeStmt":
            yield from _of_merge(node)
        case "CreatePublicationStmt" | "AlterPublicationStmt":
            yield from _of_publication(node)
        case "GrantStmt" | "GrantRoleStmt":
            yield from _of_grant(node)
        case "AlterDefaultPrivilegesStmt":
            yield from _of_grant(node["action"])
        case kind:
            yield from ((since, what) for since, what, is_used in _OTHERS.get(kind, ()) if is_used(node))


def _is_left_unvalidated(node: Node) -> bool:
    body = node.get("def", {}).get("Constraint", {})
    return body.get("contype") == "CONSTR_FOREIGN" and bool(body.get("skip_validation"))


def _of_merge(node: Node) -> Iterator[tuple[int, str]]:
    yield 15, "MERGE"
    if node.get("returningClause"):
        yield 17, "MERGE with RETURNING"
    if any(clause["MergeWhenClause"]["matchKind"].endswith("BY_SOURCE") for clause in node.get("mergeWhenClauses", ())):
        yield 17, "WHEN NOT MATCHED BY SOURCE"


def _of_publication(node: Node) -> Iterator[tuple[int, str]]:
    for item in node.get("pubobjects", ()):
        spec = item["PublicationObjSpec"]
        if "SCHEMA" in spec["pubobjtype"]:
            yield 15, "a publication of a schema"
        if not spec.get("pubtable", {}).keys().isdisjoint({"whereClause", "columns"}):
            yield 15, "a publication of some columns or rows"


def _of_grant(node: Node) -> Iterator[tuple[int, str]]:
    if "maintain" in (item["AccessPriv"].get("priv_name") for item in node.get("privileges", ())):
        yield 17, "the privilege MAINTAIN"
    if node.get("objtype") == "OBJECT_PARAMETER_ACL":
        yield 15, "a privilege on a parameter"
    if not options(node.get("opt", ())).keys().isdisjoint({"inherit", "set"}):
        yield 16, "the INHERIT or SET option of a role"


def _of_definitions(node: Node) -> Iterator[tuple[int, str]]:
    definitions = (
        item["ColumnDef"] for item in (*node.get("tableElts", ()), node.get("def", {})) if "ColumnDef" in item
    )
    own = {id(body) for definition in definitions for body in column_constraints(definition)}
    for kind, body in walk(node):
        if kind == "ColumnDef" and body.get("storage_name"):
            yield 16, "STORAGE in a column definition"
        if kind == "Constraint":
            yield from _of_constraint(body)
            if body["contype"] == "CONSTR_NOTNULL" and id(body) not in own:
                yield 18, "NOT NULL as a table constraint"


def _of_constraint(body: Node) -> Iterator[tuple[int, str]]:
    kind = body["contype"]
    if body.get("nulls_not_distinct"):
        yield 15, "NULLS NOT DISTINCT"
    if body.get("fk_del_set_cols"):
        yield 15, "ON DELETE SET with columns"
    if body.get("without_overlaps") or body.get("fk_with_period"):
        yield 18, "WITHOUT OVERLAPS or PERIOD"
    if kind == "CONSTR_GENERATED" and generated_kind(body) == "virtual":
        yield 18, "a virtual generated column"
    if kind.endswith("_ENFORCED") or (kind in ("CONSTR_CHECK", "CONSTR_FOREIGN") and not body.get("is_enforced")):
        yield 18, "NOT ENFORCED"


NEWER = Rule(
    name="needs-newer-postgres",
    level=Level.ERROR,
    on=(
        "MergeStmt",
        "CreatePublicationStmt",
        "AlterPublicationStmt",
        "GrantStmt",
        "GrantRoleStmt",
        "AlterDefaultPrivilegesStmt",
        "CopyStmt",
        "VacuumStmt",
        "InsertStmt",
        "UpdateStmt",
        "DeleteStmt",
        "AT_AlterConstraint",
        "AT_SetExpression",
        "AT_SetAccessMethod",
        "IndexStmt",
        "ViewStmt",
        "CreateStmt",
        "AT_AddColumn",
        "AT_AddConstraint",
        "AT_ColumnDefault",
        *("SelectStmt", "CreateTableAsStmt", "VariableSetStmt", "CreateSeqStmt", "AT_SetLogged", "AT_SetUnLogged"),
        *("AT_SetStorage", "AT_SetStatistics", "CreateStatsStmt", "ClusterStmt", "AlterDomainStmt", "CreateDomainStmt"),
        *("AT_DropConstraint", "RenameStmt", "CreatePolicyStmt", "AT_AlterColumnType", "CreateTrigStmt"),
    ),
    stake="The statement fails on the PostgreSQL version in the configuration, which does not have the feature.",
    safe="alter table t add column b int generated always as (a * 2) stored; -- before PostgreSQL 18",
    check=_check_version,
    examples=(
        _on(17, "alter table t add column b int generated always as (a * 2) virtual;", bad=True),
        _on(17, "create table t (a int, b int generated always as (a * 2));", bad=True),
        _on(17, "alter table t add constraint n not null a not valid;", bad=True),
        _on(16, "alter table t add constraint c check (a > 0) not enforced;", bad=True),
        _on(17, "create table t (id uuid primary key default uuidv7());", bad=True),
        _on(14, "create unique index concurrently i on t (a) nulls not distinct;", bad=True),
        _on(14, "merge into t using u on t.a = u.a when matched then delete;", bad=True),
        _on(
            17,
            "create table p (a int) partition by list (a); alter table p add foreign key (a) references r not valid;",
            bad=True,
        ),
        _on(17, "create table p (a int); alter table p add foreign key (a) references r not valid;"),
        _on(15, "create view v with (security_invoker = true) as select 1 as a;"),
        _on(17, "create table t (a int not null check (a > 0), b int generated always as (a * 2) stored);"),
        _on(15, "merge into t using u on t.a = u.a when matched then delete;"),
        _on(17, "alter table t add constraint c check (a > 0) not valid;"),
        _on(15, "create view v as select a from (select 1 as a);", bad=True),
        _on(15, "create table t (a text check (a is json));", bad=True),
        _on(16, "select json_value(a, '$.b') from t;", bad=True),
        _on(16, "alter table p set access method heap;"),
        _on(17, "update t set a = 1 where b = 2 returning old.a;", bad=True),
        _on(17, "create table t (a int not null); alter table t drop constraint t_a_not_null;", bad=True),
        _on(17, "set transaction_timeout = '5s';"),
        _on(16, "set transaction_timeout = '5s';", bad=True),
        _on(16, "create function any_value(a int) returns int language sql as 'select a'; select any_value(1);"),
        _on(16, "grant maintain on t to r;", bad=True),
        _on(14, "create publication p for tables in schema s;", bad=True),
        good("alter table t add column b int generated always as (a * 2) virtual;"),
    ),
)


def _check_older(case: Case) -> Iterator[Hit]:
    if case.postgres >= _NEWEST and (what := _refused(case)):
        yield Hit(f"{what} fails on PostgreSQL {_NEWEST} and newer; PostgreSQL {_NEWEST - 1} accepts it")


def _refused(case: Case) -> str:
    """Names what PostgreSQL 18 refuses in a statement; empty for other statements."""
    node, table = case.node, case.table
    match case.kind:
        case "CreateStmt" if "partspec" in node and node["relation"].get("relpersistence") == "u":
            return "an unlogged partitioned table"
        case "AT_SetLogged" | "AT_SetUnLogged" if table is not None and table.kind == "partitioned":
            return "SET LOGGED or UNLOGGED of a partitioned table"
        case "AT_DropNotNull" if table is not None and table.parents and not table.bound:
            parents = [case.catalog.tables[name] for name in table.parents if name in case.catalog.tables]
            columns = [parent.columns.get(node.get("name", "")) for parent in parents if parent.created]
            return (
                "DROP NOT NULL of an inherited column" if any(column and column.not_null for column in columns) else ""
            )
    return ""


_INHERITED = "create table p (a int not null); create table q () inherits (p);"

OLDER = Rule(
    name="needs-older-postgres",
    level=Level.ERROR,
    on=("CreateStmt", "AT_SetLogged", "AT_SetUnLogged", "AT_DropNotNull"),
    stake="The statement fails on the PostgreSQL version in the configuration; only older versions accept it.",
    safe="create table p (a int) partition by list (a);\ncreate unlogged table q partition of p default;",
    check=_check_older,
    examples=(
        _on(18, "create unlogged table p (a int) partition by list (a);", bad=True),
        _on(18, "create table p (a int) partition by list (a); alter table p set unlogged;", bad=True),
        Example("alter table q alter a drop not null;", _INHERITED, bad=True),
        _on(17, "create unlogged table p (a int) partition by list (a);"),
        good("create unlogged table t (a int);"),
        good("alter table p alter a drop not null;", _INHERITED),
        good("alter table t set unlogged;"),
    ),
)

RULES = (NEWER, OLDER)
