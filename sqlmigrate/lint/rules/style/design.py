"""Style rules about designs that are hard to change later, and about statements that can be one or run once only."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.usage import relation_in_use
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.rules.correctness.refused import foreign_keys
from sqlmigrate.lint.rules.style.column_types import LIMITS, is_lasting
from sqlmigrate.lint.schema.interpret.definitions import column_constraints, constrained_columns
from sqlmigrate.sql.tree import bodies, qualified, relation, strings, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.datatype import Type
    from sqlmigrate.sql.parser import Node

_rule = partial(Rule, level=Level.NOTICE)
_SMALLER = {"int2": "smallint", "int4": "integer"}


def _check_overflow(case: Case) -> Iterator[Hit]:
    if not is_lasting(case):
        return
    for body, columns in foreign_keys(case):
        table = case.catalog.table(relation(body["pktable"]))
        primary = table.primary_key.columns if table and table.primary_key else ()
        for (name, type_), key in zip(columns, strings(body.get("pk_attrs", ())) or primary, strict=False):
            key_type = table.columns[key].type if table and key in table.columns else None
            if _is_smaller(type_, key_type):
                yield _overflow(name, type_, f"it references {key}, which is {key_type}", body)
    for column in _new_columns(case):
        calls = [qualified(call.get("funcname", ()))[1] for kind, call in walk(column) if kind == "FuncCall"]
        type_name = strings(column.get("typeName", {}).get("names", ()))[-1:]
        if "nextval" in calls and type_name and type_name[0] in _SMALLER:
            yield Hit(
                f"{column.get('colname')} is {_SMALLER[type_name[0]]}, with at most {LIMITS[type_name[0]]} values: "
                "a sequence counts further",
                f"{column.get('colname')} bigint",
                node=column,
            )


def _is_smaller(type_: Type | None, key: Type | None) -> bool:
    sizes = ("int2", "int4", "int8")
    known = type_ is not None and key is not None and type_.name in sizes and key.name in sizes
    return bool(known and type_ and key and sizes.index(type_.name) < sizes.index(key.name))


def _overflow(name: str, type_: Type | None, why: str, node: Node) -> Hit:
    limit = LIMITS[type_.name] if type_ else ""
    return Hit(f"{name} is {type_}, with at most {limit} values: {why}", f"{name} bigint", node=node)


def _new_columns(case: Case) -> list[Node]:
    items = case.node.get("tableElts", ()) if case.kind == "CreateStmt" else [case.node.get("def", {})]
    return [item["ColumnDef"] for item in items if "ColumnDef" in item]


_R = "create table r (id bigint primary key); "

OVERFLOW = _rule(
    name="integer-overflow",
    on=("CreateStmt", "AT_AddColumn", "AT_AddConstraint"),
    stake="INSERT fails when the key exceeds the type, and changing the column to bigint rewrites the table.",
    safe="create table t (r_id bigint references r);",
    check=_check_overflow,
    examples=(
        bad("create table t (r_id int references r);", _R),
        bad("create table t (r_id int, foreign key (r_id) references r (id));", _R),
        bad("alter table t add column r_id smallint references r;", _R),
        bad("alter table t add foreign key (r_id) references r not valid;", _R + "create table t (r_id int);"),
        bad("create table t (n int default nextval('s'));"),
        good("create table t (r_id bigint references r);", _R),
        good("create table t (r_id int references r);", "create table r (id int primary key);"),
        good("create table t (r_id int references r);"),
        good("create table t (n bigint default nextval('s'), m serial);"),
    ),
)


def _check_enum(case: Case) -> Iterator[Hit]:
    if not case.state.down:
        name = qualified(case.node["typeName"])[1]
        yield Hit(
            f"a value of {name} can be added and renamed, but never removed",
            "declare the columns as text, with a CHECK of the values",
        )


ENUM = _rule(
    name="enum-type",
    on=("CreateEnumStmt",),
    stake="ALTER TYPE can add and rename values but not remove or reorder them; that needs a new type and a rewrite of "
    "each table.",
    safe="create table t (mood text constraint t_mood_check check (mood in ('ok', 'bad')));",
    check=_check_enum,
    examples=(
        bad("create type mood as enum ('ok', 'bad');"),
        bad("create type s.mood as enum ();"),
        good("create type address as (street text);"),
        good("create table t (mood text check (mood in ('ok', 'bad')));"),
        good("alter type mood add value 'good';"),
        down("create type mood as enum ('ok');"),
    ),
)


def _check_domain(case: Case) -> Iterator[Hit]:
    kinds = {body["contype"] for body in column_constraints(case.node)}
    if not case.state.down and kinds & {"CONSTR_CHECK", "CONSTR_NOTNULL"}:
        name = qualified(case.node["domainname"])[1]
        yield Hit(
            f"each later constraint of {name} scans every table that uses it, under locks that block writes",
            "use the base type, and CHECK constraints of the tables",
        )


DOMAIN = _rule(
    name="domain-with-constraint",
    on=("CreateDomainStmt",),
    stake="A new constraint of the domain scans every table with such a column in one transaction, which blocks their "
    "writes. Adding a column of the domain rewrites the table.",
    safe="create table t (email text constraint t_email_check check (email ~ '@'));",
    check=_check_domain,
    examples=(
        bad("create domain email as text check (value ~ '@');"),
        bad("create domain email as text not null;"),
        good("create domain email as text;"),
        good("create domain email as text default '';"),
        down("create domain email as text check (value ~ '@');"),
    ),
)

_MANY = 5
_WIDE = ("json", "jsonb", "bytea", "xml", "tsvector", "hstore")


def _check_wide(case: Case) -> Iterator[Hit]:
    names, node = _indexed(case)
    method = node.get("accessMethod", "btree")
    if not names or case.state.down or method != "btree":
        return
    if len(names) > _MANY:
        yield Hit(f"the index has {len(names)} columns: it is as large as the table, and slows down each write")
    columns = case.table.columns if case.table is not None else {}
    types = {name: columns[name].type for name in names if name in columns}
    wide = [name for name, type_ in types.items() if type_ and (type_.array or type_.name in _WIDE)]
    if wide:
        yield Hit(
            f"an INSERT fails if {wide[0]}, which is {types[wide[0]]}, has a value of more than 2,704 bytes",
            "index a hash or a part of the value, or its elements with GIN",
        )


def _indexed(case: Case) -> tuple[tuple[str, ...], Node]:
    """Returns the columns of the index that a statement builds, keys and INCLUDE, with the node that describes it."""
    if case.kind == "IndexStmt":
        elements = [*bodies(case.node, "indexParams"), *bodies(case.node, "indexIncludingParams")]
        return tuple(element.get("name", "") for element in elements), case.node
    body = case.node["def"]["Constraint"]
    is_unique = body["contype"] in ("CONSTR_UNIQUE", "CONSTR_PRIMARY") and "indexname" not in body
    return (*constrained_columns(body), *strings(body.get("including", ()))) if is_unique else (), {}


_SIX = "create table t (a int, b int, c int, d int, e int, f int, j jsonb, l text[]);"

WIDE = _rule(
    name="wide-index",
    on=("IndexStmt", "AT_AddConstraint"),
    stake="PostgreSQL updates the index at each write of one of its columns, and rejects a value of more than about a "
    "third of a page.",
    safe="create index concurrently t_a_b_idx on t (a, b);",
    check=_check_wide,
    examples=(
        bad("create index concurrently i on t (a, b, c, d, e, f);"),
        bad("create index concurrently i on t (a) include (b, c, d, e, f);"),
        bad("create index concurrently i on t (j);", _SIX),
        bad("create index concurrently i on t (a, l);", _SIX),
        bad("alter table t add unique (a, b, c, d, e, f);", _SIX),
        good("create index concurrently i on t (a, b, c);", _SIX),
        good("create index concurrently i on t using gin (j);", _SIX),
        good("create index concurrently i on t ((j ->> 'a'));", _SIX),
        good("create index concurrently i on t using brin (a, b, c, d, e, f);"),
        down("create index i on t (a, b, c, d, e, f);"),
    ),
)

# Subcommands that must be separate statements, or belong into another transaction.
_SEPARATE = ("AT_AttachPartition", "AT_DetachPartition", "AT_DetachPartitionFinalize", "AT_ValidateConstraint")


def _check_combine(case: Case) -> Iterator[Hit]:
    state, statement = case.state, case.statement
    ran = (state.before or (state.earlier if state.each_alone else []))[-1:]
    if statement.inner or state.down or not ran or ran[0].kind != "AlterTableStmt":
        return
    first, second = ran[0].body, case.node
    is_same = case.catalog.resolve(relation(first["relation"])) == case.name
    kinds = {command["subtype"] for command in (*ran[0].commands, *statement.commands)}
    names = [{_named(command) for command in part.commands} - {""} for part in (ran[0], statement)]
    objects = {first.get("objtype"), second.get("objtype")}
    combines = is_same and objects == {"OBJECT_TABLE"} and kinds.isdisjoint(_SEPARATE) and names[0].isdisjoint(names[1])
    if combines and relation_in_use(case, case.name):
        yield Hit(
            f"this ALTER TABLE and that of line {ran[0].line} can be one, which locks {case.name[1]} once and "
            "makes one pass over its rows",
            f"write the subcommands into the ALTER TABLE of line {ran[0].line}",
        )


def _named(command: Node) -> str:
    return str(command.get("name") or command.get("def", {}).get("ColumnDef", {}).get("colname", ""))


COMBINE = _rule(
    name="combine-alter-table",
    on=("AlterTableStmt",),
    stake="Each ALTER TABLE waits for its lock, and scans or rewrites the table for itself. One statement with several "
    "subcommands does so once.",
    safe="alter table t add column a int, add column b int;",
    check=_check_combine,
    examples=(
        bad("alter table t add column a int; alter table t add column b int;"),
        bad("alter table t alter a type bigint; alter table only t alter b type bigint;"),
        bad("-- sqlmigrate: transaction=off\n\nalter table t add column a int; alter table t add column b int;"),
        good("alter table t add column a int, add column b int;"),
        good("alter table t add column a int; alter table u add column a int;"),
        good("alter table t add column a int; update u set b = 1 where id = 1; alter table t add column b int;"),
        good("alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c;"),
        good("alter table t drop constraint c; alter table t add column c int;"),
        good("create table t (a int); alter table t add column b int; alter table t add column c int;"),
        good("begin; alter table t add column a int; commit; begin; alter table t add column b int; commit;"),
    ),
)

RULES = (OVERFLOW, ENUM, DOMAIN, WIDE, COMBINE)
