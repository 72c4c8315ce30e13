"""Style rules about column types."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Example, Hit, Rule, bad, good
from sqlmigrate.lint.schema.datatype import is_serial, type_of
from sqlmigrate.lint.schema.interpret.definitions import column_constraints, constrained_columns, index_used
from sqlmigrate.sql.tree import strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.schema.catalog import Column
    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node

LIMITS = {"int2": "32,767", "int4": "2,147,483,647"}
_KEYS = ("CONSTR_PRIMARY", "CONSTR_IDENTITY")


def elements(case: Case) -> list[Node]:
    """Returns the elements of CREATE TABLE, or what a subcommand of ALTER TABLE adds or changes."""
    return case.node.get("tableElts") or [case.node.get("def", {})]


def is_lasting(case: Case) -> bool:
    """Whether the case is not about a temporary table, and not in a down file, which restores old definitions."""
    return case.node.get("relation", {}).get("relpersistence") != "t" and not case.state.down


def _columns(case: Case) -> Iterator[tuple[str, Node]]:
    """Yields the columns that a statement gives a type."""
    for element in elements(case) if is_lasting(case) else ():
        column = element.get("ColumnDef", {})
        if "typeName" in column:
            yield column.get("colname") or case.node.get("name", ""), column


def _of_type(matches: Callable[[Node], bool], message: str, safer: str) -> Callable[[Case], Iterator[Hit]]:
    """Returns a check for columns whose TypeName `matches`."""

    def check(case: Case) -> Iterator[Hit]:
        for name, column in _columns(case):
            if matches(column["typeName"]):
                yield Hit(message.format(name=name), safer.format(name=name), node=column)

    return check


def _is(name: str) -> Callable[[Node], bool]:
    return lambda node: type_of(node).name == name


def _examples(reported: tuple[str, ...], accepted: tuple[str, ...]) -> tuple[Example, ...]:
    """Returns examples with columns of these types."""
    return (
        *(bad(f"create table t (a {type_});") for type_ in reported),
        bad(f"alter table t add column a {reported[0]};"),
        *(good(f"create table t (a {type_});") for type_ in accepted),
        good(f"create temp table t (a {reported[0]});"),
    )


def _check_key(case: Case) -> Iterator[Hit]:
    if case.kind in ("AT_AddConstraint", "AT_AddIdentity"):
        yield from _check_later_key(case)
        return
    keys = [item["Constraint"] for item in case.node.get("tableElts", ()) if "Constraint" in item]
    primary = [strings(key.get("keys", ())) for key in keys if key["contype"] == "CONSTR_PRIMARY"]
    for name, column in _columns(case):
        kinds = {body["contype"] for body in column_constraints(column)}
        is_key = not kinds.isdisjoint(_KEYS) or [name] in primary or is_serial(column["typeName"])
        type_ = _base_name(case, type_of(column["typeName"]))
        if is_key and type_ in LIMITS:
            yield Hit(
                f"{name} is an integer key with at most {LIMITS[type_]} values",
                f"declare {name} as bigint generated always as identity primary key",
                node=column,
            )


def _check_later_key(case: Case) -> Iterator[Hit]:
    """Yields a hit for an integer column that becomes a key after it was created."""
    names: tuple[str, ...] = (case.node.get("name", ""),)
    if case.kind == "AT_AddConstraint":
        body = case.node["def"]["Constraint"]
        names = constrained_columns(body) if body["contype"] == "CONSTR_PRIMARY" else ()
        used = index_used(case.catalog, case.table, body) if case.table is not None else None
        names = used.columns if used is not None else names
    column = case.table.columns.get(names[0]) if case.table is not None and len(names) == 1 else None
    type_ = _base_name(case, column.type) if column is not None and column.type is not None else ""
    if column is not None and type_ in LIMITS and not case.state.down and not _is_numbered_here(case, column):
        yield Hit(
            f"{column.name} is an integer key with at most {LIMITS[type_]} values",
            f"make {column.name} bigint before it becomes a key",
        )


def _is_numbered_here(case: Case, column: Column) -> bool:
    """Whether this file created the column as a serial or identity column, which has its own finding."""
    numbered = column.identity or "SerialDefault" in (column.default or {})
    return bool(numbered) and case.state.creates(column.created or (case.table.created if case.table else None))


def _base_name(case: Case, type_: Type) -> str:
    domain = case.catalog.type(type_.name)
    return _base_name(case, domain.base) if domain is not None and domain.base is not None else type_.name


SMALL_KEY = Rule(
    name="integer-key",
    level=Level.NOTICE,
    on=("CreateStmt", "AT_AddColumn", "AT_AddConstraint", "AT_AddIdentity"),
    stake="INSERT fails when the key reaches its maximum, and changing it to bigint rewrites the table.",
    safe="create table t (id bigint generated always as identity primary key);",
    check=_check_key,
    examples=(
        *_examples(
            ("int generated always as identity", "int primary key", "serial", "smallint, primary key (a)"),
            ("bigint primary key", "uuid primary key, n int", "int, b int, primary key (a, b)", "bigserial"),
        ),
        bad("create table t (a int); alter table t add primary key (a);"),
        bad("alter table t add column a int, add constraint t_pk primary key (a);"),
        bad("alter table t add primary key using index i;", "create table t (a int); create unique index i on t (a);"),
        bad("alter table t alter a add generated always as identity;", "create table t (a int not null);"),
        bad("create table t (a number primary key);", "create domain number as int;"),
        good("create table t (a bigint); alter table t add primary key (a);"),
        good("alter table t add unique (a);", "create table t (a int);"),
    ),
)

SERIAL = Rule(
    name="serial-column",
    level=Level.NOTICE,
    on=("CreateStmt", "AT_AddColumn"),
    stake="The sequence has separate privileges, and INSERT can set the column to any value. "
    "A GENERATED ALWAYS identity column has neither problem.",
    safe="create table t (id bigint generated always as identity primary key);",
    check=_of_type(
        is_serial,
        "serial creates a separate sequence for {name}",
        "declare {name} as bigint generated always as identity",
    ),
    examples=_examples(
        ("serial primary key", "bigserial", "smallserial"),
        ("bigint generated by default as identity", "bigint default nextval('s')"),
    ),
)

_type_rule = partial(Rule, level=Level.NOTICE, on=("CreateStmt", "AT_AddColumn", "AT_AlterColumnType"))

TIMESTAMP = _type_rule(
    name="timestamp-without-zone",
    stake="A timestamp without time zone does not identify a point in time: each application must know its time zone.",
    safe="create table t (at timestamptz);",
    check=_of_type(
        _is("timestamp"),
        "{name} has no time zone, so it does not identify a point in time",
        "declare {name} as timestamptz",
    ),
    examples=(
        bad("alter table t alter column a type timestamp;"),
        *_examples(
            ("timestamp", "timestamp(3) without time zone", "timestamp[]"),
            ("timestamptz", "timestamp(3) with time zone", "time"),
        ),
    ),
)

CHAR = _type_rule(
    name="char-type",
    stake="PostgreSQL pads the values with spaces. Comparisons ignore the spaces; LIKE and regular expressions do not.",
    safe="create table t (code text check (length(code) = 3));",
    check=_of_type(_is("bpchar"), "char pads the values of {name} with spaces", "declare {name} as text"),
    examples=(
        bad("alter table t alter column a type char(3);"),
        *_examples(("char(3)", "character", "bpchar"), ("text", "varchar(3)", '"char"')),
    ),
)

VARCHAR = _type_rule(
    name="varchar-limit",
    stake="The limit saves no space, and lowering it rewrites the table. A CHECK can be changed without a rewrite.",
    safe="create table t (name text check (length(name) <= 50));",
    check=_of_type(
        lambda node: _is("varchar")(node) and bool(type_of(node).modifiers),
        "the length limit of {name} saves no space",
        "declare {name} as text, with a CHECK of its length if it has a limit",
    ),
    examples=(
        bad("alter table t alter column a type varchar(99);"),
        *_examples(("varchar(50)", "character varying(50)"), ("text", "varchar", "text check (length(a) <= 50)")),
    ),
)

JSON = _type_rule(
    name="json-type",
    stake="Each access parses the text again. "
    "The type has no equality operator, so DISTINCT, GROUP BY and indexes on the column fail.",
    safe="create table t (data jsonb);",
    check=_of_type(_is("json"), "each access to {name} parses the JSON text again", "declare {name} as jsonb"),
    examples=(
        bad("alter table t alter column a type json using a::json;"),
        *_examples(("json", "json[]"), ("jsonb", "text check (a::json is not null)")),
    ),
)

MONEY = _type_rule(
    name="money-type",
    stake="The format and precision of money depend on lc_monetary, and it does not store a currency.",
    safe="create table t (amount numeric(12, 2), currency text);",
    check=_of_type(
        _is("money"), "the format and precision of {name} depend on lc_monetary", "declare {name} as numeric(12, 2)"
    ),
    examples=(
        bad("alter table t alter column a type money;"),
        *_examples(("money", "money[]"), ("numeric(12, 2)", "text default 'money'")),
    ),
)

RULES = (SMALL_KEY, SERIAL, TIMESTAMP, CHAR, VARCHAR, JSON, MONEY)
