"""Rules about commands that have a CONCURRENTLY form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import is_new, table_decider
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.rules.wording import BLOCKS_ALL, BLOCKS_WRITES
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.sql.tree import is_on, options, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTITIONED = "create table p (a int) partition by range (a); "


def _is_partitioned(case: Case) -> bool:
    return case.table is not None and case.table.kind == "partitioned"


def _exists(case: Case) -> bool:
    """Whether the index exists already, so that IF NOT EXISTS skips the statement."""
    name = case.node.get("idxname", "")
    schema = case.node["relation"].get("schemaname", "") or case.name[0]
    return bool(case.node.get("if_not_exists")) and case.catalog.index((schema, name)) is not None


def _check_create(case: Case) -> Iterator[Hit]:
    node = case.node
    if node.get("concurrent") or is_new(case) or _is_partitioned(case) or _exists(case):
        return
    unique = "unique " if node.get("unique") else ""
    yield Hit(
        f"CREATE INDEX builds an index on {case.name[1]} {BLOCKS_WRITES}",
        f"create {unique}index concurrently {node.get('idxname', '…')} on {case.name[1]} (…);",
    )


CREATE = Rule(
    name="index-not-concurrent",
    level=Level.WARNING,
    on=("IndexStmt",),
    stake="Builds the index under a SHARE lock on the table, which blocks writes. CREATE INDEX CONCURRENTLY does not.",
    safe="create index concurrently t_a_idx on t (a);",
    check=_check_create,
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


def _check_partitioned(case: Case) -> Iterator[Hit]:
    node = case.node
    is_separate = node.get("concurrent") or not node["relation"].get("inh")
    if not _is_partitioned(case) or is_new(case) or is_separate or _exists(case):
        return
    yield Hit(
        f"CREATE INDEX builds an index on every partition of {case.name[1]} {BLOCKS_WRITES}",
        f"create index {node.get('idxname', '…')} on only {case.name[1]} (…);\n"
        "create index concurrently … on …;  -- for each partition\nalter index … attach partition …;",
        table_decider(case, case.table),
    )


PARTITIONED = Rule(
    name="index-on-partitioned-table",
    level=Level.WARNING,
    on=("IndexStmt",),
    stake="Builds an index on every partition under SHARE locks, which block writes. "
    "PostgreSQL cannot create an index on a partitioned table concurrently.",
    safe="create index p_a_idx on only p (a);\ncreate index concurrently p1_a_idx on p1 (a);\n"
    "alter index p_a_idx attach partition p1_a_idx;",
    check=_check_partitioned,
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


def _check_drop(case: Case) -> Iterator[Hit]:
    node = case.node
    if node["removeType"] != "OBJECT_INDEX" or node.get("concurrent"):
        return
    for name in dropped_names(node):
        index = case.catalog.index(name)
        if index is not None and (index.parent or index.constraint):
            continue  # the statement fails, which another rule reports
        table = case.catalog.tables.get(index.table) if index else None
        if index is not None and (case.decider(index.created) is Decider.FILE or is_new(case, index.table)):
            continue
        if table is not None and table.kind == "partitioned":
            continue  # PostgreSQL rejects DROP INDEX CONCURRENTLY on a partitioned index
        yield Hit(
            f"DROP INDEX takes an ACCESS EXCLUSIVE lock on {table.name[1] if table else f'the table of {name[1]}'}, "
            "which blocks reads and writes until the transaction ends",
            f"drop index concurrently {name[1]};",
        )


DROP = Rule(
    name="drop-index-not-concurrent",
    level=Level.WARNING,
    on=("DropStmt",),
    stake="Takes an ACCESS EXCLUSIVE lock on the table, which blocks reads and writes. "
    "While it waits for the lock, new queries on the table wait behind it.",
    safe="drop index concurrently t_a_idx;",
    check=_check_drop,
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


def _check_reindex(case: Case) -> Iterator[Hit]:
    node = case.node
    if is_on(options(node.get("params", ())).get("concurrently", False)):
        return
    if node["kind"] == "REINDEX_OBJECT_SYSTEM" or ("relation" in node and is_new(case)):
        return
    if node["kind"] == "REINDEX_OBJECT_INDEX":
        index = case.catalog.index(relation(node["relation"]))
        if index is not None and (case.decider(index.created) is Decider.FILE or is_new(case, index.table)):
            return
    kind = node["kind"].removeprefix("REINDEX_OBJECT_").lower()
    name = case.name[1] or node.get("name", "…")
    yield Hit(
        f"REINDEX {kind.upper()} {name} rebuilds indexes {BLOCKS_WRITES}; "
        "the ACCESS EXCLUSIVE lock on the index also blocks almost every read",
        f"reindex {kind} concurrently {name};",
    )


REINDEX = Rule(
    name="reindex-not-concurrent",
    level=Level.WARNING,
    on=("ReindexStmt",),
    stake="Rebuilds the index under a SHARE lock on the table, which blocks writes, and an ACCESS EXCLUSIVE lock on "
    "the index. The planner locks every index of a table, so almost every query on the table is blocked.",
    safe="reindex index concurrently t_a_idx;",
    check=_check_reindex,
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


def _check_refresh(case: Case) -> Iterator[Hit]:
    table = case.table
    if case.node.get("concurrent") or case.node.get("skipData") or is_new(case):
        return
    if table is not None and not table.populated:
        return  # it cannot be read yet, and CONCURRENTLY fails on it
    yield Hit(
        f"REFRESH MATERIALIZED VIEW runs the query of {case.name[1]} {BLOCKS_ALL}",
        f"refresh materialized view concurrently {case.name[1]};  -- needs a unique index on its columns",
    )


REFRESH = Rule(
    name="refresh-not-concurrent",
    level=Level.WARNING,
    on=("RefreshMatViewStmt",),
    stake="Runs the view's query under an ACCESS EXCLUSIVE lock on the view, which blocks reads and writes.",
    safe="create unique index concurrently m_id_idx on m (id);\nrefresh materialized view concurrently m;",
    check=_check_refresh,
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


def _check_refresh_fails(case: Case) -> Iterator[Hit]:
    table = case.table
    if not case.node.get("concurrent") or table is None or table.kind != "matview":
        return
    by = table_decider(case, table)
    usable = (index for index in table.indexes if index.unique and not index.predicate and not index.expressions)
    if not any(usable) and not table.partial:
        yield Hit(
            f"REFRESH … CONCURRENTLY fails: {case.name[1]} has no unique index on plain columns of all rows",
            f"create unique index … on {case.name[1]} (…);",
            by,
        )
    elif not table.populated:
        yield Hit(
            f"REFRESH … CONCURRENTLY fails: {case.name[1]} is not populated",
            f"refresh materialized view {case.name[1]};",
            by,
        )


_UNIQUE = "create unique index on m (a);"

REFRESH_FAILS = Rule(
    name="refresh-concurrently-fails",
    level=Level.ERROR,
    on=("RefreshMatViewStmt",),
    stake="REFRESH … CONCURRENTLY requires a populated view with a unique index on plain columns, without WHERE.",
    safe="create unique index m_id_idx on m (id);\nrefresh materialized view concurrently m;",
    check=_check_refresh_fails,
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


def _check_detach(case: Case) -> Iterator[Hit]:
    node = case.node["def"]["PartitionCmd"]
    child = relation(node["name"])
    if node.get("concurrent") or node.get("finalize") or is_new(case) or is_new(case, child):
        return
    yield Hit(
        f"DETACH PARTITION takes an ACCESS EXCLUSIVE lock on {case.name[1]}, "
        "which blocks reads and writes until the transaction ends",
        f"alter table {case.name[1]} detach partition {child[1]} concurrently;",
    )


DETACH = Rule(
    name="detach-not-concurrent",
    level=Level.WARNING,
    on=("AT_DetachPartition",),
    stake="Takes an ACCESS EXCLUSIVE lock on the partitioned table, which blocks reads and writes. "
    "While it waits for the lock, new queries on the table wait behind it.",
    safe="alter table p detach partition p1 concurrently;",
    check=_check_detach,
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


def _check_invalid(case: Case) -> Iterator[Hit]:
    if case.node.get("concurrent") and case.node.get("if_not_exists") and not is_new(case) and not _exists(case):
        yield Hit(
            f"IF NOT EXISTS keeps {case.node.get('idxname')} if an interrupted build left it INVALID",
            f"create index concurrently {case.node.get('idxname')} on {case.name[1]} (…);",
        )


KEEPS_INVALID = Rule(
    name="if-not-exists-keeps-invalid-index",
    level=Level.WARNING,
    on=("IndexStmt",),
    stake="An interrupted CREATE INDEX CONCURRENTLY leaves an INVALID index, which queries do not use. "
    "IF NOT EXISTS keeps it.",
    safe="create index concurrently t_a_idx on t (a); -- sqlmigrate drops the INVALID index first",
    check=_check_invalid,
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
