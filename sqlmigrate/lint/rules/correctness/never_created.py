"""Correctness: names that no file creates, where the files create the whole schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.existence import function_never_created, never_created, similar, type_never_created
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Example, Hit, Rule
from sqlmigrate.lint.rules.correctness.unknown import QUERIES, named
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.sql.tree import bodies, qualified, relation, walk

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Name

_COMMENTED = ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW")


def _check_names(case: Case) -> Iterator[Hit]:
    catalog = case.catalog
    if not catalog.complete or case.statement.inner or case.node.get("missing_ok"):
        return
    new = {relation(case.node["relation"])} if case.kind == "CreateStmt" else set()
    types = dict.fromkeys(_types(case))
    for name in dict.fromkeys((*named(case), *_others(case))):
        if name not in new and name not in types and name not in catalog.dropped and never_created(catalog, name):
            yield _unknown(catalog, name, catalog.tables)
    for name in types:
        if type_never_created(catalog, name):
            yield _unknown(catalog, name, catalog.types, "type ")
    if case.kind == "CreateTrigStmt" and function_never_created(catalog, name := qualified(case.node["funcname"])):
        yield _unknown(catalog, name, catalog.functions, "function ")


def _unknown(catalog: Catalog, name: Name, objects: Container[Name], kind: str = "") -> Hit:
    close = similar(catalog, name, objects)
    meant = f"; did you mean {close}?" if close else ""
    return Hit(f"{kind}{name[1]} does not exist: no file creates it{meant}", by=Decider.EARLIER)


def _types(case: Case) -> Iterator[Name]:
    """Yields the types that a statement requires, without the table that CREATE TABLE creates."""
    node = case.node
    match case.kind:
        case "CreateStmt" | "AlterTableStmt":
            for kind, body in walk([node.get("tableElts", ()), node.get("cmds", ())]):
                if kind == "typeName" and "names" in body:
                    yield qualified(body["names"])
        case "AlterEnumStmt" | "AlterDomainStmt":
            yield qualified(node["typeName"])
        case "DropStmt" if node["removeType"] in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
            yield from dropped_names(node)


def _others(case: Case) -> Iterator[Name]:
    """Yields the relations in statements that `unknown-relation` does not check."""
    node = case.node
    match case.kind:
        case "GrantStmt" if node.get("objtype") == "OBJECT_TABLE" and node.get("targtype") == "ACL_TARGET_OBJECT":
            yield from map(relation, bodies(node, "objects"))
        case "CommentStmt" if node.get("objtype") in _COMMENTED:
            yield qualified(node["object"]["List"]["items"])
        case "CreatePolicyStmt":
            yield relation(node["table"])


def _complete(sql: str, earlier: str = "", *, bad: bool = False) -> Example:
    return Example(sql, earlier, bad=bad, complete=True)


_T = "create table t (a int); create type mood as enum ('ok');"

NEVER_CREATED = Rule(
    name="never-created",
    level=Level.ERROR,
    on=(
        *("DropStmt", "CreateStmt", "AlterTableStmt", "TruncateStmt", "IndexStmt", "CreateTrigStmt", "GrantStmt"),
        *("RefreshMatViewStmt", "RenameStmt", "AlterEnumStmt", "AlterDomainStmt", "CommentStmt", "CreatePolicyStmt"),
        *QUERIES,
    ),
    stake='The statement fails: no file creates the name. Only with `history = "complete"`, which says that the files '
    "create the whole schema.",
    safe="drop table if exists t_old;",
    check=_check_names,
    examples=(
        _complete("alter table tt add column b int;", _T, bad=True),
        _complete("drop table u;", _T, bad=True),
        _complete("create table v (a int references u);", _T, bad=True),
        _complete("create index i on u (a);", _T, bad=True),
        _complete("insert into u values (1);", _T, bad=True),
        _complete("select * from u;", _T, bad=True),
        _complete("alter table t add column m moood;", _T, bad=True),
        _complete("grant select on u to r;", _T, bad=True),
        _complete("comment on table u is 'x';", _T, bad=True),
        _complete("create trigger g before insert on t for each row execute function f();", _T, bad=True),
        _complete("alter table t add column b int; alter table t add column m mood;", _T),
        _complete("drop table if exists u;", _T),
        _complete("select * from auth.users; select * from pg_class;", _T),
        _complete("create table u (a int); insert into u values (1);", _T),
        _complete("alter table t add column g geometry;", _T + "create extension postgis;"),
        _complete("select * from spatial_ref_sys;", "create extension postgis;"),
        _complete("select * from u;", _T + "do $$ begin execute format('create table %I (a int)', 'u'); end $$;"),
        Example("alter table u add column b int;", _T),
    ),
)

RULES = (NEVER_CREATED,)
