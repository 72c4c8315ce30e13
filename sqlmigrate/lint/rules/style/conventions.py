"""Style rules about names, keys, comments and views."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level, Safer
from sqlmigrate.lint.rule import Case, Example, Hit, Rule, bad, good
from sqlmigrate.lint.rules.style.column_types import elements, is_lasting
from sqlmigrate.lint.safer import objects
from sqlmigrate.lint.schema.interpret.changes import RELATIONS
from sqlmigrate.lint.schema.interpret.definitions import KINDS, column_constraints
from sqlmigrate.lint.schema.interpret.tables import new_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Table
    from sqlmigrate.sql.parser import Node

_NAMED = ("CONSTR_CHECK", "CONSTR_UNIQUE", "CONSTR_FOREIGN", "CONSTR_EXCLUSION")


def _constraints(case: Case) -> Iterator[tuple[str, Node]]:
    """Yields the table and column constraints that a statement adds, each with its column or an empty text."""
    for element in elements(case):
        if "Constraint" in element:
            yield "", element["Constraint"]
        else:
            column = element.get("ColumnDef", {})
            yield from ((column.get("colname", ""), body) for body in column_constraints(column))


def _check_unnamed(case: Case) -> Iterator[Hit]:
    for column, node in _constraints(case) if is_lasting(case) else ():
        if node["contype"] in _NAMED and "conname" not in node and "indexname" not in node:
            kind = KINDS[node["contype"]].replace("foreign", "foreign key")
            message = f"the {kind} constraint has no explicit name"
            yield Hit(message, partial(objects.with_name, case, node, column), node=node)


UNNAMED = Rule(
    name="unnamed-constraint",
    level=Level.NOTICE,
    on=("CreateStmt", "AT_AddConstraint", "AT_AddColumn"),
    stake="PostgreSQL generates the name, which a later DROP CONSTRAINT and error handlers must guess.",
    safe="alter table t add constraint t_a_positive check (a > 0) not valid;",
    check=_check_unnamed,
    examples=(
        bad("alter table t add check (a > 0) not valid;"),
        bad("alter table t add foreign key (a) references r not valid;"),
        bad("create table t (a int check (a > 0));"),
        bad("create table t (a int, unique (a));"),
        good("alter table t add constraint c check (a > 0) not valid;"),
        good("create table t (a int primary key, b int not null default 1);"),
        good("create table t (a int constraint c check (a > 0), constraint u unique (a));"),
        good("alter table t add unique using index i;"),
        good("create temp table t (a int check (a > 0));"),
    ),
)


def _table_lacks(
    has: Callable[[Table], bool], message: str, safer: Callable[[Case], Safer]
) -> Callable[[Case], Iterator[Hit]]:
    """Returns a check for new tables without a property at the end of the file; partitions inherit it."""

    def check(case: Case) -> Iterator[Hit]:
        name = new_name(case.catalog, case.node["relation"])

        def is_fixed(catalog: Catalog) -> bool:
            return name not in catalog.tables or has(catalog.tables[name])

        exists = case.node.get("if_not_exists") and name in case.catalog.tables
        if not (exists or case.state.down or "partbound" in case.node or name[0] == "pg_temp"):
            yield Hit(message.format(name=name[1]), partial(safer, case), unless=is_fixed)

    return check


KEY = Rule(
    name="table-without-key",
    level=Level.NOTICE,
    on=("CreateStmt",),
    stake="Duplicate rows cannot be distinguished, logical replication rejects UPDATE and DELETE, "
    "and a batched update has no key to iterate over.",
    safe="create table t (id bigint generated always as identity primary key);",
    check=_table_lacks(
        lambda table: table.primary_key is not None or table.partial,
        "{name} has no primary key",
        objects.keyed,
    ),
    examples=(
        bad("create table t (a int);"),
        bad("create table if not exists t (a int unique);"),
        bad("create table t (a int) partition by list (a);"),
        bad("create table r (id int primary key); create table t (like r);"),
        good("create table t (id bigint primary key);"),
        good("create table t (a int, b int, primary key (a, b));"),
        good("create table t (a int); alter table t add primary key (a);"),
        good("create table r (id int primary key); create table t (like r including all);"),
        good("create temp table t (a int);"),
        good("create table t1 partition of t default;"),
        good("create table if not exists t (a int);", "create table t (a int);"),
    ),
)

COMMENT = Rule(
    name="table-without-comment",
    level=Level.NOTICE,
    on=("CreateStmt",),
    stake="A comment documents the purpose of the table in the database.",
    safe="comment on table t is 'one row for each order';",
    check=_table_lacks(
        lambda table: bool(table.comment),
        "{name} has no comment",
        lambda _: Safer(advice="describe in a comment what a row of the table is"),
    ),
    examples=(
        bad("create table t (a int);"),
        bad("create table t (a int); comment on column t.a is 'x';"),
        bad("create table t (a int); comment on table t is null;"),
        bad("create table t (a int); create table u (a int); comment on table u is 'x';"),
        good("create table t (a int); comment on table t is 'one row for each x';"),
        good("create table s.t (a int); comment on table s.t is 'x';"),
        good("create temp table t (a int);"),
        good("create table t1 partition of t default;"),
        good("create table t (a int); drop table t;"),
    ),
)


def _check_star(case: Case) -> Iterator[Hit]:
    if case.kind == "ViewStmt" or case.node.get("objtype") == "OBJECT_MATVIEW":
        query = case.node["query"].get("SelectStmt", {})
        if not case.state.down and _selects_star(query):
            yield Hit(
                "* is expanded when the view is created, so columns added to the table later are not in the view",
                "name the columns instead",
            )


def _selects_star(query: Node) -> bool:
    targets = (target["ResTarget"].get("val", {}) for target in query.get("targetList", ()))
    fields = (field for value in targets for field in value.get("ColumnRef", {}).get("fields", ()))
    branches = [query[branch] for branch in ("larg", "rarg") if branch in query]
    return any("A_Star" in field for field in fields) or any(_selects_star(branch) for branch in branches)


STAR = Rule(
    name="select-star-in-view",
    level=Level.NOTICE,
    on=("ViewStmt", "CreateTableAsStmt"),
    stake="PostgreSQL expands * when it creates the view: columns added to the table later are not in the view, "
    "and columns in the view cannot be dropped from the table.",
    safe="create view v as select a, b from t;",
    check=_check_star,
    examples=(
        bad("create view v as select * from t;"),
        bad("create or replace view v as select t.*, 1 as b from t;"),
        bad("create materialized view m as select * from t;"),
        bad("create view v as select a from t union all select * from u;"),
        good("create view v as select a, b from t;"),
        good("create view v as select count(*) as n from t;"),
        good("create view v as select a from t where exists (select * from u);"),
        good("create table t2 as select * from t;"),
    ),
)


def _names(case: Case) -> Iterator[tuple[str, str]]:
    """Yields the kind and the name of each object that a statement names."""
    node = case.node
    match case.kind:
        case "CreateStmt":
            yield "table", node["relation"]["relname"]
        case "IndexStmt" if "idxname" in node:
            yield "index", node["idxname"]
        case "CreateTableAsStmt":
            yield "table", node["into"]["rel"]["relname"]
        case "ViewStmt":
            yield "table", node["view"]["relname"]
        case "RenameStmt":
            yield _RENAMED.get(node["renameType"], ""), node.get("newname", "")
    columns = (element["ColumnDef"] for element in elements(case) if "ColumnDef" in element)
    yield from (("column", column.get("colname", "")) for column in columns)
    yield from (("constraint", body["conname"]) for _, body in _constraints(case) if "conname" in body)


_RENAMED = {
    **dict.fromkeys(RELATIONS, "table"),
    "OBJECT_COLUMN": "column",
    "OBJECT_INDEX": "index",
    "OBJECT_TABCONSTRAINT": "constraint",
}


def _check_naming(case: Case) -> Iterator[Hit]:
    for kind, name in () if case.state.down else _names(case):
        pattern = case.naming.get(kind)
        if pattern is not None and re.fullmatch(pattern, name) is None:
            yield Hit(f"the {kind} name {name} does not match the pattern {pattern}")


_SNAKE = (("table", "[a-z_]+"), ("column", "[a-z_]+"), ("index", ".+_idx"), ("constraint", "t_.+"))

_violation = partial(Example, bad=True, naming=_SNAKE)
_match = partial(Example, naming=_SNAKE)

NAMING = Rule(
    name="naming",
    level=Level.NOTICE,
    on=("CreateStmt", "CreateTableAsStmt", "ViewStmt", "AT_AddColumn", "AT_AddConstraint", "IndexStmt", "RenameStmt"),
    stake="Names that follow a pattern are predictable.",
    advice='set patterns in the configuration, such as naming = {table = "[a-z_]+"}, and follow them',
    check=_check_naming,
    examples=(
        _violation('create table "Orders" (id int);'),
        _violation('create table orders ("createdAt" int);'),
        _violation("create index concurrently i on t (a);"),
        _violation("alter table t add constraint c check (a > 0) not valid;"),
        _violation("alter table t rename column a to a2;"),
        _match("create table orders (id int, created_at timestamptz);"),
        _match("create index concurrently t_a_idx on t (a);"),
        _match("create index concurrently on t (a);"),
        _match("alter table t add constraint t_a_positive check (a > 0) not valid;"),
        good('create table "Orders" (id int);'),
    ),
)

RULES = (UNNAMED, KEY, COMMENT, STAR, NAMING)
