"""Rules about commands that have a CONCURRENTLY form."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import is_new, table_decider
from sqlmigrate.lint.facts.references import is_gone
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.rules.wording import BLOCKS_ALL, BLOCKS_WRITES, listed, locks_all
from sqlmigrate.lint.safer import indexes
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.sql.tree import is_on, options, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Index

_PARTITIONED = "create table p (a int) partition by range (a); "
_INDEXED = "create table t (a int); create index i on t (a);"


def _is_partitioned(case: Case) -> bool:
    return case.table is not None and case.table.kind == "partitioned"


def _adds_index(case: Case) -> bool:
    """Whether CREATE INDEX adds an index to a table in use; IF NOT EXISTS skips an index that exists."""
    name = (case.node["relation"].get("schemaname", "") or case.name[0], case.node.get("idxname", ""))
    exists = case.node.get("if_not_exists") and case.catalog.index(name) is not None
    return not is_new(case) and not exists


def _is_new_index(case: Case, index: Index | None) -> bool:
    return index is not None and (case.decider(index.created) is Decider.FILE or is_new(case, index.table))


def _check_create(case: Case) -> Iterator[Hit]:
    if not case.node.get("concurrent") and _adds_index(case) and not _is_partitioned(case):
        yield Hit(
            f"CREATE INDEX builds an index on {case.name[1]} {BLOCKS_WRITES}",
            partial(indexes.created_concurrently, case),
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
        bad("create table x (a int); alter table t rename to y; alter table x rename to t; create index i on y (a);"),
        good("create index concurrently i on t (a);"),
        good(_INDEXED),
        good("create table if not exists t (a int); create index if not exists i on t (a);"),
        good("create table t as select 1 as a; create index on t (a);"),
        good("create table x (a int); alter table x rename to t; create index i on t (a);"),
        good("create table s.t (a int); set search_path to s; create index i on t (a);"),
        good("create temp table t (a int); create index i on t (a);"),
        good("create materialized view m as select 1 as a; create unique index on m (a);"),
        good("create index if not exists i on t (a);", _INDEXED),
        good("create index on only p (a);", _PARTITIONED),
    ),
)


def _check_partitioned(case: Case) -> Iterator[Hit]:
    is_recursive = not case.node.get("concurrent") and case.node["relation"].get("inh")
    if is_recursive and _adds_index(case) and _is_partitioned(case):
        yield Hit(
            f"CREATE INDEX builds an index on every partition of {case.name[1]} {BLOCKS_WRITES}",
            partial(indexes.created_on_partitions, case),
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
        bad("create index i on p (a);", "alter table p attach partition q for values from (0) to (9);"),
        bad("create table q partition of p for values from (0) to (9); create index i on p (a);"),
        good("create index i on only p (a);", _PARTITIONED),
        good(_PARTITIONED + "create index i on p (a);"),
        good("create index concurrently i on p1 (a);", _PARTITIONED + "create table p1 partition of p default;"),
        good("create index if not exists i on p (a);", _PARTITIONED + "create index i on p (a);"),
    ),
)


def _check_drop(case: Case) -> Iterator[Hit]:
    node = case.node
    if node["removeType"] != "OBJECT_INDEX" or node.get("concurrent"):
        return
    locked = dict[str, None]()
    for name in dropped_names(node):
        index = case.catalog.index(name)
        table = case.catalog.tables.get(index.table) if index else None
        if index is not None and (index.parent or index.constraint):
            continue  # the statement fails, which another rule reports
        if index is None and node.get("missing_ok") and is_gone(case.catalog, name):
            continue  # IF EXISTS skips the statement
        if table is not None and table.kind == "partitioned":
            continue  # PostgreSQL rejects DROP INDEX CONCURRENTLY on a partitioned index
        if table is not None and table.name in case.state.locked:
            continue  # an earlier statement has taken the lock
        if not _is_new_index(case, index):
            locked[table.name[1] if table else f"the table of {name[1]}"] = None
    if locked:
        yield Hit(locks_all("DROP INDEX", listed(locked)), partial(indexes.dropped, case))


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
        bad("drop index i;", _INDEXED),
        bad("drop index i, j;"),
        bad("create table t (a int); drop index i;"),
        good("drop index concurrently i;"),
        good(_INDEXED + "drop index i;"),
        good("create index concurrently i on t (a); drop index i;"),
        good("drop index i;", _PARTITIONED + "create index i on p (a);"),
        good("alter table t add b int; drop index i;", _INDEXED),
        good("drop table i;"),
        good("alter table t drop constraint if exists t_a_key; drop index if exists t_a_key;"),
    ),
)


def _check_reindex(case: Case) -> Iterator[Hit]:
    node = case.node
    if is_on(options(node.get("params", ())).get("concurrently", False)):
        return
    if node["kind"] == "REINDEX_OBJECT_SYSTEM" or is_new(case):
        return
    of_index = node["kind"] == "REINDEX_OBJECT_INDEX"
    if of_index and _is_new_index(case, case.catalog.index(relation(node["relation"]))):
        return
    kind = node["kind"].removeprefix("REINDEX_OBJECT_").lower()
    name = case.name[1] or node.get("name", "…")
    yield Hit(
        f"REINDEX {kind.upper()} {name} rebuilds indexes {BLOCKS_WRITES}; "
        "the ACCESS EXCLUSIVE lock on the index also blocks almost every read",
        partial(indexes.reindexed, case),
    )


REINDEX = Rule(
    name="reindex-not-concurrent",
    level=Level.WARNING,
    on=("ReindexStmt",),
    stake="Rebuilds the index under a SHARE lock on the table, which blocks writes, and an ACCESS EXCLUSIVE lock on "
    "the index. The planner locks every index of a table, so almost every query on the table is blocked.",
    safe="reindex index concurrently t_a_idx;",
    check=_check_reindex,
    examples=(
        bad("reindex index i;"),
        bad("reindex table t;"),
        bad("reindex schema public;"),
        bad("reindex (concurrently false) table t;"),
        good("reindex index concurrently i;"),
        good("reindex (concurrently) table t;"),
        good("reindex (concurrently true, verbose) table t;"),
        good(_INDEXED + "reindex table t;"),
        good(_INDEXED + "reindex index i;"),
    ),
)


def _check_refresh(case: Case) -> Iterator[Hit]:
    # A view that is not populated cannot be read yet, and CONCURRENTLY fails on it.
    is_populated = case.table is None or case.table.populated
    if is_populated and not (case.node.get("concurrent") or case.node.get("skipData") or is_new(case)):
        yield Hit(
            f"REFRESH MATERIALIZED VIEW runs the query of {case.name[1]} {BLOCKS_ALL}",
            partial(indexes.refreshed, case),
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
        bad(
            "refresh materialized view m;", "create materialized view m as select 1 as a; create unique index on m (a);"
        ),
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
    message, by = f"REFRESH … CONCURRENTLY fails: {case.name[1]}", table_decider(case, table)
    if not any(indexes.usable_for_refresh(table)) and not table.partial:
        safer = "first create a unique index on columns that identify the rows, without WHERE"
        yield Hit(f"{message} has no unique index on plain columns of all rows", safer, by)
    elif not table.populated:
        yield Hit(f"{message} is not populated", partial(indexes.populated, case), by)


_VIEW = "create materialized view m as select 1 as a;"
_UNIQUE = "create unique index on m (a);"
_REFRESH = "refresh materialized view concurrently m;"

REFRESH_FAILS = Rule(
    name="refresh-concurrently-fails",
    level=Level.ERROR,
    on=("RefreshMatViewStmt",),
    stake="REFRESH … CONCURRENTLY requires a populated view with a unique index on plain columns, without WHERE.",
    safe="create unique index m_id_idx on m (id);\nrefresh materialized view concurrently m;",
    check=_check_refresh_fails,
    examples=(
        bad(_REFRESH, _VIEW),
        bad(_VIEW + _REFRESH),
        bad(_REFRESH, _VIEW + "create unique index on m (a) where a > 0;"),
        bad(_REFRESH, "create materialized view m as select 1 as a with no data;" + _UNIQUE),
        good(_REFRESH, _VIEW + _UNIQUE),
        good(_REFRESH),
        good(_VIEW + _UNIQUE + _REFRESH),
        good("refresh materialized view m;", "create materialized view m as select 1 as a with no data;"),
    ),
)


def _check_detach(case: Case) -> Iterator[Hit]:
    node, parent = case.node["def"]["PartitionCmd"], case.name[1]
    partition = relation(node["name"])
    child = case.catalog.table(partition)
    if not (node.get("concurrent") or is_new(case) or (child is not None and case.state.hides(child))):
        yield Hit(locks_all("DETACH PARTITION", parent), partial(indexes.detached, case))


_P1 = "create table p1 partition of p for values from (0) to (9);"

DETACH = Rule(
    name="detach-not-concurrent",
    level=Level.WARNING,
    on=("AT_DetachPartition",),
    stake="Takes an ACCESS EXCLUSIVE lock on the partitioned table, which blocks reads and writes. "
    "While it waits for the lock, new queries on the table wait behind it.",
    safe="alter table p detach partition p1 concurrently;",
    check=_check_detach,
    examples=(
        bad("alter table p detach partition p1;"),
        bad("alter table p detach partition p1;", _PARTITIONED + _P1),
        good("alter table p detach partition p1 concurrently;"),
        good("alter table p detach partition p1 finalize;"),
        good(_PARTITIONED + _P1 + "alter table p detach partition p1;"),
        good("create table p1 (a int); alter table p attach partition p1 default; alter table p detach partition p1;"),
    ),
)


def _check_invalid(case: Case) -> Iterator[Hit]:
    if case.node.get("concurrent") and case.node.get("if_not_exists") and _adds_index(case):
        name = case.node.get("idxname")
        message = f"IF NOT EXISTS keeps {name} if an interrupted build left it INVALID"
        yield Hit(message, partial(indexes.created_concurrently, case))


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
        bad("create index concurrently if not exists i on t (a);", "create table t (a int);"),
        bad("drop index concurrently j; create index concurrently if not exists i on t (a);"),
        good("create index concurrently i on t (a);"),
        good("create table t (a int); create index if not exists i on t (a);"),
    ),
)


RULES = (CREATE, PARTITIONED, DROP, REINDEX, REFRESH, REFRESH_FAILS, DETACH, KEEPS_INVALID)
