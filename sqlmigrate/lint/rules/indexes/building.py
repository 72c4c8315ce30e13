"""Indexes: what is built, dropped or refreshed while nobody can write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import is_new, told_by
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.sql.tree import is_on, options, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTITIONED = "create table p (a int) partition by range (a); "


def _is_partitioned(case: Case) -> bool:
    return case.table is not None and case.table.kind == "partitioned"


def _stands(case: Case) -> bool:
    """Whether IF NOT EXISTS leaves it at the index that is there."""
    name = case.node.get("idxname", "")
    schema = case.node["relation"].get("schemaname", "") or case.name[0]
    return bool(case.node.get("if_not_exists")) and case.catalog.index((schema, name)) is not None


def _create(case: Case) -> Iterator[Hit]:
    node = case.node
    if node.get("concurrent") or is_new(case) or _is_partitioned(case) or _stands(case):
        return
    unique = "unique " if node.get("unique") else ""
    yield Hit(
        f"CREATE INDEX keeps everybody from writing to {case.name[1]} until it is built",
        f"create {unique}index concurrently {node.get('idxname', '…')} on {case.name[1]} (…);",
    )


CREATE = Rule(
    name="index-not-concurrent",
    level=Level.WARNING,
    on=("IndexStmt",),
    stake="The table is read from end to end under SHARE: nobody writes meanwhile.",
    safe="create index concurrently t_a_idx on t (a);",
    check=_create,
    examples=(
        bad("create index i on t (a);"),
        bad("create unique index if not exists i on t (a);"),
        bad("create index on s.t using gin (a);"),
        bad("create index i on t (a);", "create table t (a int);"),
        bad("create index i on m (a);", "create materialized view m as select 1 as a;"),
        bad("begin; create index i on t (a); commit;"),
        bad("create table x (a int); alter table x rename to y; create index i on x (a);"),
        good("create index concurrently i on t (a);"),
        good("create table t (a int); create index i on t (a);"),
        good("create table if not exists t (a int); create index if not exists i on t (a);"),
        good("create table t as select 1 as a; create index on t (a);"),
        good("create table x (a int); alter table x rename to t; create index i on t (a);"),
        good("create table s.t (a int); set search_path to s; create index i on t (a);"),
        good("create temp table t (a int); create index i on t (a);"),
        good("create materialized view m as select 1 as a; create unique index on m (a);"),
        good("create index if not exists i on t (a);", "create table t (a int); create index i on t (a);"),
        good("create index on only p (a);", _PARTITIONED),
    ),
)


def _partitioned(case: Case) -> Iterator[Hit]:
    node = case.node
    alone = node.get("concurrent") or not node["relation"].get("inh")
    if not _is_partitioned(case) or is_new(case) or alone or _stands(case):
        return
    yield Hit(
        f"CREATE INDEX keeps everybody from writing to every partition of {case.name[1]}",
        f"create index {node.get('idxname', '…')} on only {case.name[1]} (…);\n"
        "create index concurrently … on …;  -- for each partition\nalter index … attach partition …;",
        told_by(case, case.table),
    )


PARTITIONED = Rule(
    name="index-on-partitioned-table",
    level=Level.WARNING,
    on=("IndexStmt",),
    stake="An index on a partitioned table can't be built concurrently: it locks all, and builds one by one.",
    safe="create index p_a_idx on only p (a);\ncreate index concurrently p1_a_idx on p1 (a);\n"
    "alter index p_a_idx attach partition p1_a_idx;",
    check=_partitioned,
    examples=(
        bad("create index i on p (a);", _PARTITIONED),
        bad(
            "create unique index i on p (a);",
            _PARTITIONED + "create table p1 partition of p for values from (0) to (9);",
        ),
        bad("create index i on p (a);", "alter table p attach partition q for values from (0) to (9);"),
        good("create index i on only p (a);", _PARTITIONED),
        good(_PARTITIONED + "create index i on p (a);"),
        good("create index concurrently i on p1 (a);", _PARTITIONED + "create table p1 partition of p default;"),
        good("create index if not exists i on p (a);", _PARTITIONED + "create index i on p (a);"),
        good("create index concurrently i on t (a);", "create table t (a int);"),
    ),
)


def _drop(case: Case) -> Iterator[Hit]:
    node = case.node
    if node["removeType"] != "OBJECT_INDEX" or node.get("concurrent"):
        return
    for name in dropped_names(node):
        index = case.catalog.index(name)
        if index is not None and (index.parent or index.constraint):
            continue  # that fails: another rule says so
        table = case.catalog.tables.get(index.table) if index else None
        if index is not None and (case.told_by(index.born) is Decider.FILE or is_new(case, index.table)):
            continue
        if table is not None and table.kind == "partitioned":
            continue  # DROP INDEX CONCURRENTLY does not work there
        yield Hit(
            f"DROP INDEX waits for all who use the table of {name[1]}, and all who come after wait behind it",
            f"drop index concurrently {name[1]};",
        )


DROP = Rule(
    name="drop-index-not-concurrent",
    level=Level.WARNING,
    on=("DropStmt",),
    stake="DROP INDEX takes ACCESS EXCLUSIVE on the index's table; every query queues behind it while it waits.",
    safe="drop index concurrently t_a_idx;",
    check=_drop,
    examples=(
        bad("drop index i;"),
        bad("drop index if exists s.i;"),
        bad("drop index i;", "create table t (a int); create index i on t (a);"),
        bad("drop index i, j;"),
        bad("create table t (a int); drop index i;"),
        good("drop index concurrently i;"),
        good("drop index concurrently if exists i;"),
        good("create table t (a int); create index i on t (a); drop index i;"),
        good("create index concurrently i on t (a); drop index i;"),
        good("drop index i;", _PARTITIONED + "create index i on p (a);"),
        good("drop table i;"),
    ),
)


def _reindex(case: Case) -> Iterator[Hit]:
    node = case.node
    if is_on(options(node.get("params", ())).get("concurrently", False)):
        return
    if node["kind"] == "REINDEX_OBJECT_SYSTEM" or ("relation" in node and is_new(case)):
        return
    if node["kind"] == "REINDEX_OBJECT_INDEX":
        index = case.catalog.index(relation(node["relation"]))
        if index is not None and (case.told_by(index.born) is Decider.FILE or is_new(case, index.table)):
            return
    what = node["kind"].removeprefix("REINDEX_OBJECT_").lower()
    name = case.name[1] or node.get("name", "…")
    yield Hit(
        f"REINDEX keeps everybody from writing, and from reading by the index, until {name} is built",
        f"reindex {what} concurrently {name};",
    )


REINDEX = Rule(
    name="reindex-not-concurrent",
    level=Level.WARNING,
    on=("ReindexStmt",),
    stake="The index is built anew under ACCESS EXCLUSIVE on it and SHARE on its table.",
    safe="reindex index concurrently t_a_idx;",
    check=_reindex,
    since=12,
    examples=(
        bad("reindex index i;"),
        bad("reindex table t;"),
        bad("reindex schema public;"),
        bad("reindex (verbose) table t;"),
        bad("reindex (concurrently false) table t;"),
        good("reindex index concurrently i;"),
        good("reindex (concurrently) table t;"),
        good("reindex (concurrently true, verbose) table t;"),
        good("create table t (a int); create index i on t (a); reindex table t;"),
        good("create table t (a int); create index i on t (a); reindex index i;"),
    ),
)


def _refresh(case: Case) -> Iterator[Hit]:
    table = case.table
    if case.node.get("concurrent") or case.node.get("skipData") or is_new(case):
        return
    if table is not None and not table.populated:
        return  # nobody can read it yet, and CONCURRENTLY would fail
    yield Hit(
        f"nobody can read {case.name[1]} until it is refreshed",
        f"refresh materialized view concurrently {case.name[1]};  -- needs a unique index on its columns",
    )


REFRESH = Rule(
    name="refresh-not-concurrent",
    level=Level.WARNING,
    on=("RefreshMatViewStmt",),
    stake="REFRESH MATERIALIZED VIEW holds ACCESS EXCLUSIVE for as long as its query takes.",
    safe="create unique index concurrently m_id_idx on m (id);\nrefresh materialized view concurrently m;",
    check=_refresh,
    examples=(
        bad("refresh materialized view m;"),
        bad("refresh materialized view s.m with data;"),
        bad("refresh materialized view m;", "create materialized view m as select 1 as a;"),
        bad("create table t (a int); refresh materialized view m;"),
        good("refresh materialized view concurrently m;"),
        good("create materialized view m as select 1 as a; refresh materialized view m;"),
        good("refresh materialized view m;", "create materialized view m as select 1 as a with no data;"),
        good("create materialized view m as select 1 as a with no data; refresh materialized view m;"),
        good("refresh materialized view m with no data;"),
    ),
)


def _refresh_fails(case: Case) -> Iterator[Hit]:
    table = case.table
    if not case.node.get("concurrent") or table is None or table.kind != "matview":
        return
    by = told_by(case, table)
    usable = (one for one in table.indexes if one.unique and not one.predicate and not one.expressions)
    if not any(usable) and not table.partial:
        yield Hit(
            f"{case.name[1]} has no unique index on plain columns, without which CONCURRENTLY fails",
            f"create unique index … on {case.name[1]} (…);",
            by,
        )
    elif not table.populated:
        yield Hit(
            f"{case.name[1]} was never filled, and CONCURRENTLY fails on it",
            f"refresh materialized view {case.name[1]};",
            by,
        )


_UNIQUE = "create unique index on m (a);"

REFRESH_FAILS = Rule(
    name="refresh-concurrently-fails",
    level=Level.ERROR,
    on=("RefreshMatViewStmt",),
    stake="REFRESH … CONCURRENTLY compares rows by a unique index on plain columns, and wants a view that is filled.",
    safe="create unique index m_id_idx on m (id);\nrefresh materialized view concurrently m;",
    check=_refresh_fails,
    examples=(
        bad("refresh materialized view concurrently m;", "create materialized view m as select 1 as a;"),
        bad("create materialized view m as select 1 as a; refresh materialized view concurrently m;"),
        bad(
            "refresh materialized view concurrently m;",
            "create materialized view m as select 1 as a; create unique index on m (a) where a > 0;",
        ),
        bad(
            "refresh materialized view concurrently m;",
            "create materialized view m as select 1 as a with no data;" + _UNIQUE,
        ),
        good("refresh materialized view concurrently m;", "create materialized view m as select 1 as a;" + _UNIQUE),
        good("refresh materialized view concurrently m;"),
        good("create materialized view m as select 1 as a;" + _UNIQUE + "refresh materialized view concurrently m;"),
        good("refresh materialized view m;", "create materialized view m as select 1 as a with no data;"),
    ),
)


def _detach(case: Case) -> Iterator[Hit]:
    node = case.node["def"]["PartitionCmd"]
    child = relation(node["name"])
    if node.get("concurrent") or node.get("finalize") or is_new(case) or is_new(case, child):
        return
    yield Hit(
        f"DETACH PARTITION waits for all who use {case.name[1]}, and all who come after wait behind it",
        f"alter table {case.name[1]} detach partition {child[1]} concurrently;",
    )


DETACH = Rule(
    name="detach-not-concurrent",
    level=Level.WARNING,
    on=("AT_DetachPartition",),
    stake="DETACH PARTITION takes ACCESS EXCLUSIVE on the parent; every query of every partition queues behind it.",
    safe="alter table p detach partition p1 concurrently;",
    check=_detach,
    since=14,
    examples=(
        bad("alter table p detach partition p1;"),
        bad("alter table p detach partition s.p1;"),
        bad(
            "alter table p detach partition p1;",
            _PARTITIONED + "create table p1 partition of p for values from (0) to (9);",
        ),
        good("alter table p detach partition p1 concurrently;"),
        good("alter table p detach partition p1 finalize;"),
        good(_PARTITIONED + "create table p1 partition of p default; alter table p detach partition p1;"),
        good("create table p1 (a int); alter table p attach partition p1 default; alter table p detach partition p1;"),
        good("drop table p1;"),
    ),
)


def _keeps_invalid(case: Case) -> Iterator[Hit]:
    if case.node.get("concurrent") and case.node.get("if_not_exists") and not is_new(case) and not _stands(case):
        yield Hit(
            f"where a build of {case.node.get('idxname')} broke off, IF NOT EXISTS keeps its INVALID rest",
            f"create index concurrently {case.node.get('idxname')} on {case.name[1]} (…);",
        )


KEEPS_INVALID = Rule(
    name="if-not-exists-keeps-invalid-index",
    level=Level.WARNING,
    on=("IndexStmt",),
    stake="CREATE INDEX CONCURRENTLY that breaks off leaves an INVALID index, of no use; IF NOT EXISTS keeps it.",
    safe="create index concurrently t_a_idx on t (a); -- sqlmigrate drops an INVALID one first",
    check=_keeps_invalid,
    examples=(
        bad("create index concurrently if not exists i on t (a);"),
        bad("create unique index concurrently if not exists i on t (a);"),
        bad("create index concurrently if not exists i on t (a);", "create table t (a int);"),
        bad("drop index concurrently j; create index concurrently if not exists i on t (a);"),
        good("create index concurrently i on t (a);"),
        good("create table t (a int); create index if not exists i on t (a);"),
        good("drop index concurrently if exists i; create index concurrently i on t (a);"),
        good("create table if not exists t (a int);"),
    ),
)


RULES = (CREATE, PARTITIONED, DROP, REINDEX, REFRESH, REFRESH_FAILS, DETACH, KEEPS_INVALID)
