"""Rules about rewrites that change how or where a table is stored."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import is_new
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.rules.wording import BLOCKS_ALL, REWRITES
from sqlmigrate.lint.safer import objects
from sqlmigrate.sql.tree import is_on, options, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

_rule = partial(Rule, level=Level.WARNING, stake=REWRITES)
_NEW_TABLE = "create a new table and copy the rows in batches"
_ONLINE = "use pg_repack or pg_squeeze, which do not block reads and writes meanwhile"


def _check_logged(case: Case) -> Iterator[Hit]:
    persistence, option = ("p", "LOGGED") if case.kind == "AT_SetLogged" else ("u", "UNLOGGED")
    table = case.table
    is_set = table is not None and table.persistence == persistence and table.created is not None
    if not (is_new(case) or is_set or case.statement.body.get("objtype") == "OBJECT_SEQUENCE"):
        yield Hit(f"SET {option} rewrites {case.name[1]} {BLOCKS_ALL}", _NEW_TABLE)


LOGGED = _rule(
    name="set-logged-rewrites",
    on=("AT_SetLogged", "AT_SetUnLogged"),
    safe="create table t_new (like t including all);\n-- copy the rows in batches, then swap the names",
    check=_check_logged,
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


def _check_tablespace(case: Case) -> Iterator[Hit]:
    if case.kind == "AlterTableMoveAllStmt":
        yield Hit(f"ALTER … ALL IN TABLESPACE copies every table or index of the tablespace {BLOCKS_ALL}", _ONLINE)
        return
    index = case.catalog.index(case.name) if case.table is None else None
    is_new_index = index is not None and case.decider(index.created) is Decider.FILE
    if not is_new_index and not _keeps_rows(case, case.table.tablespace if case.table else ""):
        yield Hit(f"SET TABLESPACE copies {case.name[1]} {BLOCKS_ALL}", _ONLINE)


def _check_access_method(case: Case) -> Iterator[Hit]:
    if not _keeps_rows(case, case.table.method if case.table else ""):
        yield Hit(f"SET ACCESS METHOD rewrites {case.name[1]} {BLOCKS_ALL}", _NEW_TABLE)


def _keeps_rows(case: Case, current: str) -> bool:
    """Whether the table is new, has no rows itself or has the value already; an empty `current` means the default."""
    table, value = case.table, case.node.get("name", "")
    if table is None or is_new(case):
        return table is not None
    is_set = current == value or (not current and value in ("heap", "pg_default"))
    return table.kind == "partitioned" or (is_set and table.created is not None and not case.catalog.uncertain)


TABLESPACE = _rule(
    name="set-tablespace-rewrites",
    on=("AT_SetTableSpace", "AlterTableMoveAllStmt"),
    advice="run pg_repack --tablespace fast --table t",
    check=_check_tablespace,
    examples=(
        bad("alter table t set tablespace fast;"),
        bad("alter index i set tablespace fast;"),
        bad("alter table all in tablespace slow set tablespace fast;"),
        bad("alter table t set tablespace fast;", "create table t (a int) tablespace slow;"),
        good("alter table t set tablespace fast;", "create table t (a int) tablespace fast;"),
        good("alter table t set tablespace fast;", "create table t (a int) partition by range (a);"),
        good("create table t (a int); alter table t set tablespace fast;"),
        good("create index i on t (a); alter index i set tablespace fast;", "create table t (a int);"),
    ),
)

ACCESS_METHOD = _rule(
    name="set-access-method-rewrites",
    on=("AT_SetAccessMethod",),
    safe="create table t_new (like t including all) using columnar;\n-- copy the rows in batches, then swap the names",
    check=_check_access_method,
    since=15,
    examples=(
        bad("alter table t set access method columnar;"),
        bad("alter table t set access method heap;", "create table t (a int) using columnar;"),
        good("alter table t set access method columnar;", "create table t (a int) using columnar;"),
        good("create table t (a int); alter table t set access method columnar;"),
        good("alter table t set access method columnar;", "create table t (a int) partition by range (a);"),
    ),
)


def _check_vacuum_full(case: Case) -> Iterator[Hit]:
    if not case.node.get("is_vacuumcmd") or not is_on(options(case.node.get("options", ())).get("full", False)):
        return
    tables = [relation(item["VacuumRelation"]["relation"]) for item in case.node.get("rels", ())]
    if not tables or any(not is_new(case, name) for name in tables):
        table = tables[0][1] if tables else "every table"
        yield Hit(f"VACUUM FULL rewrites {table} {BLOCKS_ALL}", partial(objects.vacuumed, case))


VACUUM_FULL = _rule(
    name="vacuum-full-rewrites",
    on=("VacuumStmt",),
    safe="vacuum (analyze) t; -- or pg_repack --table t",
    check=_check_vacuum_full,
    examples=(
        bad("vacuum full t;"),
        bad("vacuum full;"),
        bad("vacuum (full, analyze) t;"),
        bad("vacuum (full true) t;"),
        good("vacuum t;"),
        good("vacuum (full false) t;"),
        good("analyze t;"),
        good("create table t (a int); vacuum full t;"),
    ),
)


def _check_cluster(case: Case) -> Iterator[Hit]:
    if not is_new(case):
        yield Hit(f"CLUSTER rewrites {case.name[1] or 'every clustered table'} {BLOCKS_ALL}", _ONLINE)


CLUSTER = _rule(
    name="cluster-rewrites",
    on=("ClusterStmt",),
    advice="run pg_repack --order-by a --table t",
    check=_check_cluster,
    examples=(
        bad("cluster t using i;"),
        bad("cluster;"),
        bad("cluster t using i;", "create table t (a int); create index i on t (a);"),
        good("alter table t cluster on i;"),
        good("create table t (a int); create index i on t (a); cluster t using i;"),
    ),
)

RULES = (LOGGED, TABLESPACE, ACCESS_METHOD, VACUUM_FULL, CLUSTER)
