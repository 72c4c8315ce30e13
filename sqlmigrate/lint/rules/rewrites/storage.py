"""Rewrites and scans: where and how a table is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import is_new
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.sql.tree import is_on, options, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAKE = "The whole table is copied under ACCESS EXCLUSIVE: nobody reads or writes meanwhile."
_IN_PLACE = "pg_repack and pg_squeeze do it while the table is used"


def _logged(case: Case) -> Iterator[Hit]:
    wanted = "p" if case.kind == "AT_SetLogged" else "u"
    table = case.table
    if is_new(case) or (table is not None and (table.persistence == wanted and table.born is not None)):
        return
    if case.statement.body.get("objtype") == "OBJECT_SEQUENCE":
        return
    what = "LOGGED" if wanted == "p" else "UNLOGGED"
    yield Hit(
        f"SET {what} rewrites the table while nobody can read it", "make a new table and move the rows in batches"
    )


LOGGED = Rule(
    name="set-logged-rewrites",
    level=Level.WARNING,
    on=("AT_SetLogged", "AT_SetUnLogged"),
    stake=_STAKE,
    safe="create table t_new (like t including all);\n-- move the rows in batches, then swap names",
    check=_logged,
    examples=(
        bad("alter table t set logged;"),
        bad("alter table t set unlogged;"),
        bad("alter table t set logged;", "create unlogged table t (a int);"),
        bad("alter table t set unlogged;", "create table t (a int);"),
        good("alter table t set logged;", "create table t (a int);"),
        good("alter table t set unlogged;", "create unlogged table t (a int);"),
        good("create unlogged table t (a int); alter table t set logged;"),
        good("alter sequence s set logged;"),
    ),
)


def _tablespace(case: Case) -> Iterator[Hit]:
    if case.kind == "AlterTableMoveAllStmt":
        yield Hit("every table or index of the tablespace is copied while nobody can read it", _IN_PLACE)
        return
    table, wanted = case.table, case.node.get("name", "")
    index = case.catalog.index(case.name) if table is None else None
    if is_new(case) or (index is not None and case.told_by(index.born) is case.told_by(case.state.born)):
        return
    if table is not None and (table.kind == "partitioned" or _set_before(case, table.tablespace, wanted)):
        return
    yield Hit(f"SET TABLESPACE copies {case.name[1]} while nobody can read it", _IN_PLACE)


def _access_method(case: Case) -> Iterator[Hit]:
    table, wanted = case.table, case.node.get("name", "")
    if is_new(case) or (table is not None and (table.kind == "partitioned" or _set_before(case, table.method, wanted))):
        return
    yield Hit("SET ACCESS METHOD rewrites the table while nobody can read it", _IN_PLACE)


def _set_before(case: Case, known: str, wanted: str) -> bool:
    """Whether the files say that it is as wanted already; a table of which they say nothing has the defaults."""
    made = case.table is not None and case.table.born is not None and not case.catalog.clouded
    return made and (known == wanted or (not known and wanted in ("heap", "pg_default")))


TABLESPACE = Rule(
    name="set-tablespace-rewrites",
    level=Level.WARNING,
    on=("AT_SetTableSpace", "AlterTableMoveAllStmt"),
    stake=_STAKE,
    safe="-- pg_repack --tablespace fast --table t",
    check=_tablespace,
    examples=(
        bad("alter table t set tablespace fast;"),
        bad("alter index i set tablespace fast;"),
        bad("alter table all in tablespace slow set tablespace fast;"),
        bad("alter table t set tablespace fast;", "create table t (a int) tablespace slow;"),
        good("alter table t set tablespace fast;", "create table t (a int) tablespace fast;"),
        good("alter table t set tablespace fast;", "create table t (a int) partition by range (a);"),
        good("create table t (a int); alter table t set tablespace fast;"),
        good("create index i on t (a); alter index i set tablespace fast;", "create table t (a int);"),
        good("create table t (a int) tablespace fast;"),
    ),
)

ACCESS_METHOD = Rule(
    name="set-access-method-rewrites",
    level=Level.WARNING,
    on=("AT_SetAccessMethod",),
    stake=_STAKE,
    safe="create table t_new (like t including all) using columnar;\n-- move the rows in batches, then swap names",
    check=_access_method,
    since=15,
    examples=(
        bad("alter table t set access method columnar;"),
        bad("alter table t set access method heap;", "create table t (a int) using columnar;"),
        good("alter table t set access method columnar;", "create table t (a int) using columnar;"),
        good("create table t (a int); alter table t set access method columnar;"),
        good("create table t (a int) using columnar;"),
        good("alter table t set access method columnar;", "create table t (a int) partition by range (a);"),
    ),
)


def _vacuum_full(case: Case) -> Iterator[Hit]:
    if not case.node.get("is_vacuumcmd") or not is_on(options(case.node.get("options", ())).get("full", False)):
        return
    tables = [relation(item["VacuumRelation"]["relation"]) for item in case.node.get("rels", ())]
    if not tables or any(not is_new(case, name) for name in tables):
        yield Hit("VACUUM FULL writes the table anew while nobody can read it", f"vacuum (analyze) …;  -- {_IN_PLACE}")


VACUUM_FULL = Rule(
    name="vacuum-full-rewrites",
    level=Level.WARNING,
    on=("VacuumStmt",),
    stake=_STAKE,
    safe="vacuum (analyze) t; -- or pg_repack --table t",
    check=_vacuum_full,
    examples=(
        bad("vacuum full t;"),
        bad("vacuum full;"),
        bad("vacuum (full, analyze) t;"),
        bad("vacuum (full true) t;"),
        good("vacuum t;"),
        good("vacuum (full false) t;"),
        good("vacuum (analyze, freeze) t;"),
        good("analyze t;"),
        good("create table t (a int); vacuum full t;"),
    ),
)


def _cluster(case: Case) -> Iterator[Hit]:
    if not ("relation" in case.node and is_new(case)):
        yield Hit("CLUSTER writes the table anew while nobody can read it", _IN_PLACE)


CLUSTER = Rule(
    name="cluster-rewrites",
    level=Level.WARNING,
    on=("ClusterStmt",),
    stake=_STAKE,
    safe="-- pg_repack --order-by a --table t",
    check=_cluster,
    examples=(
        bad("cluster t using i;"),
        bad("cluster t;"),
        bad("cluster;"),
        bad("cluster t using i;", "create table t (a int); create index i on t (a);"),
        good("alter table t cluster on i;"),
        good("alter table t set without cluster;"),
        good("create table t (a int); create index i on t (a); cluster t using i;"),
        good("create index concurrently cluster on t (a);"),
    ),
)

RULES = (LOGGED, TABLESPACE, ACCESS_METHOD, VACUUM_FULL, CLUSTER)
