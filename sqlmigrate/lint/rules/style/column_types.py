"""Style rules about column types."""

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
_LIMITS = {"int2": "32,767", "int4": "2,147,483,647"}
_KEYS = ("CONSTR_PRIMARY", "CONSTR_IDENTITY")


def _columns(case: Case) -> Iterator[Node]:
    """Yields the columns that a statement gives a type; none in a down file, which restores old columns."""
    temporary = case.kind == "CreateStmt" and case.node["relation"].get("relpersistence") == "t"
    if case.state.down or temporary:
        return
    items = case.node.get("tableElts", ()) if case.kind == "CreateStmt" else (case.node["def"],)
    for item in items:
        column = item.get("ColumnDef")
        if column is not None and "typeName" in column:
            yield {**column, "colname": column.get("colname") or case.node.get("name", "")}


def _of_type(wanted: Callable[[Type], bool], message: str, safer: str) -> Callable[[Case], Iterator[Hit]]:
    """Returns a check for columns whose type is `wanted`."""

    def check(case: Case) -> Iterator[Hit]:
        for column in _columns(case):
            if wanted(type_of(column["typeName"])):
                name = column["colname"]
                yield Hit(message.format(name=name), safer.format(name=name), node=column)

    return check


def _check_key(case: Case) -> Iterator[Hit]:
    keys = [item["Constraint"] for item in case.node.get("tableElts", ()) if "Constraint" in item]
    primary = [strings(key.get("keys", ())) for key in keys if key["contype"] == "CONSTR_PRIMARY"]
    for column in _columns(case) if case.kind != "AT_AlterColumnType" else ():
        kinds = {body["contype"] for body in column_constraints(column)}
        is_key = not kinds.isdisjoint(_KEYS) or [column["colname"]] in primary or is_serial(column["typeName"])
        type_ = type_of(column["typeName"]).name
        if is_key and type_ in _LIMITS:
            yield Hit(
                f"{column['colname']} is an integer key with at most {_LIMITS[type_]} values",
                f"{column['colname']} bigint generated always as identity primary key",
                node=column,
            )


SMALL_KEY = Rule(
    name="integer-key",
    level=Level.NOTICE,
    on=("CreateStmt", "AT_AddColumn"),
    stake="INSERT fails when the key reaches its maximum, and changing it to bigint rewrites the table.",
    safe="create table t (id bigint generated always as identity primary key);",
    check=_check_key,
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
    stake="A timestamp without time zone does not identify a point in time: each application must know its time zone.",
    safe="create table t (at timestamptz);",
    check=_of_type(
        lambda type_: type_.name == "timestamp",
        "{name} has no time zone, so it does not identify a point in time",
        "{name} timestamptz",
    ),
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
    stake="PostgreSQL pads the values with spaces. Comparisons ignore the spaces; LIKE and regular expressions do not.",
    safe="create table t (code text check (length(code) = 3));",
    check=_of_type(lambda type_: type_.name == "bpchar", "char pads the values of {name} with spaces", "{name} text"),
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
    stake="The limit saves no space, and lowering it rewrites the table. A CHECK can be changed without a rewrite.",
    safe="create table t (name text check (length(name) <= 50));",
    check=_of_type(
        lambda type_: type_.name == "varchar" and bool(type_.modifiers),
        "the length limit of {name} saves no space",
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
    stake="Each access parses the text again. "
    "The type has no equality operator, so DISTINCT, GROUP BY and indexes on the column fail.",
    safe="create table t (data jsonb);",
    check=_of_type(
        lambda type_: type_.name == "json", "each access to {name} parses the JSON text again", "{name} jsonb"
    ),
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
    stake="The format and precision of money depend on lc_monetary, and it does not store a currency.",
    safe="create table t (amount numeric(12, 2), currency text);",
    check=_of_type(
        lambda type_: type_.name == "money",
        "the format and precision of {name} depend on lc_monetary",
        "{name} numeric(12, 2)",
    ),
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


def _check_serial(case: Case) -> Iterator[Hit]:
    for column in _columns(case):
        if is_serial(column["typeName"]):
            name = column["colname"]
            yield Hit(
                f"serial creates a separate sequence for {name}",
                f"{name} bigint generated always as identity",
                node=column,
            )


SERIAL = Rule(
    name="serial-column",
    level=Level.NOTICE,
    on=("CreateStmt", "AT_AddColumn"),
    stake="The sequence has separate privileges, and INSERT can set the column to any value. "
    "A GENERATED ALWAYS identity column has neither problem.",
    safe="create table t (id bigint generated always as identity primary key);",
    check=_check_serial,
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
