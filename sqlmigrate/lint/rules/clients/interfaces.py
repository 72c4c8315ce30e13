"""Breaks clients, or fails: changed view columns, indexes that other objects need, sequences."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.references import is_gone
from sqlmigrate.lint.facts.usage import column_in_use, decider, object_in_use
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good, unsure
from sqlmigrate.lint.safer import objects
from sqlmigrate.lint.safer.statements import advice
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.lint.schema.interpret.objects import view_name
from sqlmigrate.lint.schema.interpret.outputs import output_names
from sqlmigrate.sql.tree import options, relation, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.schema.catalog import Index, Name
    from sqlmigrate.sql.parser import Node

_V = "create view v as select 1 as a, 2 as b;"


def _view_columns(case: Case) -> Iterator[Hit]:
    old = case.catalog.tables.get(view_name(case.catalog, case.node))
    if not case.node.get("replace") or old is None or old.kind != "view" or old.partial:
        return
    new: list[str | None] = [*strings(case.node.get("aliases", ()))]
    new = new or output_names(case.catalog, case.node["query"])
    names = new[: new.index(None)] if None in new else new
    for at, name in enumerate(old.columns):
        if at < len(names) and names[at] != name:
            error = f'cannot change name of view column "{name}" to "{names[at]}"'
        elif at >= len(names) and None not in new:
            error = "cannot drop columns from view"
        else:
            continue
        yield Hit(
            f"CREATE OR REPLACE VIEW fails: {error}",
            "keep the columns in their order and add new ones at the end",
            decider(case, old.created),
        )
        return


VIEW_COLUMNS = Rule(
    name="view-columns-differ",
    level=Level.ERROR,
    on=("ViewStmt",),
    stake="CREATE OR REPLACE VIEW can only add columns at the end; to drop, rename or reorder columns fails.",
    safe="create or replace view v as select a, b, c from t; -- c is new",
    check=_view_columns,
    examples=(
        bad("create or replace view v as select 1 as a;", _V),
        bad("create or replace view v as select 1 as a, 2 as c;", _V),
        bad("create or replace view v as select 2 as b, 1 as a;", _V),
        bad("create or replace view v (a, x) as select 1, 2;", _V),
        bad(_V + "create or replace view v as select 1 as a;"),
        bad("create or replace view v as select a from t;", "create table t (a int, b int); create view v as table t;"),
        good("create or replace view v as select 1 as a, 2 as b, 3 as c;", _V),
        good("create or replace view v as select * from t;", _V),
        good("create or replace view v as select 1 as c;"),
        good("create schema s; set search_path to s, public; create or replace view v as select 1 as c;", _V),
        good("create temp table t as select 1 as c; create or replace view v as select c from t;", _V),
        good("drop view v; create or replace view v as select 1 as c;", _V),
        good("alter view v rename b to c; create or replace view v as select 1 as a, 2 as c;", _V),
    ),
)


def _needed_index(case: Case) -> Iterator[Hit]:
    if case.node["removeType"] != "OBJECT_INDEX":
        return
    for name in dropped_names(case.node):
        index = case.catalog.index(name)
        if index is None:
            yield from () if is_gone(case.catalog, name) else _by_default_name(case, name)
        elif dependent := _dependent(case, index):
            message = f"DROP INDEX fails: {dependent} requires {name[1]}"
            yield Hit(message, partial(_with_dependent, case, index), decider(case, index.created))


def _with_dependent(case: Case, index: Index) -> Safer:
    if index.constraint:
        return objects.without_constraint(case, index.table, index.name[1])
    return advice(f"drop index {index.parent[1]} of the partitioned table" if index.parent else "")


def _by_default_name(case: Case, name: Name) -> Iterator[Hit]:
    """Yields a hit for an unknown index whose name is PostgreSQL's default name of a constraint's index."""
    table = case.catalog.table((name[0], name[1].removesuffix("_pkey")))
    is_key = name[1].endswith("_pkey") and (table is None or table.partial)
    if is_key and not case.node.get("missing_ok"):
        safer = partial(objects.without_constraint, case, (name[0], name[1].removesuffix("_pkey")), name[1])
        yield Hit(f"DROP INDEX fails: a primary key requires {name[1]}", safer)
    elif is_key:
        yield Hit(f"whether {name[1]} exists; if it does, a primary key requires it", certain=False)
    elif name[1].endswith(("_key", "_excl")) and not case.node.get("missing_ok"):
        yield Hit(f"whether a constraint requires {name[1]}", certain=False)


def _dependent(case: Case, index: Index) -> str:
    if index.constraint:
        return f"constraint {index.name[1]}"
    if index.parent is not None:
        return f"index {index.parent[1]} of the partitioned table"
    return "" if case.node.get("behavior") == "DROP_CASCADE" or not index.unique else _foreign_key_on(case, index)


def _foreign_key_on(case: Case, index: Index) -> str:
    """Returns the foreign key that requires a unique index, unless another index has the same columns."""
    table = case.catalog.tables[index.table]
    columns = set(index.columns)
    alternatives = [unique for unique in table.indexes if unique.unique and set(unique.columns) == columns]
    keys = [
        constraint
        for referencing in case.catalog.referring(index.table)
        for constraint in referencing.constraints
        if constraint.references == index.table and set(constraint.referenced) == columns
    ]
    return f"foreign key {keys[0].name}" if keys and len(alternatives) == 1 else ""


_P = "create table p (a int) partition by list (a);"
_R = "create table r (a int primary key, b int);"

NEEDED_INDEX = Rule(
    name="drop-needed-index",
    level=Level.ERROR,
    on=("DropStmt",),
    stake="PostgreSQL reports: cannot drop index, because a constraint or the partitioned table's index requires it.",
    safe="alter table t drop constraint t_a_key;",
    check=_needed_index,
    examples=(
        bad("drop index t_pkey;"),
        bad("drop index concurrently t_a_key;", "create table t (a int unique);"),
        bad("drop index t_a_key cascade;", "create table t (a int unique);"),
        bad("create table t (id int, constraint p primary key (id)); drop index p;"),
        bad("drop index q_a_idx;", f"{_P} create index on p (a); create table q partition of p default;"),
        bad("drop index i;", _R + "create unique index i on r (b); create table t (a int references r (b));"),
        good("drop index concurrently i;", "create table t (a int); create unique index i on t (a);"),
        good("drop index concurrently t_a_idx;"),
        good("drop index if exists t_pkey;", "create table t (a int);"),
        good("drop index concurrently t_pkey;", "create table t (a int); create index t_pkey on t (a);"),
        good("alter table t drop constraint t_a_key;", "create table t (a int unique);"),
        good("drop index if exists t_a_key;", "create table t (a int unique); alter table t drop constraint t_a_key;"),
        good('alter table t drop constraint if exists "T_pkey"; drop index if exists "T_pkey";'),
        good("drop table if exists t; drop index if exists t_pkey;"),
        good("drop index i;", _R + "create unique index i on r (a); create table t (a int references r);"),
        unsure("drop index concurrently t_a_key;"),
        unsure("drop index if exists t_pkey;"),
    ),
)


def _sequence(case: Case) -> Iterator[Hit]:
    if case.kind == "AT_SetIdentity":
        changes, name = case.node["def"]["List"]["items"], case.node.get("name", "")
        used = column_in_use(case, name)
    else:
        changes, (schema, name) = case.node.get("options", ()), relation(case.node["sequence"])
        used = object_in_use(case, "OBJECT_SEQUENCE", (schema, name))
    for hazard in _hazards(changes) if used and not case.state.down else ():
        yield Hit(f"{name} {hazard}")


def _hazards(changes: list[Node]) -> Iterator[str]:
    values = options(changes)
    if values.get("restart") in (True, 0, 1):  # the start value of most sequences
        yield "restarts and returns values that are already used: INSERTs fail"
    if values.get("cycle") is True:
        yield "restarts at its maximum and returns values that are already used: INSERTs fail"
    if "increment" in values:
        yield "has a new increment: applications that reserve blocks of values get overlapping blocks"
    type_name = strings(values.get("as", {}).get("TypeName", {}).get("names", ()))[-1:]
    if type_name in (["int2"], ["int4"]) or values.get("maxvalue", True) is not True:
        yield "reaches its maximum earlier: INSERTs fail from then on"


SEQUENCE = Rule(
    name="sequence-changed",
    level=Level.WARNING,
    on=("AlterSeqStmt", "AT_SetIdentity"),
    stake="Applications rely on new values from the sequence: an INSERT with a value that exists fails.",
    safe="select setval('s', (select max(id) from t));",
    check=_sequence,
    examples=(
        bad("alter sequence s restart;"),
        bad("alter sequence s restart with 1;"),
        bad("alter table t alter id restart with 1;"),
        bad("alter sequence s cycle;"),
        bad("alter sequence s increment by 50;"),
        bad("alter sequence s as integer;", "create sequence s;"),
        good("alter sequence s restart with 100000;"),
        good("alter sequence s no cycle;"),
        good("alter sequence s as bigint;"),
        good("alter sequence s no maxvalue cache 20;"),
        good("create sequence s; alter sequence s restart;"),
        good("create table t (id int generated always as identity); alter table t alter id restart;"),
    ),
)

RULES = (VIEW_COLUMNS, NEEDED_INDEX, SEQUENCE)
