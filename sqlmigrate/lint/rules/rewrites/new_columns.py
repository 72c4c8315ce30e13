"""Rules about new columns that rewrite the table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import domain_default, is_constrained_domain, is_new
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good, per_case, unsure
from sqlmigrate.lint.rules.wording import BLOCKS_ALL, REWRITES
from sqlmigrate.lint.safer import batches
from sqlmigrate.lint.schema.datatype import is_serial, type_of
from sqlmigrate.lint.schema.interpret.definitions import column_of
from sqlmigrate.lint.schema.volatility import is_volatile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Column
    from sqlmigrate.sql.parser import Node

_rule = partial(Rule, level=Level.WARNING, on=("AT_AddColumn",))

_DOMAIN_DEFAULT = "add the column with DEFAULT NULL, drop that default, then fill the existing rows in batches"


def is_table_in_use(case: Case) -> bool:
    """Whether the case changes an existing table, not another relation."""
    return case.statement.body.get("objtype") == "OBJECT_TABLE" and not is_new(case)


@per_case
def added_columns(case: Case) -> list[tuple[Column, Node]]:
    """Returns the column that ADD COLUMN adds to an existing table, with its ColumnDef."""
    node = case.node["def"]["ColumnDef"]
    column = column_of(node)
    exists = case.node.get("missing_ok") and case.table is not None and column.name in case.table.columns
    return [(column, node)] if is_table_in_use(case) and not exists else []


def _check_volatile_default(case: Case) -> Iterator[Hit]:
    for column, node in added_columns(case):
        if column.generated or column.identity or is_serial(node["typeName"]):  # which other rules report
            continue
        inherited = domain_default(case.catalog, column.type) if column.default is None else None
        volatile = is_volatile(inherited[1] if inherited else column.default, case.catalog)
        if volatile:
            of_domain = f" from domain {inherited[0].name[1]}" if inherited else ""
            yield Hit(
                f"the volatile default of {column.name}{of_domain} rewrites {case.name[1]} {BLOCKS_ALL}",
                _DOMAIN_DEFAULT if inherited else partial(batches.filled_in_batches, case, node),
                decider(case, inherited[0].created) if inherited else Decider.FILE,
                node=node,
            )
        elif volatile is None:
            yield Hit(f"whether the function in the default of {column.name} is volatile", certain=False, node=node)


_F = "alter table t add column a text default f();"

VOLATILE_DEFAULT = _rule(
    name="volatile-default-rewrites",
    stake=f"{REWRITES} A constant or stable default does not.",
    safe="alter table t add column id uuid;\nalter table t alter column id set default gen_random_uuid();"
    "\n-- then update the existing rows in batches",
    check=_check_volatile_default,
    examples=(
        bad("alter table t add column a uuid default gen_random_uuid();"),
        bad("alter table t add column a float not null default random();"),
        bad("alter table t add column a text default 'x' || random()::text;"),
        bad("alter table t add column a bigint default nextval('s');"),
        bad(_F, "create function f() returns text language plpgsql as '';"),
        bad(_F, "create function f() returns text language sql as 'select md5(random()::text)';"),
        bad(_F, "create function f() returns text return random(1, 6)::text;"),
        bad(_F, "create function f() returns text language sql as 'select count(*)::text from u';"),
        bad("alter table t add column a d;", "create domain d as uuid default gen_random_uuid();"),
        bad("alter table t add column a e;", "create domain d as float default random(); create domain e as d;"),
        bad("create domain d as bigint; alter domain d set default nextval('s'); alter table t add column a d;"),
        good("alter table t add column a d default null;", "create domain d as uuid default gen_random_uuid();"),
        good("alter table t add column a d[];", "create domain d as uuid default gen_random_uuid();"),
        good("alter table t add column a d;", "create domain d as timestamptz default now();"),
        good(_F, "create function f() returns text language sql as 'select upper(current_user)';"),
        good("alter table t add column a timestamptz not null default now();"),
        good("alter table t add column a date default current_date;"),
        good("alter table t add column a timestamptz default now() + interval '1 day';"),
        good("alter table t add column a text default md5('a');"),
        good("alter table t add column a int not null default 0;"),
        good("alter table t add column a text generated always as (f(b)) stored;"),
        good("alter table t add column a bigserial;"),
        good(_F, "create function f() returns text immutable return 'x';"),
        good("create table t (b int); alter table t add column a uuid default gen_random_uuid();"),
        unsure("alter table t add column a text default make_slug();"),
    ),
)


def _check_serial(case: Case) -> Iterator[Hit]:
    for column, node in added_columns(case):
        if column.identity or is_serial(node["typeName"]):
            yield Hit(
                f"numbering the existing rows in {column.name} rewrites {case.name[1]} {BLOCKS_ALL}",
                f"add {column.name} as a plain column, update the existing rows in batches, then add the identity",
                node=node,
            )


SERIAL = _rule(
    name="serial-column-rewrites",
    stake=f"{REWRITES} Each existing row gets its own number.",
    safe="alter table t add column id bigint;\n"
    "-- update the rows in batches; add a valid CHECK (id is not null); SET NOT NULL\n"
    "alter table t alter column id add generated always as identity;",
    check=_check_serial,
    examples=(
        bad("alter table t add column a serial;"),
        bad("alter table t add column a smallserial;"),
        bad("alter table t add column a bigint generated always as identity;"),
        bad("alter table t add column if not exists a int generated by default as identity;"),
        good("create table t (b int); alter table t add column a bigserial;"),
        good("alter table t add column a bigint;"),
        good("create temp table t (b int); alter table t add column a serial;"),
        good("alter table t add column if not exists a serial;", "create table t (a serial);"),
    ),
)


def _check_generated(case: Case) -> Iterator[Hit]:
    for column, node in added_columns(case):
        if column.generated == "stored":
            yield Hit(
                f"adding the stored generated column {column.name} rewrites {case.name[1]} {BLOCKS_ALL}",
                f"make {column.name} VIRTUAL (PostgreSQL 18), "
                "or add a plain column and a trigger and update the rows in batches",
                node=node,
            )


GENERATED = _rule(
    name="generated-column-rewrites",
    stake=f"{REWRITES} A virtual generated column does not.",
    safe="alter table t add column total numeric generated always as (price * count) virtual; -- PostgreSQL 18",
    check=_check_generated,
    examples=(
        bad("alter table t add column b int generated always as (a * 2) stored;"),
        bad("alter table t add column if not exists b int generated always as (a) stored not null;"),
        bad("create table u (a int); alter table t add column b int generated always as (a) stored;"),
        good("alter table t add column b int generated always as (a * 2) virtual;"),
        good("alter table t add column b int generated always as (a * 2);"),
        good("create table t (a int); alter table t add column b int generated always as (a) stored;"),
        good("alter table t add column b int;"),
    ),
)


def _check_domain(case: Case) -> Iterator[Hit]:
    for _, node in added_columns(case):
        type_ = type_of(node["typeName"])
        constrained = False if type_.array else is_constrained_domain(case.catalog, type_)
        if constrained:
            domain = case.catalog.type(type_.name)
            yield Hit(
                f"adding a column of {type_}, a domain with a constraint, rewrites {case.name[1]} {BLOCKS_ALL}",
                "use the domain's base type, and add the constraint to the table NOT VALID",
                decider(case, domain.created if domain else None),
                node=node,
            )
        elif constrained is None:
            yield Hit(f"whether {type_} is a domain with a constraint", certain=False, node=node)


DOMAIN = _rule(
    name="constrained-domain-rewrites",
    stake=f"{REWRITES} PostgreSQL checks the domain's constraint for each row.",
    safe="alter table t add column email text;\n"
    "alter table t add constraint email_ok check (email ~ '@') not valid;\nalter table t validate constraint email_ok;",
    check=_check_domain,
    examples=(
        bad("alter table t add column a d;", "create domain d as text check (value <> '');"),
        bad("alter table t add column a d;", "create domain d as text not null default 'x';"),
        bad("alter table t add column a d default 'x';", "create domain d as text check (value <> '');"),
        bad("create domain d as int check (value > 0); alter table t add column a d;"),
        bad("alter table t add column a e;", "create domain d as int check (value > 0); create domain e as d;"),
        good("alter table t add column a d;", "create domain d as text;"),
        good("alter table t add column a d[];", "create domain d as text check (value <> '');"),
        good("alter table t add column a mood;", "create type mood as enum ('ok');"),
        good("alter table t add column a text;"),
        good("create table t (b int); alter table t add column a d;", "create domain d as int check (value > 0);"),
        unsure("alter table t add column a d;"),
    ),
)

RULES = (VOLATILE_DEFAULT, SERIAL, GENERATED, DOMAIN)
