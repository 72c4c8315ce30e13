"""Correctness: statements that fail because of the version of PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Example, Hit, Rule, good
from sqlmigrate.lint.schema.interpret.definitions import column_constraints, generated_kind
from sqlmigrate.sql.tree import options, qualified, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.sql.parser import Node

_NEWEST = 18
_NEW_FUNCTIONS = {"uuidv7": 18, "uuidv4": 18}
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
    for since, what in _features(case):
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
    own = [id(body) for definition in definitions for body in column_constraints(definition)]
    for kind, body in walk(node):
        if kind == "FuncCall" and (name := qualified(body.get("funcname", ()))[1]) in _NEW_FUNCTIONS:
            yield _NEW_FUNCTIONS[name], f"{name}()"
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
        _on(16, "grant maintain on t to r;", bad=True),
        _on(14, "create publication p for tables in schema s;", bad=True),
        good("alter table t add column b int generated always as (a * 2) virtual;"),
    ),
)

RULES = (NEWER,)
