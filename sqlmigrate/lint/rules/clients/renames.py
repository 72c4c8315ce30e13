"""Breaks clients: objects that are renamed or moved to another schema while running applications use the old name.

A down file restores the old name, so these rules ignore it.
"""

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
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.rules.clients import replaced
from sqlmigrate.lint.rules.clients.origin import at_end, created_by
from sqlmigrate.lint.safer import objects
from sqlmigrate.lint.safer.statements import advice
from sqlmigrate.lint.schema.interpret.changes import RELATIONS, ROUTINES, TYPES
from sqlmigrate.sql.tree import qualified, relation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.schema.catalog import Catalog, Name
    from sqlmigrate.sql.parser import Node

_OLD_NAME_FAILS = "queries that use the old name {name} fail"
_MOVED = (*RELATIONS, *TYPES, *ROUTINES, "OBJECT_SEQUENCE", "OBJECT_EXTENSION")
_rule = partial(Rule, level=Level.WARNING, on=("RenameStmt",))


def _old_name(case: Case, **changes: str) -> Safer:
    """Returns a view with the old name of a relation; other objects have only one name."""
    if "relation" not in case.node or case.node.get("objectType", "OBJECT_TABLE") not in RELATIONS:
        return advice("first release an application that finds the object under both names")
    old = case.node["relation"]
    return objects.seen_under_old_name(case, old, {**old, **changes})


def _rename_table(case: Case) -> Iterator[Hit]:
    if case.state.down or case.node["renameType"] not in RELATIONS:
        return
    name = relation(case.node["relation"])
    is_index = case.catalog.index(name) is not None and case.catalog.table(name) is None
    if is_index or not relation_in_use(case, name):
        return
    yield Hit(
        _OLD_NAME_FAILS.format(name=name[1]),
        partial(_old_name, case, relname=case.node.get("newname", "")),
        relation_decider(case, name),
        unless=_is_found(case, case.catalog.resolve(name)),
    )


def _is_found(case: Case, name: Name) -> Callable[[Catalog], bool]:
    """Whether queries find a view, or a table that replaced the renamed one, under its name."""
    has_view = _has_view(case, name)
    is_replaced = replaced.under_old_name(case, name, (name[0], case.node.get("newname", "")))
    return lambda catalog: has_view(catalog) or is_replaced(catalog)


def _has_view(case: Case, name: Name) -> Callable[[Catalog], bool]:
    """Whether a view has the name at the end of the transaction."""
    created = case.state.created
    return at_end(name, lambda table: table.kind == "view" and table.created == created)


RENAME_TABLE = _rule(
    name="rename-table",
    stake="Every query that still uses the old name fails; applications cannot switch at the same moment.",
    safe="alter table t rename to u;\ncreate view t as select * from u; -- in the same transaction",
    check=_rename_table,
    examples=(
        bad("alter table t rename to u;"),
        bad("alter table if exists s.t rename to u;", "create table s.t (a int);"),
        bad("alter view v rename to w;"),
        bad("alter table t rename to old; alter table n rename to t;", "create table t (a int);"),
        bad("begin; alter table t rename to u; commit; begin; create view t as select * from u; commit;"),
        bad("alter table t rename to old; create table t (b int); drop table old;", "create table t (a int);"),
        good("alter table t rename to old; create table t (a int); drop table old;", "create table t (a int);"),
        good("alter table t rename to u; create view t as select * from u;"),
        good("alter table t rename to u; create or replace view t as select a from u;", "create table t (a int);"),
        good("create table t (a int); alter table t rename to u;"),
        good("alter index i rename to j;"),
        good("alter table i rename to j;", "create table t (a int); create index i on t (a);"),
        good("alter table if exists t rename to u;", "create table t (a int); drop table t;"),
        good("create temp table t (a int); alter table t rename to u;"),
        down("alter table u rename to t;", "alter table t rename to u;", "create table t (a int);"),
    ),
)


def _rename_column(case: Case) -> Iterator[Hit]:
    node = case.node
    if case.state.down or node["renameType"] not in ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE"):
        return
    name = node.get("subname", "")
    if node["renameType"] == "OBJECT_ATTRIBUTE":
        if object_in_use(case, "OBJECT_TYPE", relation(node["relation"])):
            yield Hit(_OLD_NAME_FAILS.format(name=name))
    elif column_in_use(case, name):
        yield Hit(
            _OLD_NAME_FAILS.format(name=name),
            f"add {node.get('newname')} as a new column, write to both, fill it in batches, "
            f"release an application that reads it, then drop {name}",
            created_by(case, table_column(case, name)),
        )


RENAME_COLUMN = _rule(
    name="rename-column",
    stake="Every query that still uses the old name fails; applications cannot switch at the same moment.",
    safe="alter table t add column b int;\n-- write to both, fill b in batches, and drop the old column later",
    check=_rename_column,
    examples=(
        bad("alter table t rename column a to b;"),
        bad("alter table t rename a to b;", "create table t (a int);"),
        bad("alter view v rename column a to b;"),
        bad("alter type c rename attribute a to b;"),
        bad("alter table t add column b int; alter table t rename a to c;", "create table t (a int);"),
        good("create table t (a int); alter table t rename a to b;"),
        good("alter table t add column a int; alter table t rename a to b;"),
        good("alter table t rename constraint a to b;"),
        down("alter table t rename b to a;", "alter table t rename a to b;", "create table t (a int);"),
        good("create type c as (a int); alter type c rename attribute a to b;"),
        good("create view v as select 1 as a; alter view v rename column a to b;"),
        good("alter table if exists t rename a to b;", "create table t (a int); drop table t;"),
    ),
)


def _rename_object(case: Case) -> Iterator[Hit]:
    node = case.node
    if case.state.down:
        return
    if case.kind == "AlterEnumStmt":
        name = qualified(node["typeName"])
        if "oldVal" in node and object_in_use(case, "OBJECT_TYPE", name) and not _value_is_new(case, name):
            yield Hit(
                f"queries that use the value {node['oldVal']} of {name[1]} fail", "add a value, and keep the old one"
            )
        return
    kind, name = node["renameType"], _renamed(node)
    if kind in (*TYPES, *ROUTINES, "OBJECT_SCHEMA", "OBJECT_SEQUENCE") and object_in_use(case, kind, name):
        by = decider(case, creation(case, kind, name))
        yield Hit(_OLD_NAME_FAILS.format(name=name[1]), "", by, unless=_exists_again(case, kind, name))


def _value_is_new(case: Case, name: Name) -> bool:
    type_ = case.catalog.types.get(case.catalog.resolve(name, case.catalog.types))
    created = type_.values.get(case.node["oldVal"]) if type_ else None
    return created is not None and case.decider(created) is Decider.FILE


def _renamed(node: Node) -> Name:
    if "relation" in node:
        return relation(node["relation"])
    if "object" in node:
        body = next(iter(node["object"].values()))
        return qualified(body.get("objname") or body.get("items", ()))
    return "", node.get("subname", "")


def _exists_again(case: Case, kind: str, name: Name) -> Callable[[Catalog], bool]:
    """Whether another type or function has the name at the end."""
    type_, function = case.catalog.resolve(name, case.catalog.types), case.catalog.resolve(name, case.catalog.functions)
    if kind in TYPES:
        return lambda catalog: type_ in catalog.types
    return lambda catalog: kind in ROUTINES and function in catalog.functions


_F = "create function f() returns int language sql as 'select 1';"

RENAME_OBJECT = _rule(
    name="rename-object",
    on=("RenameStmt", "AlterEnumStmt"),
    stake="Every query and function that still uses the old name of the type, value, function or schema fails.",
    advice="create it under the new name, release applications that use it, and drop the old one later",
    check=_rename_object,
    examples=(
        bad("alter type mood rename to feeling;"),
        bad("alter type mood rename value 'a' to 'b';"),
        bad("alter domain d rename to e;", "create domain d as int;"),
        bad("alter schema s rename to r;"),
        bad("alter sequence s rename to r;"),
        bad("alter function f(int) rename to g;"),
        bad("alter function f() rename to g;", _F),
        bad("alter type mood rename value 'a' to 'b';", "create type mood as enum ('a');"),
        good("alter type mood add value 'b';"),
        good("create type mood as enum ('a'); alter type mood rename value 'a' to 'b';"),
        good("alter type mood rename to old; create type mood as enum ('a'); drop type old;"),
        good("alter function f() rename to g; " + _F, _F),
        good("create schema s; alter schema s rename to r;"),
        good("create sequence s; alter sequence s rename to r;"),
        good("alter trigger g on t rename to h;"),
        down("alter type feeling rename to mood;", "alter type mood rename to feeling;"),
    ),
)


def _set_schema(case: Case) -> Iterator[Hit]:
    kind, node = case.node["objectType"], case.node
    name = _renamed(node)
    if case.state.down or kind not in _MOVED or not object_in_use(case, kind, name):
        return
    if (kind in RELATIONS and case.catalog.resolve(name)[0] == node.get("newschema")) and case.catalog.table(name):
        return
    by = relation_decider(case, name) if kind in RELATIONS else decider(case, creation(case, kind, name))
    yield Hit(
        f"queries that use {name[1]} in its old schema fail",
        partial(_old_name, case, schemaname=node.get("newschema", "")),
        by,
        unless=_has_view(case, case.catalog.resolve(name)),
    )


SET_SCHEMA = _rule(
    name="set-schema",
    on=("AlterObjectSchemaStmt",),
    stake="Every query that names the old schema, or has only the old schema in its search_path, fails.",
    safe="alter table t set schema s;\ncreate view public.t as select * from s.t; -- in the same transaction",
    check=_set_schema,
    examples=(
        bad("alter table t set schema s;"),
        bad("alter table public.t set schema s;", "create table t (a int);"),
        bad("alter view v set schema s;"),
        bad("alter type mood set schema s;"),
        bad("alter function f(int) set schema s;"),
        bad("alter extension hstore set schema s;"),
        bad("alter sequence q set schema s;"),
        good("alter table t set schema s; create view public.t as select * from s.t;"),
        good("create table t (a int); alter table t set schema s;"),
        down("alter table s.t set schema public;", "alter table t set schema s;", "create table t (a int);"),
        good("create type mood as enum ('a'); alter type mood set schema s;"),
        good("alter table t set schema public;", "create table t (a int);"),
        good("alter table if exists t set schema s;", "create table t (a int); drop table t;"),
    ),
)

RULES = (RENAME_TABLE, RENAME_COLUMN, RENAME_OBJECT, SET_SCHEMA)
