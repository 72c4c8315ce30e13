"""Correctness: objects that are created although they exist, and dropped although other objects depend on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.signatures import exact_types
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good, unsure
from sqlmigrate.lint.schema.interpret.changes import ROUTINES, dropped_names, is_named
from sqlmigrate.lint.schema.interpret.objects import view_name
from sqlmigrate.lint.schema.interpret.tables import new_name
from sqlmigrate.sql.tree import columns_in, qualified, relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Constraint, Creation, Name, Table
    from sqlmigrate.sql.parser import Node

    Existing = tuple[str, Name, Creation | None]

_DROPS = ("AT_DropColumn", "AT_DropConstraint")
_T = "create table t (a int, b text); "
_F = "create function f(a int) returns int language sql as 'select 1';"


def _is_sure(catalog: Catalog, name: Name) -> bool:
    """Returns whether the files fully describe a relation: no DO block, dynamic SQL or parent can have changed it."""
    table = catalog.tables.get(name)
    uncertain = bool(catalog.uncertain) and (table is None or table.partial)
    return name[1] not in catalog.uncertain_names and not uncertain and not (table and table.parents)


def _check_exists(case: Case) -> Iterator[Hit]:
    node = case.node
    if case.statement.inner or node.get("if_not_exists") or node.get("missing_ok") or node.get("skipIfNewValExists"):
        return
    for message, name, created in _existing(case):
        if _is_sure(case.catalog, name):
            yield Hit(message, by=case.decider(created))


def _is_dropped(case: Case, *names: str) -> bool:
    """Returns whether the same ALTER TABLE drops such a column or constraint: PostgreSQL drops before it adds."""
    return any(name in case.statement.named(subtype) for subtype in _DROPS for name in names)


def _existing(case: Case) -> Iterator[Existing]:  # noqa: C901, PLR0912  # one case for each kind of statement
    """Yields what a statement creates although it exists: the error, the object or its table, and its origin."""
    catalog, node = case.catalog, case.node
    match case.kind:
        case "CreateStmt":
            yield from _relation(catalog, new_name(catalog, node["relation"]))
        case "CreateTableAsStmt":
            yield from _relation(catalog, new_name(catalog, node["into"]["rel"]))
        case "ViewStmt" if not node.get("replace"):
            yield from _relation(catalog, view_name(catalog, node))
        case "IndexStmt" if "idxname" in node:
            yield from _relation(catalog, (case.name[0], node["idxname"]))
        case "CreateSeqStmt":
            yield from _relation(catalog, new_name(catalog, node["sequence"]))
        case "RenameStmt":
            yield from _renamed(case)
        case "CreateEnumStmt" | "CreateRangeStmt" | "CreateDomainStmt":
            yield from _type(catalog, qualified(node.get("typeName") or node["domainname"]))
        case "CompositeTypeStmt":
            yield from _type(catalog, relation(node["typevar"]))
        case "AlterEnumStmt":
            yield from _value(case)
        case "CreateSchemaStmt" if node.get("schemaname", "") in catalog.schemas:
            schema = node["schemaname"]
            yield f"schema {schema} already exists", (schema, schema), catalog.schemas[schema]
        case "CreateTrigStmt" if not node.get("replace") and case.table and node.get("trigname") in case.table.triggers:
            yield f"trigger {node['trigname']} of {case.name[1]} already exists", case.name, case.table.created
        case "CreateFunctionStmt" if not node.get("replace"):
            yield from _function(catalog, node)
        case "CreatePolicyStmt":
            table = catalog.table(relation(node["table"]))
            if table and node.get("policy_name") in table.policies:
                yield f"policy {node['policy_name']} of {table.name[1]} already exists", table.name, table.created
        case "AT_AddColumn" if case.table:
            column = case.table.columns.get(node["def"]["ColumnDef"].get("colname", ""))
            if column and not _is_dropped(case, column.name):
                created = column.created or case.table.created
                yield f"column {column.name} of {case.name[1]} already exists", case.name, created
        case "AT_AddConstraint" if case.table:
            yield from _added_constraint(case, case.table, node["def"]["Constraint"])


def _relation(catalog: Catalog, name: Name) -> Iterator[Existing]:
    """Yields the relation of a name: tables, views, indexes and sequences share one namespace."""
    table = catalog.tables.get(name)
    indexed = catalog.tables.get(catalog.index_tables.get(name, ("", "")))
    if table is not None and not (table.partial and table.created is None):
        kind = "table" if table.kind == "partitioned" else table.kind
        yield f"{kind} {name[1]} already exists", name, table.created
    elif indexed is not None:
        index = catalog.index(name)
        yield f"index {name[1]} already exists", indexed.name, index.created if index else None
    elif name in catalog.sequences:
        yield f"sequence {name[1]} already exists", name, catalog.sequences[name]


def _renamed(case: Case) -> Iterator[Existing]:
    kind, new, table = case.node["renameType"], case.node.get("newname", ""), case.table
    if kind in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_INDEX", "OBJECT_SEQUENCE"):
        yield from _relation(case.catalog, (case.name[0], new))
    elif table and kind == "OBJECT_COLUMN" and new in table.columns:
        yield f"column {new} of {case.name[1]} already exists", case.name, table.columns[new].created
    elif table and kind == "OBJECT_TABCONSTRAINT" and table.constraint(new):
        yield f"constraint {new} of {case.name[1]} already exists", case.name, table.created


def _type(catalog: Catalog, name: Name) -> Iterator[Existing]:
    new_type = catalog.name_to_create(name)
    existing = catalog.types.get(new_type)
    if existing is not None and existing.created is not None:
        yield f"type {name[1]} already exists", new_type, existing.created


def _function(catalog: Catalog, node: Node) -> Iterator[Existing]:
    name = catalog.name_to_create(qualified(node["funcname"]))
    function = catalog.functions.get(name)
    if function and function.node and exact_types(function.node) == exact_types(node):
        yield f"function {name[1]} already exists with the same argument types", name, function.created


def _value(case: Case) -> Iterator[Existing]:
    name = case.catalog.resolve(qualified(case.node["typeName"]), case.catalog.types)
    enum, value = case.catalog.types.get(name), case.node.get("newVal", "")
    if enum is not None and value in enum.values and case.node.get("oldVal") != value:
        yield f"value '{value}' of {name[1]} already exists", name, enum.values[value] or enum.created


def _added_constraint(case: Case, table: Table, body: Node) -> Iterator[Existing]:
    same_name = table.constraint(body["conname"]) if "conname" in body else None
    primary_key = table.primary_key if body["contype"] == "CONSTR_PRIMARY" else None
    existing, message = same_name or primary_key, f"multiple primary keys for table {table.name[1]} are not allowed"
    if same_name:
        message = f"constraint {same_name.name} of {table.name[1]} already exists"
    if existing and not _is_dropped(case, existing.name, *existing.columns):
        yield message, table.name, existing.created or table.created


_MOOD = "create type mood as enum ('ok');"
_TRIGGER = "create trigger x after insert on t execute function f();"

EXISTS = Rule(
    name="exists-already",
    level=Level.ERROR,
    on=(
        *("CreateStmt", "CreateTableAsStmt", "ViewStmt", "IndexStmt", "CreateSeqStmt", "RenameStmt"),
        *("CreateEnumStmt", "CreateRangeStmt", "CreateDomainStmt", "CompositeTypeStmt", "AlterEnumStmt"),
        *(
            "CreateSchemaStmt",
            "CreateFunctionStmt",
            "CreateTrigStmt",
            "CreatePolicyStmt",
            "AT_AddColumn",
            "AT_AddConstraint",
        ),
    ),
    stake="The statement fails: an object of this name already exists.",
    safe="create table if not exists t (a int);\nalter table t add column if not exists b int;",
    check=_check_exists,
    examples=(
        bad("create table t (a int);", _T),
        bad("create table t (a int); create table t (a int);"),
        bad("create view t as select 1;", _T),
        bad("alter table t add column a bigint;", _T),
        bad("alter table t add column c int, add column c int;"),
        bad("alter table t rename column a to b;", _T),
        bad("alter table t rename to u;", _T + "create table u (a int);"),
        bad("create index concurrently i on t (b);", _T + "create index i on t (a);"),
        bad(_MOOD, _MOOD),
        bad("alter type mood add value 'ok';", _MOOD),
        bad("alter table t add constraint k unique (b);", _T + "alter table t add constraint k unique (a);"),
        bad("alter table t add primary key using index i;", "create table t (a int primary key);"),
        bad("create function f(b int) returns int language sql as 'select 2';", _F),
        good("create function f(b text) returns int language sql as 'select 2';", _F),
        good("create or replace function f(a int) returns int language sql as 'select 2';", _F),
        good("alter table t add primary key (b), drop constraint t_pkey;", "create table t (a int primary key);"),
        good("alter table t add primary key (b), drop column a;", "create table t (a int primary key, b int);"),
        bad(_TRIGGER, _T + _TRIGGER),
        bad("create schema s;", "create schema s;"),
        good("create table if not exists t (a int);", _T),
        good("create or replace view v as select 1 as a;", "create view v as select 1 as a;"),
        good("alter table t add column if not exists a int;", _T),
        good("alter table t add column a bigint, drop column a;", _T),
        good("create table s.t (a int);", _T),
        good("create table t (a int);", _T + "drop table t;"),
        good("drop table t; create sequence s;", _T + "create sequence s owned by t.a;"),
        good("alter table t add column a int;", _T + "alter table t drop column a;"),
        good("create temp table t (a int);", _T),
        good("alter type mood add value if not exists 'ok';", _MOOD),
        good("create index on t (a);", _T + "create index on t (a);"),
        good(_MOOD, f"do $$ begin if false then {_MOOD} end if; end $$;"),
        good(f"do $$ begin {_MOOD} exception when duplicate_object then null; end $$;", _MOOD),
        good("alter table t add a int;", _T + "do $$ begin execute format('alter table t drop %I', 'a'); end $$;"),
    ),
)


def _check_dependents(case: Case) -> Iterator[Hit]:
    node = case.node
    if case.statement.inner or node.get("behavior") == "DROP_CASCADE" or case.catalog.uncertain:
        return
    if case.kind == "DropStmt":
        yield from _of_drop(case)
    elif case.table is not None:
        yield from _of_column(case, case.table, node.get("name", ""))


def _of_drop(case: Case) -> Iterator[Hit]:
    catalog, names = case.catalog, dropped_names(case.node)
    kind = case.node["removeType"]
    dropped = [catalog.resolve(name) for name in names]
    if kind in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW"):
        referring = {table.name: table for name in dropped for table in catalog.referring(name)}
        for table in (table for table in referring.values() if table.name not in dropped):
            used = next((name for name in dropped if name in table.reads), None)
            referred = next((constraint for constraint in table.constraints if constraint.references in dropped), None)
            if used and _is_sure(catalog, used) and _is_sure(catalog, table.name):
                yield _dependent(case, f"{table.kind} {table.name[1]}", used[1], table.created)
            elif referred and referred.references and _is_sure(catalog, table.name):
                what = f"foreign key {referred.name} of {table.name[1]}"
                yield _dependent(case, what, referred.references[1], referred.created or table.created)
    elif kind in ROUTINES:
        yield from _of_function(case, [catalog.resolve(name, catalog.functions) for name in names])
    elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
        yield from _of_type(case, [catalog.resolve(name, catalog.types) for name in names])
    elif kind == "OBJECT_SCHEMA":
        for name in (name for _, schema in names for name in catalog.tables.of_schema(schema)):
            if _is_sure(catalog, name):
                yield _dependent(case, name[1], name[0], catalog.tables[name].created)


def _sure_tables(catalog: Catalog, used: Iterable[Name]) -> list[Table]:
    """Returns the tables that may use one of some types or functions."""
    users = [table.name for _, name in used for table in catalog.using(name)]
    return [catalog.tables[name] for name in catalog.tables.in_order(users) if _is_sure(catalog, name)]


def _of_function(case: Case, dropped: list[Name]) -> Iterator[Hit]:
    for table in _sure_tables(case.catalog, dropped):
        for trigger, function in table.triggers.items():
            if function in dropped:
                yield _dependent(case, f"trigger {trigger} of {table.name[1]}", function[1], table.created)


def _of_type(case: Case, dropped: list[Name]) -> Iterator[Hit]:
    for table in _sure_tables(case.catalog, dropped):
        for column in (column for column in table.columns.values() if column.type):
            used = [name for name in dropped if column.type and is_named(case.catalog, column.type.name, name)]
            if used:
                yield _dependent(case, f"column {column.name} of {table.name[1]}", used[0][1], table.created)


def _of_column(case: Case, table: Table, column: str) -> Iterator[Hit]:
    """Yields what depends on a column that is dropped or changes its type, or on a dropped key constraint."""
    if case.kind == "AT_DropConstraint":
        yield from _of_key(case, table, table.constraint(column))
        return
    if case.node.get("missing_ok") and not table.partial and column not in table.columns:
        return
    for view in (view for view in case.catalog.referring(table.name) if table.name in view.reads):
        sure = _reads_column(case, view, table, column)
        if sure is not False:
            what = f"{view.kind} {view.name[1]}"
            yield _dependent(case, what, column, view.created)._replace(certain=bool(sure))
    if column in table.keys:
        yield _dependent(case, f"the partition key of {table.name[1]}", column, table.created)
    for generated in (generated for generated in table.columns.values() if generated.generated):
        if generated.name != column and column in columns_in(generated.default):
            yield _dependent(case, f"generated column {generated.name}", column, generated.created or table.created)
    for key in table.constraints if case.kind == "AT_DropColumn" else ():
        if column in key.columns:
            yield from _of_key(case, table, key)


def _of_key(case: Case, table: Table, key: Constraint | None) -> Iterator[Hit]:
    """Yields the foreign keys that reference the columns of a key, which no other unique index has."""
    if key is None or key.kind not in ("primary", "unique"):
        return
    indexes = [index for index in table.indexes if index.unique and set(index.columns) == set(key.columns)]
    for referencing in case.catalog.referring(table.name) if len(indexes) < 2 else ():
        is_other = referencing.name != table.name and _is_sure(case.catalog, referencing.name)
        for constraint in referencing.constraints if is_other else ():
            referenced = constraint.referenced or (table.primary_key.columns if table.primary_key else ())
            if constraint.references == table.name and set(referenced) == set(key.columns):
                what = f"foreign key {constraint.name} of {referencing.name[1]}"
                yield _dependent(case, what, key.name, constraint.created or referencing.created)


def _reads_column(case: Case, view: Table, table: Table, column: str) -> bool | None:
    """Returns whether a view reads a column of a table; None if the column may belong to another table."""
    if column not in view.read_columns:
        return None if "*" in view.read_columns and column not in table.columns else False
    sources = (case.catalog.tables.get(name) for name in view.reads if name != table.name)
    if any(source is None or source.partial or column in source.columns for source in sources):
        return None
    return True if _is_sure(case.catalog, view.name) else None


def _dependent(case: Case, what: str, on: str, created: Creation | None) -> Hit:
    by = Decider.FILE if created is None else case.decider(created)
    return Hit(
        f"cannot drop or change {on}: {what} depends on it", f"drop {what} first, and create it again after this", by
    )


_V = _T + "create view v as select a from t; "
_USED_FUNCTION = f"{_T}create function f() returns trigger language plpgsql as 'begin return new; end'; {_TRIGGER}"
_R = "create table r (id int primary key); create table t (a int references r);"

DEPENDANTS = Rule(
    name="has-dependants",
    level=Level.ERROR,
    on=("DropStmt", "AT_DropColumn", "AT_AlterColumnType", "AT_DropConstraint"),
    stake="The statement fails: other objects depend on the object.",
    safe="drop view v;\nalter table t drop column a;\ncreate view v as select b from t;",
    check=_check_dependents,
    examples=(
        bad("alter table t drop column a;", _V),
        bad("alter table t alter column a type bigint;", _V),
        bad("drop table t;", _V),
        bad("alter table t drop column a;", _T + "create materialized view v as select * from t;"),
        bad("drop view v;", _V + "create view w as select * from v;"),
        bad("drop table r;", _R),
        bad("drop type mood;", _MOOD + "create table t (m mood);"),
        bad("alter table r drop constraint r_pkey;", _R),
        bad("alter table r drop column id;", _R),
        bad("alter table t drop column a;", "create table t (a int, b int generated always as (a + 1) stored);"),
        bad("drop schema s;", "create table s.t (a int);"),
        bad("alter table t drop column a;", "create table t (a int, b int) partition by range (a);"),
        unsure("alter table t drop column a;", _T + "create view v as select t.b, u.a from t, u;"),
        bad("drop function f();", _USED_FUNCTION),
        good("drop trigger x on t; drop function f();", _USED_FUNCTION),
        good("alter table t drop column b;", _V),
        good("alter table t drop column a cascade;", _V),
        good("drop view v; alter table t drop column a;", _V),
        good("drop table t;", _T + "create view v as select 1 as a;"),
        good("drop table t cascade;", _V),
        good("alter table t alter column b type varchar(9);", _V),
        good("alter table t drop column c;", _T + "create view v as select * from t; alter table t add column c int;"),
        good("drop table t;", _R),
        good("drop table r, t;", _R),
        good("drop type mood;", _MOOD + "create table t (m text);"),
        good("alter table r drop constraint r_pkey;", "create table r (id int primary key);"),
        good("alter table t drop column a;", _V + "do $$ begin execute format('drop view %I', 'v'); end $$;"),
        good("drop schema s;", "create schema s;"),
    ),
)

RULES = (EXISTS, DEPENDANTS)
