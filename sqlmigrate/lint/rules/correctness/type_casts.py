"""Correctness: changes of a column's type that need a USING expression, or whose default has no cast."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.literals import LITERALS
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.safer.objects import with_casts
from sqlmigrate.lint.schema.casts import is_assignable
from sqlmigrate.lint.schema.datatype import Type
from sqlmigrate.lint.schema.typenames import type_in
from sqlmigrate.sql.tree import kind_and_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Column
    from sqlmigrate.sql.parser import Node


def _check_using(case: Case) -> Iterator[Hit]:
    name, node = case.node.get("name", ""), case.node["def"]["ColumnDef"]
    column = case.table.columns.get(name) if case.table is not None else None
    if case.statement.inner or case.catalog.uncertain or case.name[1] in case.catalog.uncertain_names:
        return
    if column is None or column.type is None or column.generated:
        return
    new, by = type_in(case.catalog, node["typeName"]), decider(case, column.created)
    if "raw_default" not in node and is_assignable(column.type, new, case.catalog) is False:
        safer = partial(with_casts, case, column, using=True)
        yield Hit(f"column {name} cannot be cast automatically to type {new}: it is {column.type}", safer, by)
        return
    literal = None if _default_changes(case, name) else _literal(case.catalog, column, column.type)
    if literal is not None and is_assignable(literal, new, case.catalog) is False:
        yield Hit(
            f"default for column {name} cannot be cast automatically to type {new}",
            partial(with_casts, case, column, using=False),
            by,
        )


def _literal(catalog: Catalog, column: Column, type_: Type) -> Type | None:
    """Returns the type of a default that is a constant, or None; a text constant has the type of the column."""
    return _type_of_constant(catalog, column.default, type_) if column.default else None


def _type_of_constant(catalog: Catalog, node: Node, type_: Type) -> Type | None:
    kind, body = kind_and_body(node)
    if kind == "TypeCast":
        arg = body.get("arg", {})
        return type_in(catalog, body["typeName"]) if arg and _type_of_constant(catalog, arg, type_) else None
    if kind != "A_Const" or body.get("isnull"):
        return None
    return next((Type(name) for key, name in LITERALS.items() if key in body), type_)


def _default_changes(case: Case, name: str) -> bool:
    """Returns whether the same ALTER TABLE drops the default, or sets it further to the left.

    PostgreSQL drops a default before it changes the type and sets it afterwards. The catalog has the new default.
    """
    change, default = (case.statement.named(kind).get(name) for kind in ("AT_AlterColumnType", "AT_ColumnDefault"))
    if change is None or default is None:
        return False
    return default.place < change.place or "def" not in default.command


_TEXT = "create table t (a text);"
_MOOD = "create type mood as enum ('ok', 'bad'); create table t (a text default 'ok');"

NEEDS_USING = Rule(
    name="type-change-needs-using",
    level=Level.ERROR,
    on=("AT_AlterColumnType",),
    stake="The statement fails: PostgreSQL has no assignment cast between the types, of the values or of the default.",
    safe="alter table t alter column a drop default;\nalter table t alter column a type integer using a::integer;",
    check=_check_using,
    examples=(
        bad("alter table t alter a type integer;", _TEXT),
        bad("alter table t alter a type uuid;", "create table t (a varchar(40));"),
        bad("alter table t alter a type boolean;", "create table t (a int);"),
        bad("alter table t alter a type text[];", _TEXT),
        bad("alter table t alter a type mood;", "create type mood as enum ('ok'); create table t (a text);"),
        bad("alter table t alter a type mood using a::mood;", _MOOD),
        bad("alter table t alter a type boolean using a <> 0;", "create table t (a int default 0);"),
        bad("create table t (a text); alter table t alter a type integer;"),
        good("alter table t alter a type integer using a::integer;", _TEXT),
        good("alter table t alter a drop default, alter a type mood using a::mood;", _MOOD),
        good("alter table t alter a type text;", "create table t (a uuid default gen_random_uuid());"),
        good("alter table t alter a type bigint;", "create table t (a int default 0);"),
        good("alter table t alter a type integer;"),
        good("alter table t alter a type mood;", "create cast (text as mood) with inout as assignment;" + _MOOD),
        good("alter table t alter a type geometry;", _TEXT),
    ),
)

RULES = (NEEDS_USING,)
