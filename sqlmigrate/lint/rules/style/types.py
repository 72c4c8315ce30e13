"""Style: the types of columns; what works, and what one would write otherwise. Every rule is of level notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.datatype import is_serial, type_of
from sqlmigrate.lint.schema.interpret.definitions import column_constraints
from sqlmigrate.sql.tree import strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node

_ON = ("CreateStmt", "AT_AddColumn", "AT_AlterColumnType")
_SMALL = ("int2", "int4")
_KEYS = ("CONSTR_PRIMARY", "CONSTR_IDENTITY")


def _columns(case: Case) -> Iterator[Node]:
    """The columns that a statement gives a type to; none in a down file, which puts back what was."""
    temporary = case.kind == "CreateStmt" and case.node["relation"].get("relpersistence") == "t"
    if case.state.down or temporary:
        return
    items = case.node.get("tableElts", ()) if case.kind == "CreateStmt" else (case.node["def"],)
    for item in items:
        column = item.get("ColumnDef")
        if column is not None and "typeName" in column:
            yield {**column, "colname": column.get("colname") or case.node.get("name", "")}


def _of_type(wanted: Callable[[Type], bool], message: str, safer: str) -> Callable[[Case], Iterator[Hit]]:
    """A check for columns of some type."""

    def check(case: Case) -> Iterator[Hit]:
        for column in _columns(case):
            if wanted(type_of(column["typeName"])):
                name = column["colname"]
                yield Hit(message.format(name=name), safer.format(name=name), node=column)

    return check


def _small_key(case: Case) -> Iterator[Hit]:
    keys = [item["Constraint"] for item in case.node.get("tableElts", ()) if "Constraint" in item]
    alone = [strings(one.get("keys", ())) for one in keys if one["contype"] == "CONSTR_PRIMARY"]
    for column in _columns(case) if case.kind != "AT_AlterColumnType" else ():
        kinds = {body["contype"] for body in column_constraints(column)}
        is_key = not kinds.isdisjoint(_KEYS) or [column["colname"]] in alone or is_serial(column["typeName"])
        if is_key and type_of(column["typeName"]).name in _SMALL:
            yield Hit(
                f"{column['colname']} runs out of numbers at two thousand million, or sooner",
                f"{column['colname']} bigint generated always as identity primary key",
                node=column,
            )


SMALL_KEY = Rule(
    name="integer-key",
    level=Level.NOTICE,
    on=("CreateStmt", "AT_AddColumn"),
    stake="INSERTs fail when the numbers run out, and the change to bigint rewrites the table.",
    safe="create table t (id bigint generated always as identity primary key);",
    check=_small_key,
    examples=(
        bad("create table t (id int primary key);"),
        bad("create table t (id serial);"),
        bad("create table t (id int generated always as identity);"),
        bad("create table t (id smallint, primary key (id));"),
        bad("alter table t add column id int generated always as identity;"),
        good("create table t (id bigint primary key);"),
        good("create table t (id uuid primary key, n int);"),
        good("create table t (a int, b int, primary key (a, b));"),
        good("create table t (id bigserial primary key);"),
        good("create temp table t (id int primary key);"),
    ),
)

TIMESTAMP = Rule(
    name="timestamp-without-zone",
    level=Level.NOTICE,
    on=_ON,
    stake="It stores a wall clock's reading and not an instant: whose clock, every program must know.",
    safe="create table t (at timestamptz);",
    check=_of_type(lambda type_: type_.name == "timestamp", "{name} does not tell an instant", "{name} timestamptz"),
    examples=(
        bad("create table t (at timestamp);"),
        bad("create table t (at timestamp(3) without time zone);"),
        bad("alter table t add column at timestamp default now();"),
        bad("alter table t alter column at type timestamp;"),
        bad("create table t (at timestamp[]);"),
        good("create table t (at timestamptz);"),
        good("create table t (at timestamp(3) with time zone);"),
        good("create table t (day date, at time);"),
        good("create temp table t (at timestamp);"),
    ),
)

CHAR = Rule(
    name="char-type",
    level=Level.NOTICE,
    on=_ON,
    stake="Values are padded with blanks, which comparisons then ignore and other functions do not.",
    safe="create table t (code text check (length(code) = 3));",
    check=_of_type(lambda type_: type_.name == "bpchar", "{name} is padded with blanks", "{name} text"),
    examples=(
        bad("create table t (code char(3));"),
        bad("create table t (code character);"),
        bad("alter table t add column code char(2) not null default 'de';"),
        bad("alter table t alter column code type char(3);"),
        bad("create table t (code bpchar);"),
        good("create table t (code text);"),
        good("create table t (code varchar(3));"),
        good('create table t (kind "char");'),
        good("create temp table t (code char(3));"),
    ),
)

VARCHAR = Rule(
    name="varchar-limit",
    level=Level.NOTICE,
    on=_ON,
    stake="The limit saves nothing, and to lower it rewrites the table; a CHECK can be changed without that.",
    safe="create table t (name text check (length(name) <= 50));",
    check=_of_type(
        lambda type_: type_.name == "varchar" and bool(type_.modifiers),
        "the limit of {name} saves nothing",
        "{name} text check (length({name}) <= …)",
    ),
    examples=(
        bad("create table t (name varchar(50));"),
        bad("create table t (name character varying(50) not null);"),
        bad("alter table t add column name varchar(50);"),
        bad("alter table t alter column name type varchar(99);"),
        good("create table t (name text);"),
        good("create table t (name varchar);"),
        good("create table t (name text check (length(name) <= 50));"),
        good("create temp table t (name varchar(50));"),
        good("alter table t drop column name;"),
    ),
)

JSON = Rule(
    name="json-type",
    level=Level.NOTICE,
    on=_ON,
    stake="It is parsed anew at each look, has no equality (so DISTINCT and GROUP BY fail), and can't be indexed.",
    safe="create table t (data jsonb);",
    check=_of_type(lambda type_: type_.name == "json", "{name} is parsed anew at each look", "{name} jsonb"),
    examples=(
        bad("create table t (data json);"),
        bad("create table t (data json not null default '{}');"),
        bad("alter table t add column data json;"),
        bad("alter table t alter column data type json using data::json;"),
        bad("create table t (data json[]);"),
        good("create table t (data jsonb);"),
        good("create table t (json text);"),
        good("select '{}'::json;"),
        good("create temp table t (data json);"),
    ),
)

MONEY = Rule(
    name="money-type",
    level=Level.NOTICE,
    on=_ON,
    stake="What it means depends on the server's lc_monetary, and it holds no currency.",
    safe="create table t (amount numeric(12, 2), currency text);",
    check=_of_type(lambda type_: type_.name == "money", "{name} means what lc_monetary says", "{name} numeric(12, 2)"),
    examples=(
        bad("create table t (amount money);"),
        bad("create table t (amount money not null default 0);"),
        bad("alter table t add column amount money;"),
        bad("alter table t alter column amount type money;"),
        good("create table t (amount numeric(12, 2));"),
        good("create table t (money bigint);"),
        good("create temp table t (amount money);"),
        good("alter table t alter column amount type numeric using amount::numeric;"),
    ),
)


def _serial(case: Case) -> Iterator[Hit]:
    for column in _columns(case):
        if is_serial(column["typeName"]):
            name = column["colname"]
            yield Hit(f"{name} has a sequence beside it", f"{name} bigint generated always as identity", node=column)


SERIAL = Rule(
    name="serial-column",
    level=Level.NOTICE,
    on=("CreateStmt", "AT_AddColumn"),
    stake="The sequence has rights and an owner of its own, and an INSERT may give the column any number.",
    safe="create table t (id bigint generated always as identity primary key);",
    check=_serial,
    examples=(
        bad("create table t (id serial primary key);"),
        bad("create table t (id bigserial);"),
        bad("create table t (id smallserial);"),
        bad("alter table t add column id bigserial;"),
        good("create table t (id bigint generated always as identity primary key);"),
        good("create table t (id bigint generated by default as identity);"),
        good("create table t (id bigint default nextval('s'));"),
        good("create temp table t (id serial);"),
        good("create table t (serial text);"),
    ),
)

RULES = (SMALL_KEY, SERIAL, TIMESTAMP, CHAR, VARCHAR, JSON, MONEY)
