"""Correctness: statements that fail because an object is of another kind, such as DROP TABLE of a view."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.additions import additions
from sqlmigrate.lint.facts.certain import certain_kind, certain_table
from sqlmigrate.lint.facts.questions import is_instead
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.lint.schema.interpret.tables import new_name
from sqlmigrate.sql.tree import qualified, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Name

    Required = tuple[Name, tuple[str, ...], str]

_OF_OBJECT = {
    "OBJECT_TABLE": "table",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "materialized view",
    "OBJECT_FOREIGN_TABLE": "foreign table",
    "OBJECT_INDEX": "index",
    "OBJECT_SEQUENCE": "sequence",
}
# ALTER TABLE can rename and move any relation, and change the options of a view.
_STRICT = ("OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE")
_ALSO_OF = {"AT_ColumnDefault": ("view",), "AT_SetLogged": ("sequence",), "AT_SetUnLogged": ("sequence",)}
_OF_TABLE = (
    *("AT_AddColumn", "AT_DropColumn", "AT_AlterColumnType", "AT_SetNotNull", "AT_DropNotNull", "AT_AddConstraint"),
    *("AT_DropConstraint", "AT_ValidateConstraint", "AT_AddIdentity", "AT_EnableTrig", "AT_DisableTrig"),
    *("AT_AttachPartition", "AT_DetachPartition", "AT_EnableRowSecurity", *_ALSO_OF),
)
_WITH_KEYS = ("CreateStmt", "AT_AddColumn", "AT_AddConstraint")
_OF_TYPE = ("AlterEnumStmt", "AlterDomainStmt", "DropStmt")
_TABLES = ("table", "foreign table")


def _check_kind(case: Case) -> Iterator[Hit]:
    if case.statement.inner:
        return
    for name, kinds, action in chain(_required(case), _referenced(case) if case.kind in _WITH_KEYS else ()):
        kind = certain_kind(case.catalog, name)
        if kind and kind not in kinds:
            table = certain_table(case.catalog, name)
            yield Hit(
                f"{action} fails: {name[1]} is {'an' if kind == 'index' else 'a'} {kind}",
                by=decider(case, table.created if table else None),
            )
    if case.kind in _OF_TYPE:
        yield from _of_type(case)


def _required(case: Case) -> Iterator[Required]:  # noqa: C901, PLR0912  # one case for each kind of statement
    """Yields the relations that a statement names, each with the kinds that it accepts and the statement's name."""
    node = case.node
    match case.kind:
        case "DropStmt" if node["removeType"] in _OF_OBJECT:
            kind = _OF_OBJECT[node["removeType"]]
            yield from ((name, (kind,), f"DROP {kind.upper()}") for name in dropped_names(node))
        case "RenameStmt" if node["renameType"] in _STRICT and "relation" in node:
            kind = _OF_OBJECT[node["renameType"]]
            yield relation(node["relation"]), (kind,), f"ALTER {kind.upper()}"
        case "AlterObjectSchemaStmt" if node["objectType"] in _STRICT:
            kind = _OF_OBJECT[node["objectType"]]
            yield relation(node["relation"]), (kind,), f"ALTER {kind.upper()}"
        case "CommentStmt" if node.get("objtype") in _OF_OBJECT:
            kind = _OF_OBJECT[node["objtype"]]
            yield qualified(node["object"]["List"]["items"]), (kind,), f"COMMENT ON {kind.upper()}"
        case "IndexStmt":
            yield relation(node["relation"]), ("table", "materialized view"), "CREATE INDEX"
        case "TruncateStmt":
            yield from ((relation(item["RangeVar"]), _TABLES, "TRUNCATE") for item in node["relations"])
        case "RefreshMatViewStmt":
            yield relation(node["relation"]), ("materialized view",), "REFRESH MATERIALIZED VIEW"
        case "ViewStmt" if node.get("replace"):
            yield new_name(case.catalog, node["view"]), ("view",), "CREATE OR REPLACE VIEW"
        case "CreatePolicyStmt":
            yield relation(node["table"]), ("table",), "CREATE POLICY"
        case "CreateTrigStmt":
            yield from _of_trigger(case)
        case "CreateStmt":
            for parent in node.get("inhRelations", ()):
                yield relation(parent["RangeVar"]), _TABLES, "inheritance"
        case "InsertStmt" | "UpdateStmt" | "DeleteStmt":
            yield relation(node["relation"]), (*_TABLES, "view"), case.kind.removesuffix("Stmt").upper()
        case kind if kind in _OF_TABLE and case.statement.body.get("objtype") == "OBJECT_TABLE":
            yield case.name, (*_TABLES, *_ALSO_OF.get(kind, ())), "this subcommand of ALTER TABLE"


def _referenced(case: Case) -> Iterator[Required]:
    for kind, body, _ in additions(case):
        if kind == "CONSTR_FOREIGN" and relation(body["pktable"]) != relation(case.statement.body["relation"]):
            yield relation(body["pktable"]), ("table",), "the foreign key"


def _of_trigger(case: Case) -> Iterator[Required]:
    name, rows = relation(case.node["relation"]), case.node.get("row", False)
    if is_instead(case.node):
        yield name, ("view",), "CREATE TRIGGER … INSTEAD OF"
    else:
        yield name, _TABLES if rows else (*_TABLES, "view"), "CREATE TRIGGER"


def _of_type(case: Case) -> Iterator[Hit]:
    """Yields a hit for a type that is no enum or no domain."""
    kinds = {"AlterEnumStmt": ("enum", "ALTER TYPE … ADD VALUE"), "AlterDomainStmt": ("domain", "ALTER DOMAIN")}
    names = [qualified(case.node["typeName"])] if case.kind in kinds else []
    kind, action = kinds.get(case.kind, ("domain", "DROP DOMAIN"))
    if case.kind == "DropStmt" and case.node["removeType"] == "OBJECT_DOMAIN":
        names = dropped_names(case.node)
    for name in names:
        type_ = case.catalog.types.get(case.catalog.resolve(name, case.catalog.types))
        known = type_ is not None and type_.created is not None and not case.catalog.uncertain
        if type_ is not None and known and type_.kind != kind and name[1] not in case.catalog.uncertain_names:
            yield Hit(f"{action} fails: {name[1]} is not a {kind}", by=decider(case, type_.created))


_T = "create table t (a int); "
_V = _T + "create view v as select a from t; "
_F = "create function f() returns trigger language plpgsql as 'begin return new; end'; "

WRONG_KIND = Rule(
    name="wrong-object-kind",
    level=Level.ERROR,
    on=(
        *("DropStmt", "RenameStmt", "AlterObjectSchemaStmt", "CommentStmt", "IndexStmt", "TruncateStmt", "ViewStmt"),
        *("RefreshMatViewStmt", "CreatePolicyStmt", "CreateTrigStmt", "CreateStmt", "AlterEnumStmt"),
        *("AlterDomainStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", *_OF_TABLE),
    ),
    stake="The statement fails: it does not apply to this kind of object. IF EXISTS does not help.",
    safe="drop view v;",
    check=_check_kind,
    examples=(
        bad("drop table v;", _V),
        bad("drop table if exists v;", _V),
        bad("drop view t;", _T),
        bad("drop view m;", _T + "create materialized view m as select a from t;"),
        bad("alter view t rename to u;", _T),
        bad("alter table v add column b int;", _V),
        bad("create index i on v (a);", _V),
        bad("refresh materialized view v;", _V),
        bad("create or replace view t as select 1 as a;", _T),
        bad("create trigger g before insert on v for each row execute function f();", _V + _F),
        bad("create trigger g instead of insert on t for each row execute function f();", _T + _F),
        bad("create table q partition of v default;", _V),
        bad("create table u (a int references v (a));", _V),
        bad("drop domain mood;", "create type mood as enum ('ok');"),
        good("drop view v;", _V),
        good("alter table v rename to w;", _V),
        good("alter table v alter a set default 1;", _V),
        good("create trigger g instead of insert on v for each row execute function f();", _V + _F),
        good("drop table v;"),
        good("drop type d;", "create domain d as text;"),
        good("drop table v;", _V + "drop view v; create table v (a int);"),
        good("do $$ begin if false then drop table v; end if; end $$;", _V),
        good("drop table v;", _V + "do $$ begin execute format('drop view %I', 'v'); end $$;"),
    ),
)

RULES = (WRONG_KIND,)
