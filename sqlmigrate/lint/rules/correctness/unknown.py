"""Correctness: names of relations, columns and constraints that do not exist when the statement runs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.additions import additions
from sqlmigrate.lint.facts.function_bodies import parameters, queries_in
from sqlmigrate.lint.facts.questions import table_decider
from sqlmigrate.lint.facts.references import (
    Missing,
    catalog_after,
    complete_table,
    is_dropped,
    key_fault,
    missing_in,
    missing_in_query,
    persistence_fault,
)
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.safer import indexes
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.lint.schema.interpret.definitions import column_constraints, constrained_columns
from sqlmigrate.sql.tree import bodies, columns_in, qualified, relation, relations_in, strings, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Name
    from sqlmigrate.sql.parser import Node

QUERIES = ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "ViewStmt", "CreateTableAsStmt")
_DROPPED = ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_INDEX", "OBJECT_TYPE")
_T = "create table t (a int, b text); "


def _check_relations(case: Case) -> Iterator[Hit]:
    path = case.state.setting("search_path")
    is_pathless = path is not None and path.strip() in _NO_PATH
    if not (case.catalog.dropped or is_pathless) or case.statement.inner or case.node.get("missing_ok"):
        return
    for name in dict.fromkeys(named(case)):
        if is_dropped(case.catalog, name):
            yield Hit(f"{name[1]} does not exist: this file or an earlier file drops or renames it")
        elif is_pathless and not name[0] and not _is_found_anyway(case, name[1]):
            yield Hit(f"{name[1]} does not exist: search_path is empty", f"write the schema of {name[1]}")


# What `set search_path = ''` and set_config() set.
_NO_PATH = ("", '""')


def _is_found_anyway(case: Case, name: str) -> bool:
    """Whether an unqualified name is that of a temporary table, or may be one of pg_catalog, as those of types."""
    objects = case.catalog
    if ("", name) in _types([case.node.get("tableElts", ()), case.node.get("cmds", ())]):
        return True
    temporary = any(("pg_temp", name) in found for found in (objects.tables, objects.index_tables, objects.types))
    return temporary or name.startswith("pg_") or not name or bool(objects.uncertain) or name in objects.uncertain_names


def named(case: Case) -> Iterator[Name]:
    """Yields the relations and types that a statement requires."""
    node = case.node
    match case.kind:
        case "DropStmt" if node["removeType"] in (*_DROPPED, "OBJECT_DOMAIN"):
            yield from dropped_names(node)
        case "CreateStmt" if not (node.get("if_not_exists") and case.table):
            yield from relations_in([node.get("tableElts", ()), node.get("inhRelations", ())])
            yield from _types(node.get("tableElts", ()))
        case "AlterTableStmt":
            yield relation(node["relation"])
            yield from relations_in(node.get("cmds", ()))
            yield from _types(node.get("cmds", ()))
        case "CreateTableAsStmt" | "ViewStmt":
            yield from relations_in(node["query"])
        case "TruncateStmt" | "IndexStmt" | "CreateTrigStmt" | "RefreshMatViewStmt":
            yield from relations_in(node)
        case "RenameStmt" if "relation" in node:
            yield relation(node["relation"])
        case "AlterEnumStmt":
            yield qualified(node["typeName"])
        case "InsertStmt" if "valuesLists" in node.get("selectStmt", {}).get("SelectStmt", {}):
            yield relation(node["relation"])
        case kind if kind in QUERIES and "intoClause" not in node:
            yield from relations_in(node)


def _types(node: object) -> Iterator[Name]:
    """Yields the types of columns; built-in types have the schema pg_catalog."""
    for kind, body in walk(node):
        if kind == "typeName" and len(strings(body.get("names", ()))) > 0:
            yield qualified(body["names"])


GONE = Rule(
    name="unknown-relation",
    level=Level.ERROR,
    on=(
        *("DropStmt", "CreateStmt", "AlterTableStmt", "TruncateStmt", "IndexStmt", "CreateTrigStmt"),
        *("RefreshMatViewStmt", "RenameStmt", "AlterEnumStmt", *QUERIES),
    ),
    stake="The statement fails: the relation or type was dropped or renamed earlier.",
    safe="alter table t rename to u;\nalter table u add column a int;",
    check=_check_relations,
    examples=(
        bad("alter table t add column c int;", _T + "drop table t;"),
        bad("alter table t add column c int;", _T + "alter table t rename to u;"),
        bad("drop table t;", _T + "drop table t;"),
        bad("drop table t; create index i on t (a);", _T),
        bad("insert into t values (1);", _T + "alter table t set schema s;"),
        bad("select * from t;", "drop table t;"),
        bad("create view v as select * from t;", _T + "drop table t;"),
        bad("create table u (a int references t);", _T + "drop table t;"),
        bad("drop index i;", _T + "create index i on t (a); drop index i;"),
        bad("alter table t add column m mood;", _T + "create type mood as enum ('ok'); drop type mood;"),
        bad("select set_config('search_path', '', false); insert into t values (1);"),
        bad("set search_path = ''; create index concurrently i on t (a);"),
        good("set search_path = ''; insert into public.t values (1); select * from pg_class;"),
        good("set search_path = ''; create temp table t (a int); insert into t values (1);"),
        good("alter table t add column c int;", _T),
        good("drop table if exists t;", _T + "drop table t;"),
        good("alter table if exists t add column c int;", _T + "drop table t;"),
        good("alter table t add column c int;", _T + "drop table t; create table t (a int);"),
        good("create table t (a int);", _T + "drop table t;"),
        good("with t as (select 1) select * from t;", _T + "drop table t;"),
        good("alter table s.t add column c int;", _T + "drop table t;"),
        good("drop index i;", _T + "create index i on t (a); drop index i; create index i on t (b);"),
        good("select * from t;", _T + "do $$ begin execute format('drop table %I', 't'); end $$;"),
        good("select * from t;", _T + "do $$ begin if true then drop table t; end if; end $$;"),
        good("do $$ begin if false then drop table t; end if; end $$;", _T + "drop table t;"),
    ),
)


def _check_columns(case: Case) -> Iterator[Hit]:
    if case.statement.inner:
        return
    reported: set[tuple[str, Name]] = set()
    for column, table, node in _missing(case):
        if (column, table) not in reported and column not in case.statement.named("AT_AddColumn"):
            reported.add((column, table))
            by = table_decider(case, case.catalog.table(table))
            yield Hit(f"column {column} of {table[1]} does not exist", by=by, node=node if "location" in node else None)


def _missing(case: Case) -> Iterator[Missing]:  # noqa: C901  # one case for each kind of statement
    node, catalog = case.node, case.catalog
    match case.kind:
        case "AT_AddConstraint":
            body = node["def"]["Constraint"]
            yield from missing_in(catalog, case.name, constrained_columns(body), body)
            yield from _of_reference(case, body)
        case "AT_AddColumn":
            for body in column_constraints(node["def"]["ColumnDef"]):
                yield from _of_reference(case, body)
        case "IndexStmt":
            elements = [*bodies(node, "indexParams"), *bodies(node, "indexIncludingParams")]
            names = [element.get("name", "") for element in elements]
            read = columns_in([*(element.get("expr", {}) for element in elements), node.get("whereClause", {})])
            yield from missing_in(catalog, case.name, [*names, *read], {})
        case "RenameStmt" if node["renameType"] == "OBJECT_COLUMN" and not node.get("missing_ok"):
            yield from missing_in(catalog, relation(node.get("relation", {})), [node.get("subname", "")], {})
        case "CommentStmt" if node.get("objtype") == "OBJECT_COLUMN":
            parts = node["object"]["List"]["items"]
            yield from missing_in(catalog, qualified(parts[:-1]), strings(parts[-1:]), {})
        case "CreateTrigStmt":
            yield from missing_in(catalog, relation(node["relation"]), strings(node.get("columns", ())), {})
        case "CreateStmt":
            yield from _of_new_table(case)
        case kind if kind in QUERIES:
            yield from _of_query(case)
        case "CreateFunctionStmt":
            yield from _of_body(case)
        case kind if kind.startswith("AT_") and not node.get("missing_ok"):
            yield from missing_in(catalog, case.name, [node.get("name", "")], {})


def _of_reference(case: Case, body: Node) -> Iterator[Missing]:
    """Yields the missing columns that a foreign key references."""
    if "pktable" in body:
        yield from missing_in(case.catalog, relation(body["pktable"]), strings(body.get("pk_attrs", ())), body)


def _of_new_table(case: Case) -> Iterator[Missing]:
    elements = case.node.get("tableElts", ())
    columns = {item["ColumnDef"].get("colname", "") for item in elements if "ColumnDef" in item}
    copied = any("TableLikeClause" in item for item in elements) or "inhRelations" in case.node
    for item in elements:
        body = item.get("Constraint", {})
        for name in constrained_columns(body) if body and not copied and "ofTypename" not in case.node else ():
            if name not in columns:
                yield Missing(name, case.name, body)
        for constraint in (body, *column_constraints(item.get("ColumnDef", {}))):
            if relation(constraint.get("pktable", {})) != relation(case.node["relation"]):
                yield from _of_reference(case, constraint)


def _of_body(case: Case) -> Iterator[Missing]:
    """Yields the missing columns in the body of a function in SQL; the locations in it are not those of the file."""
    named = parameters(case.node)
    missing = (each for query in queries_in(case) for each in _of_query(query))
    yield from (each._replace(node={}) for each in missing if each.column not in named)


def _of_query(case: Case) -> Iterator[Missing]:
    node, target = case.node, relation(case.node.get("relation", {}))
    listed = {"InsertStmt": "cols", "UpdateStmt": "targetList"}.get(case.kind, "")
    for item in node.get(listed, ()):
        body = item.get("ResTarget", {})
        yield from missing_in(case.catalog, target, [body.get("name", "")], body)
    inferred = node.get("onConflictClause", {}).get("infer", {}).get("indexElems", ())
    names = [item["IndexElem"].get("name", "") for item in inferred]
    yield from missing_in(case.catalog, target, names, {})
    if case.kind == "SelectStmt" or "valuesLists" not in node.get("selectStmt", {}).get("SelectStmt", {}):
        yield from missing_in_query(case.catalog, case.kind, node)


COLUMN = Rule(
    name="unknown-column",
    level=Level.ERROR,
    on=(
        *("AT_DropColumn", "AT_AlterColumnType", "AT_ColumnDefault", "AT_SetNotNull", "AT_DropNotNull"),
        *("AT_AddIdentity", "AT_SetIdentity", "AT_DropIdentity", "AT_SetExpression", "AT_DropExpression"),
        *("AT_SetStatistics", "AT_SetStorage", "AT_SetCompression", "AT_AddConstraint", "AT_AddColumn"),
        *("IndexStmt", "RenameStmt", "CommentStmt", "CreateTrigStmt", "CreateStmt", "CreateFunctionStmt", *QUERIES),
    ),
    stake="The statement fails: the column does not exist.",
    safe="alter table t add column c int;\nalter table t alter column c set default 0;",
    check=_check_columns,
    examples=(
        bad("alter table t drop column c;", _T),
        bad("alter table t alter column c set not null;", _T),
        bad("alter table t rename column c to d;", _T),
        bad("alter table t add constraint k check (c > 0) not valid;", _T),
        bad("alter table t add foreign key (a) references u (c) not valid;", _T + "create table u (id int);"),
        bad("create index concurrently i on t (c);", _T),
        bad("create index concurrently i on t (a) where c > 0;", _T),
        bad("insert into t (a, c) values (1, 2);", _T),
        bad("update t set c = 1 where a = 1;", _T),
        bad("delete from t where c = 1;", _T),
        bad("select t.c from t join u on u.a = t.a;", _T),
        bad("create view v as select a, c from t;", _T),
        bad("comment on column t.c is 'x';", _T),
        bad("create table u (a int, primary key (c));"),
        bad("create table u (a int); alter table u drop column b;"),
        bad("create function f() returns int language sql as 'select c from t';", _T),
        bad("create function f() returns int language sql begin atomic select c from t; end;", _T),
        good("create function f(c int) returns int language sql as 'select c from t';", _T),
        good("set check_function_bodies = off; create function f() returns int language sql as 'select c from t';", _T),
        good("alter table t drop column if exists c;", _T),
        good("alter table t drop column c;"),
        good("alter table t alter a set not null;", _T),
        good("alter table t drop column c;", _T + "alter table t add column c int;"),
        good("alter table t add column c int, add check (c > 0) not valid;", _T),
        good("alter table t add check (c > 0) not valid, add column c int;", _T),
        good("select ctid, a as c from t order by c;", _T),
        good("select x.c from t as x (c, d);", _T),
        good("select t.c from (select 1 as c) t;", _T),
        good("with t as (select 1 as c) select t.c from t;", _T),
        good("select c from t, lateral (select 1 as c) u;", _T),
        good("update t set b = u.c from u where u.a = t.a;", _T),
        good("insert into t (a) values (1) on conflict (a) do update set b = excluded.b;", _T),
        good("select t from t;", _T),
        good("alter table q drop column c;", "create table p (c int); create table q (a int) inherits (p);"),
        good("alter table t drop column c;", _T + "do $$ begin execute 'alter table t add column c int'; end $$;"),
        good("select c from t;", _T + "do $$ begin execute format('alter table t add %I int', 'c'); end $$;"),
        good("do $$ declare c int; begin update t set a = c; end $$;", _T),
    ),
)


def _check_constraint(case: Case) -> Iterator[Hit]:
    if case.node.get("renameType", "OBJECT_TABCONSTRAINT") != "OBJECT_TABCONSTRAINT":
        return
    name, table = case.node.get("subname") or case.node.get("name", ""), complete_table(case.catalog, case.name)
    if case.statement.inner or case.node.get("missing_ok") or table is None or not name:
        return
    if table.constraint(name) is None and not name.endswith("not_null"):
        yield Hit(f"constraint {name} of {table.name[1]} does not exist", by=table_decider(case, table))


CONSTRAINT = Rule(
    name="unknown-constraint",
    level=Level.ERROR,
    on=("AT_DropConstraint", "AT_ValidateConstraint", "AT_AlterConstraint", "RenameStmt"),
    stake="The statement fails: the constraint does not exist.",
    safe="alter table t drop constraint if exists c;",
    check=_check_constraint,
    examples=(
        bad("alter table t drop constraint c;", _T),
        bad("alter table t validate constraint c;", _T),
        bad("alter table t rename constraint c to d;", _T),
        bad("create table u (a int primary key); alter table u drop constraint u_key;"),
        good("alter table t drop constraint c;", _T + "alter table t add constraint c check (a > 0);"),
        good("alter table t drop constraint if exists c;", _T),
        good("alter table t drop constraint c;"),
        good("alter table u drop constraint u_pkey;", "create table u (a int primary key);"),
        good("alter table u drop constraint u_a_b_key;", "create table u (a int, b int, unique (a, b));"),
        good("alter table u drop constraint u_a_fkey;", "create table u (a int references t);"),
        good("alter table u drop constraint u_a_not_null;", "create table u (a int not null);"),
        good(
            "alter table u drop constraint u_pkey;",
            "create table t (a int primary key); alter table t rename to u; "
            "alter table u rename constraint t_pkey to u_pkey;",
        ),
    ),
)


def _check_referenced_key(case: Case) -> Iterator[Hit]:
    if case.statement.inner or (case.node.get("if_not_exists") and case.table is not None):
        return
    for body in (addition.body for addition in additions(case) if "pktable" in addition.body):
        name = case.catalog.resolve(relation(body["pktable"]))
        is_itself = name in (case.name, relation(case.node.get("relation", {})))
        table = complete_table(catalog_after(case) if is_itself else case.catalog, name)
        if table is not None and (fault := key_fault(table, body)):
            safer = partial(indexes.after_unique_index, case, body, strings(body.get("pk_attrs", ())))
            yield Hit(fault, safer, table_decider(case, table), node=body)
        elif table is not None and not is_itself and (fault := persistence_fault(_persistence(case), table)):
            yield Hit(fault, by=table_decider(case, table), node=body)


def _persistence(case: Case) -> str:
    """Returns the persistence of the table that gets the foreign key, or an empty string if it is unknown."""
    if case.kind == "CreateStmt":
        return str(case.node["relation"].get("relpersistence", "p"))
    return case.table.persistence if case.table and case.table.created else ""


NO_KEY = Rule(
    name="foreign-key-without-key",
    level=Level.ERROR,
    on=("CreateStmt", "AT_AddConstraint", "AT_AddColumn"),
    stake="The statement fails: a foreign key must reference a primary key or the columns of a unique constraint, "
    "and a permanent table can reference only permanent tables.",
    safe="alter table r add constraint r_code_key unique using index r_code_key;\n"
    "alter table t add foreign key (code) references r (code) not valid;",
    check=_check_referenced_key,
    examples=(
        bad("create table u (a int references t);", _T),
        bad("create table u (a int references t (a));", _T),
        bad("alter table u add foreign key (a) references t (a) not valid;", _T + "create table u (a int);"),
        bad("alter table u add column a int references t;", _T),
        bad("create table u (a int references t (a));", _T + "create unique index i on t (a) where b <> '';"),
        bad("create table u (a int references t (a));", _T + "alter table t add unique (a, b);"),
        good("create table u (a int references t);", "create table t (a int primary key);"),
        bad("create table u (id int primary key, a int, up int references u (a));"),
        bad("create table u (id int, up int references u);"),
        bad("alter table t add foreign key (a) references t (a) not valid;", _T),
        bad("create table u (a int references r);", "create table r (a int, b int, primary key (a, b));"),
        bad("create table u (a int references r);", "create unlogged table r (a int primary key);"),
        good("alter table t add foreign key (a) references t (a) not valid, add unique (a);", _T),
        good("create table u (a int references t (a));", _T + "alter table t add unique (a);"),
        good("create table u (a int references t (a));", _T + "create unique index i on t (a);"),
        good("create table u (like t, foreign key (a, b) references t (a, b))", _T + "alter table t add unique (b, a)"),
        good("create table u (id int primary key, a int references u);"),
        good("create table u (a int references t);"),
    ),
)

RULES = (GONE, COLUMN, CONSTRAINT, NO_KEY)
