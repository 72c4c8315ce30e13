"""Breaks clients or loses data: objects that are dropped while running applications still use them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.usage import (
    column_in_use,
    creation,
    decider,
    object_in_use,
    relation_decider,
    relation_in_use,
    table_column,
)
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.rules.clients import replaced
from sqlmigrate.lint.rules.clients.origin import at_end, created_by, in_use
from sqlmigrate.lint.rules.wording import listed
from sqlmigrate.lint.schema.interpret.changes import TYPES, dropped_names
from sqlmigrate.sql.tree import relation

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Name

_UNUSED = "first release an application that no longer uses {}, and drop it in a later release"
_OBJECT_TYPES = {
    "OBJECT_TYPE": "type",
    "OBJECT_DOMAIN": "domain",
    "OBJECT_SCHEMA": "schema",
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_EXTENSION": "extension",
    "OBJECT_PUBLICATION": "publication",
}
# No other object depends on these, so CASCADE drops nothing else.
_WITHOUT_DEPENDENTS = {"OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"}
_rule = partial(Rule, level=Level.WARNING, on=("DropStmt",))


def _dropped(case: Case, kinds: Container[str]) -> Iterator[Name]:
    """Yields the objects in use that a DROP of one of these kinds names."""
    kind = case.node["removeType"]
    return (name for name in dropped_names(case.node) if kind in kinds and object_in_use(case, kind, name))


def _drop_table(case: Case) -> Iterator[Hit]:
    if names := [*_dropped(case, ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"))]:
        tables, its, it = listed(name[1] for name in names), *(("their", "them") if names[1:] else ("its", "it"))
        message = f"drops {tables} and all {its} rows; queries that use {it} fail"
        unless = replaced.by_table(case, names[0]) if not names[1:] else None
        yield Hit(message, _UNUSED.format(tables), relation_decider(case, names[0]), unless=unless)


DROP_TABLE = _rule(
    name="drop-table",
    stake="The rows are lost, and every query that still uses the table fails.",
    safe="-- release an application that does not use the table; in a later release:\ndrop table t;",
    check=_drop_table,
    examples=(
        bad("drop table t;"),
        bad("drop table if exists s.t;"),
        bad("drop table t, u cascade;"),
        bad("drop table t;", "create table t (a int);"),
        bad("drop table t; create table t (a int);", "create table t (a int);"),
        bad("do $$ begin drop table t; end $$;"),
        bad("drop foreign table t;"),
        bad("create table n (a int); drop table t; alter table n rename to t;", "create table t (a int);"),
        good(
            "create table n (a int); insert into n select a from t; drop table t; alter table n rename to t;",
            "create table t (a int);",
        ),
        good("create table t (a int); drop table t;"),
        good("create table x (a int); alter table x rename to t; drop table t;"),
        good("create temp table t (a int); drop table t;"),
        good("create table t as select 1; drop table if exists t;"),
        good("drop table if exists t;", "create table t (a int); drop table t;"),
        good("drop view t;"),
        down("drop table t;", "create table t (a int);"),
        down("drop table t;"),
        down("drop table t;", "select 1;", "create table t (a int);", bad=True),
    ),
)


def _drop_view(case: Case) -> Iterator[Hit]:
    for name in _dropped(case, ("OBJECT_VIEW", "OBJECT_MATVIEW")):
        by, unless = relation_decider(case, name), _exists_again(case, case.catalog.resolve(name))
        yield Hit(f"queries that read {name[1]} fail", _UNUSED.format(name[1]), by, unless=unless)


def _exists_again(case: Case, name: Name) -> Callable[[Catalog], bool]:
    """Whether the view exists again at the end of the transaction, with all the columns it is known to have had."""
    created, view = case.state.created, case.catalog.tables.get(name)
    columns = set() if view is None or view.partial else set(view.columns)
    return at_end(name, lambda new: new.created == created and (new.partial or columns <= set(new.columns)))


DROP_VIEW = _rule(
    name="drop-view",
    stake="Every query that still reads the view fails.",
    safe="drop view v;\ncreate view v as select a from t; -- in the same transaction, with at least the same columns",
    check=_drop_view,
    examples=(
        bad("drop view v;"),
        bad("drop materialized view m;"),
        bad("drop view v;", "create view v as select 1 as a;"),
        bad("drop view v; create view v as select 1 as a;", "create view v as select 1 as a, 2 as b;"),
        bad("begin; drop view v; commit; begin; create view v as select 1 as a; commit;"),
        good("drop view v; create view v as select 1 as a;"),
        good("drop view if exists v; create or replace view v as select 1 as a, 2 as b;", "create view v as select 1;"),
        good("create view v as select 1 as a; drop view v;"),
        good("create temp view v as select 1 as a; drop view v;"),
        down("drop view v;", "create view v as select 1 as a;"),
        down("drop view v;", "select 1;", "create view v as select 1 as a;", bad=True),
        good("drop view if exists v;", "create view v as select 1 as a; drop view v;"),
    ),
)


def _drop_column(case: Case) -> Iterator[Hit]:
    name, table = case.node.get("name", ""), case.table
    if case.statement.body.get("objtype") == "OBJECT_TYPE":
        type_name = relation(case.statement.body["relation"])
        if object_in_use(case, "OBJECT_TYPE", type_name):
            yield Hit(f"removes the attribute {name} from every value of the type {type_name[1]}")
        return
    absent = table is not None and not table.partial and name not in table.columns
    if not column_in_use(case, name) or (absent and case.node.get("missing_ok")):
        return
    safer = _UNUSED.format(name)
    message = f"drops the column {name} and its data; queries that name it fail"
    by = created_by(case, table_column(case, name))
    yield Hit(message, safer, by, unless=replaced.by_column(case, name))


DROP_COLUMN = _rule(
    name="drop-column",
    on=("AT_DropColumn",),
    stake="The data is lost, and every query that still names the column fails; an ORM names all the columns it knows.",
    safe="-- release an application that does not use the column; in a later release:\nalter table t drop column a;",
    check=_drop_column,
    examples=(
        bad("alter table t drop column a;"),
        bad("alter table t drop a;", "create table t (a int, b int);"),
        bad("alter table t add b int, drop column if exists a cascade;"),
        bad("alter table t drop column a; alter table t add column a text;", "create table t (a int);"),
        bad("alter table t drop column a; alter table t rename b to a;", "create table t (a int, b int);"),
        bad("alter type c drop attribute a;"),
        bad("alter table t add b int; alter table t drop a; alter table t rename b to a;", "create table t (a int);"),
        good(
            "alter table t add b text; update t set b = a; alter table t drop a; alter table t rename b to a;",
            "create table t (a int);",
        ),
        good("create table t (a int, b int); alter table t drop column b;"),
        good("alter table t add column b int; alter table t drop column b;", "create table t (a int);"),
        good("alter table t drop column if exists b;", "create table t (a int);"),
        good("alter table if exists t drop column a;", "create table t (a int); drop table t;"),
        down("alter table t drop column b;", "alter table t add column b int;", "create table t (a int);"),
        down("alter table t drop column a;", "alter table t add b int;", "create table t (a int);", bad=True),
        good("create type c as (a int, b int); alter type c drop attribute a;"),
        good("alter table t alter column a drop default, alter a set default 1;"),
    ),
)


def _drop_object(case: Case) -> Iterator[Hit]:
    kind = case.node["removeType"]
    for name in _dropped(case, _OBJECT_TYPES):
        if not (kind in TYPES and _named_here(case, name)):
            by, unless = decider(case, creation(case, kind, name)), _is_replaced(case, kind, name)
            message = f"queries and functions that use the {_OBJECT_TYPES[kind]} {name[1]} fail"
            yield Hit(message, _UNUSED.format(name[1]), by, unless=unless)


def _named_here(case: Case, name: Name) -> bool:
    """Whether this file gave the type its name, so that no application uses that name."""
    return any(body["renameType"] in TYPES for body in case.state.run_on("RenameStmt", name[1]))


def _is_replaced(case: Case, kind: str, name: Name) -> Callable[[Catalog], bool]:
    """Whether another type has the name at the end, or the sequence of an identity column that replaced a serial."""
    if kind in TYPES:
        type_name = case.catalog.resolve(name, case.catalog.types)
        return lambda catalog: type_name in catalog.types
    return lambda catalog: kind == "OBJECT_SEQUENCE" and _is_of_identity(catalog, name)


def _is_of_identity(catalog: Catalog, name: Name) -> bool:
    parts = name[1].removesuffix("_seq").split("_")
    for at in range(1, len(parts)):
        table = catalog.table((name[0], "_".join(parts[:at])))
        column = table.columns.get("_".join(parts[at:])) if table else None
        if column and column.identity:
            return True
    return False


DROP_OBJECT = _rule(
    name="drop-object",
    stake="Every query and function that still uses the schema, type, sequence or extension fails.",
    safe="-- release an application that does not use it; in a later release:\ndrop type mood;",
    check=_drop_object,
    examples=(
        bad("drop schema s;"),
        bad("drop type mood;"),
        bad("drop domain d;", "create domain d as int;"),
        bad("drop sequence s;"),
        bad("drop extension pgcrypto;"),
        good("create type mood as enum ('a'); drop type mood;"),
        good("create schema s; drop schema s cascade;"),
        good("create sequence s; drop sequence s;"),
        good(
            "drop sequence t_id_seq cascade; alter table t alter id add generated by default as identity;",
            "create table t (id bigserial primary key);",
        ),
        good("alter type mood rename to old_mood; create type mood as enum ('a'); drop type old_mood;"),
        good("create type m2 as enum ('a'); drop type mood; alter type m2 rename to mood;"),
        good("drop statistics s;"),
        down("drop type mood; drop schema s;", "create schema s; create type mood as enum ('a');"),
        good("drop trigger g on t; create trigger g before insert on t for each row execute function f();"),
    ),
)


def _cascade(case: Case) -> Iterator[Hit]:
    if case.node.get("behavior") != "DROP_CASCADE":
        return
    if case.kind == "DropStmt":
        names = [*_dropped(case, {case.node["removeType"]} - _WITHOUT_DEPENDENTS)]
    elif case.kind == "TruncateStmt":
        relations = [relation(item["RangeVar"]) for item in case.node["relations"]]
        names = [name for name in relations if relation_in_use(case, name)]
    elif case.kind == "DropOwnedStmt":
        names = [("", "the objects of the role")]
    else:
        names = [("", case.node.get("name", ""))] if _loses_dependents(case) else []
    verb = "truncates" if case.kind == "TruncateStmt" else "drops"
    if names:
        yield Hit(
            f"CASCADE also {verb} every object that depends on {listed(name[1] for name in names)}, "
            "none of which this file names",
            "name each dependent object in a statement, and omit CASCADE",
        )


def _loses_dependents(case: Case) -> bool:
    if case.kind == "AT_DropColumn":
        return case.statement.body.get("objtype") != "OBJECT_TYPE" and column_in_use(case, case.node.get("name", ""))
    constraint = case.table.constraint(case.node.get("name", "")) if case.table else None
    return relation_in_use(case, case.name) and in_use(case, constraint)


CASCADE = _rule(
    name="cascade",
    on=("DropStmt", "DropOwnedStmt", "TruncateStmt", "AT_DropColumn", "AT_DropConstraint"),
    stake="CASCADE drops or truncates dependent objects recursively, including some that no reviewer has seen.",
    safe="drop view v; -- it depends on the table\ndrop table t;",
    check=_cascade,
    examples=(
        bad("drop table t cascade;"),
        bad("drop type mood cascade;"),
        bad("drop function f(int) cascade;"),
        bad("truncate t cascade;"),
        bad("alter table t drop column a cascade;"),
        bad("alter table t drop constraint t_pkey cascade;"),
        bad("drop schema s cascade;", "create schema s;"),
        good("drop table t;"),
        good("create table t (a int); drop table t cascade;"),
        good("create schema s; drop schema s cascade;"),
        good("create table t (a int); alter table t drop column a cascade;"),
        good("create table t (a int references r on delete cascade);"),
        good("drop trigger g on t cascade;"),
        down("drop table if exists t cascade;", "create table t (a int);"),
        good("drop table if exists t cascade;", "create table t (a int); drop table t;"),
    ),
)


def _drop_database(case: Case) -> Iterator[Hit]:
    lost = "the whole database" if case.kind == "DropdbStmt" else "every object that the role owns in this database"
    yield Hit(f"drops {lost}, with all data")


DROP_DATABASE = Rule(
    name="drop-database",
    level=Level.ERROR,
    on=("DropdbStmt", "DropOwnedStmt"),
    stake="All of its data is lost. A migration is not the place for this.",
    advice="do it manually, after a backup",
    check=_drop_database,
    examples=(
        bad("drop database app;"),
        bad("drop owned by app;"),
        good("reassign owned by app to other;"),
        good("drop table if exists database;", "create table database (a int); drop table database;"),
    ),
)

RULES = (DROP_TABLE, DROP_VIEW, DROP_COLUMN, DROP_OBJECT, CASCADE, DROP_DATABASE)
