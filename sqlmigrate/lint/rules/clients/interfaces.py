"""Breaks clients, or fails: views that change their columns, indexes that something needs, sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.usage import column_in_use, decider, object_in_use
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good, unsure
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.lint.schema.interpret.outputs import output_names
from sqlmigrate.sql.tree import options, relation, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Index, Name
    from sqlmigrate.sql.parser import Node

_V = "create view v as select 1 as a, 2 as b;"


def _view_columns(case: Case) -> Iterator[Hit]:
    old = case.catalog.table(relation(case.node["view"]))
    if not case.node.get("replace") or old is None or old.kind != "view" or old.partial:
        return
    new: list[str | None] = [*strings(case.node.get("aliases", ()))]
    new = new or output_names(case.catalog, case.node["query"])
    told = new[: new.index(None)] if None in new else new
    for at, name in enumerate(old.columns):
        if at < len(told) and told[at] != name:
            fails = f"{name} can't become {told[at]}"
        elif at >= len(told) and None not in new:
            fails = f"{name} can't be left out"
        else:
            continue
        yield Hit(
            f"CREATE OR REPLACE VIEW fails: {fails}",
            "-- keep the columns in their order and put new ones behind them",
            decider(case, old.born),
        )
        return


VIEW_COLUMNS = Rule(
    name="view-columns-differ",
    level=Level.ERROR,
    on=("ViewStmt",),
    stake="CREATE OR REPLACE VIEW can only add columns at the end; anything else fails.",
    safe="create or replace view v as select a, b, c from t; -- a and b as before, c is new",
    check=_view_columns,
    examples=(
        bad("create or replace view v as select 1 as a;", _V),
        bad("create or replace view v as select 1 as a, 2 as c;", _V),
        bad("create or replace view v as select 2 as b, 1 as a;", _V),
        bad("create or replace view v (a, x) as select 1, 2;", _V),
        bad(_V + "create or replace view v as select 1 as a;"),
        bad("create or replace view v as select a from t;", "create table t (a int, b int); create view v as table t;"),
        good("create or replace view v as select 1 as a, 2 as b, 3 as c;", _V),
        good("create or replace view v as select 3 as a, 4 as b;", _V),
        good("create or replace view v as select * from t;", _V),
        good("create or replace view v as select 1 as c;"),
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
            yield from _by_its_name(case, name)
        elif index is not None and (why := _needed_by(case, index)):
            safer = "alter table … drop constraint …;" if index.constraint else "drop index …;  -- that of the parent"
            yield Hit(f"DROP INDEX fails: {why} needs {name[1]}", safer, decider(case, index.born))


def _by_its_name(case: Case, name: Name) -> Iterator[Hit]:
    """What PostgreSQL calls the index behind a constraint, of a table that may have one."""
    table = case.catalog.table((name[0], name[1].removesuffix("_pkey")))
    if name[1].endswith("_pkey") and (table is None or table.partial):
        yield Hit(f"DROP INDEX fails: a primary key needs {name[1]}", f"alter table … drop constraint {name[1]};")
    elif name[1].endswith(("_key", "_excl")) and not case.node.get("missing_ok"):
        yield Hit(f"whether a constraint needs {name[1]}", certain=False)


def _needed_by(case: Case, index: Index) -> str:
    if index.constraint:
        return f"the constraint {index.name[1]}"
    if index.parent is not None:
        return f"the index {index.parent[1]} of the partitioned table"
    return "" if case.node.get("behavior") == "DROP_CASCADE" or not index.unique else _foreign_key_on(case, index)


def _foreign_key_on(case: Case, index: Index) -> str:
    """The foreign key that leans on a unique index, if no other is on the same columns."""
    table = case.catalog.tables[index.table]
    others = [one for one in table.indexes if one.unique and set(one.columns) == set(index.columns)]
    keys = [
        one
        for other in case.catalog.tables.values()
        for one in other.constraints
        if one.references == index.table and set(one.referenced) == set(index.columns)
    ]
    return f"the foreign key {keys[0].name}" if keys and len(others) == 1 else ""


NEEDED_INDEX = Rule(
    name="drop-needed-index",
    level=Level.ERROR,
    on=("DropStmt",),
    stake="PostgreSQL refuses to drop an index that a constraint, or the index of a partitioned table, is made of.",
    safe="alter table t drop constraint t_a_key;",
    check=_needed_index,
    examples=(
        bad("drop index t_pkey;"),
        bad("drop index concurrently if exists s.t_pkey;"),
        bad("drop index concurrently t_a_key;", "create table t (a int unique);"),
        bad("drop index t_a_key cascade;", "create table t (a int unique);"),
        bad("create table t (id int, constraint p primary key (id)); drop index p;"),
        bad("drop index u;", "create table t (a int, constraint u exclude using hash (a with =));"),
        bad(
            "drop index p1_a_idx;",
            "create table p (a int) partition by list (a); create index on p (a);"
            "create table p1 partition of p default;",
        ),
        bad(
            "drop index concurrently i;",
            "create table r (a int); create unique index i on r (a); create table t (a int references r (a));",
        ),
        good("drop index concurrently i;", "create table t (a int); create unique index i on t (a);"),
        good("drop index concurrently t_a_idx;"),
        good("drop index if exists t_pkey;", "create table t (a int);"),
        good("drop index concurrently t_pkey;", "create table t (a int); create index t_pkey on t (a);"),
        good("alter table t drop constraint t_a_key;", "create table t (a int unique);"),
        good("drop index if exists t_a_key;", "create table t (a int unique); alter table t drop constraint t_a_key;"),
        good(
            "drop index concurrently i;",
            "create table r (a int primary key); create unique index i on r (a); create table t (a int references r);",
        ),
        unsure("drop index concurrently t_a_key;"),
    ),
)


def _sequence(case: Case) -> Iterator[Hit]:
    if case.kind == "AT_SetIdentity":
        said, used = case.node["def"]["List"]["items"], column_in_use(case, case.node.get("name", ""))
        name = case.node.get("name", "")
    else:
        said, name = case.node.get("options", ()), relation(case.node["sequence"])[1]
        used = object_in_use(case, "OBJECT_SEQUENCE", relation(case.node["sequence"]))
    for why in _hazards(said) if used and not case.state.down else ():
        yield Hit(f"{name} {why}")


def _hazards(said: list[Node]) -> Iterator[str]:
    given = options(said)
    if given.get("restart") in (True, 0, 1):  # where most begin
        yield "starts again: it gives numbers that are taken, and INSERTs fail"
    if given.get("cycle") is True:
        yield "starts again at its end: it gives numbers that are taken, and INSERTs fail"
    if "increment" in given:
        yield "steps otherwise: programs that take numbers in blocks take those of others"
    kind: Node = next((item["DefElem"].get("arg", {}) for item in said if item["DefElem"]["defname"] == "as"), {})
    small = strings(kind.get("TypeName", {}).get("names", ()))[-1:]
    if small in (["int2"], ["int4"]) or given.get("maxvalue", True) is not True:
        yield "ends earlier: INSERTs fail from there on"


SEQUENCE = Rule(
    name="sequence-changed",
    level=Level.WARNING,
    on=("AlterSeqStmt", "AT_SetIdentity"),
    stake="Programs count on numbers that are new each time: one that is taken makes their INSERT fail.",
    safe="select setval('s', (select max(id) from t));",
    check=_sequence,
    examples=(
        bad("alter sequence s restart;"),
        bad("alter sequence s restart with 1;"),
        bad("alter table t alter id restart with 1;"),
        bad("alter sequence s cycle;"),
        bad("alter sequence s increment by 50;"),
        bad("alter sequence s as integer;", "create sequence s;"),
        bad("alter table t alter id restart;"),
        good("alter sequence s restart with 100000;"),
        good("alter sequence s no cycle;"),
        good("alter sequence s as bigint;"),
        good("alter sequence s owned by t.id;"),
        good("alter sequence s no maxvalue cache 20;"),
        good("create sequence s; alter sequence s restart;"),
        good("create table t (id int generated always as identity); alter table t alter id restart;"),
    ),
)

RULES = (VIEW_COLUMNS, NEEDED_INDEX, SEQUENCE)
