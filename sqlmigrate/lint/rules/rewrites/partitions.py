"""Rules about scans and locks when a partition is attached or created."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.bounds import implies_bound
from sqlmigrate.lint.facts.questions import default_partition, is_new, table_decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good, unsure
from sqlmigrate.lint.rules.wording import BLOCKS_ALL, locks_all
from sqlmigrate.lint.safer import partitions as safer
from sqlmigrate.sql.tree import relation, unplaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Index, Name, Table
    from sqlmigrate.sql.parser import Node

_PARENT = "create table p (id int not null) partition by range (id); "
_NULLABLE = "create table p (id int) partition by range (id); "


def _check_attach(case: Case) -> Iterator[Hit]:
    node = case.node["def"]["PartitionCmd"]
    if "bound" not in node:  # ALTER INDEX … ATTACH PARTITION
        return
    name = case.catalog.resolve(relation(node["name"]))
    child = case.catalog.tables.get(name)
    if is_new(case, name):
        return
    keys = case.table.keys if case.table else ()
    has_check = child is not None and len(keys) == 1 and implies_bound(child, keys[0], node["bound"])
    if not has_check and child is not None and child.validated:
        message = f"whether {child.validated[-1]}, which a file validates, proves the bound of {name[1]}"
        yield Hit(message, by=table_decider(case, child), certain=False)
    elif not has_check and not _is_only_default(case, node["bound"]):
        yield Hit(
            f"ATTACH PARTITION scans {name[1]} {BLOCKS_ALL}",
            partial(safer.attached_after_check, case),
            table_decider(case, child),
        )
    yield from _missing_parts(case, child)


def _missing_parts(case: Case, child: Table | None) -> Iterator[Hit]:
    """Yields the indexes and foreign keys of the parent that ATTACH creates on the new partition."""
    parent = case.table
    if parent is None or child is None or child.partial:
        return
    by = table_decider(case, child)
    for index in parent.indexes:
        if not any(_matches(case, index, child, child_index) for child_index in child.indexes):
            message = f"ATTACH PARTITION builds an index like {index.name[1]} on {child.name[1]} {BLOCKS_ALL}"
            yield Hit(message, partial(safer.attached_after_index, case, child, index), by)
    keys = [(key.columns, key.references) for key in child.constraints if key.kind == "foreign"]
    for key in parent.constraints:
        if key.kind == "foreign" and (key.columns, key.references) not in keys:
            advice = f"first add a foreign key like {key.name} to {child.name[1]} NOT VALID, and validate it later"
            yield Hit(f"ATTACH PARTITION scans {child.name[1]} for foreign key {key.name} {BLOCKS_ALL}", advice, by)


def _matches(case: Case, index: Index, child: Table, child_index: Index) -> bool:
    """Whether ATTACH PARTITION can use an index of the new partition for the parent's index.

    Before PostgreSQL 17, it can also use the index of a unique constraint for a primary key.
    """
    definition, existing = (
        (item.columns, item.unique, item.method, item.options, len(item.expressions), item.predicate is None)
        for item in (index, child_index)
    )
    if definition != existing or not index.constraint:
        return definition == existing
    keys = [table.constraint(item.name[1]) for table, item in ((case.table, index), (child, child_index)) if table]
    kinds = [key.kind for key in keys if key is not None]
    return len(kinds) == 2 and (kinds[0] == kinds[1] or case.postgres < 17)


def _is_only_default(case: Case, bound: dict[str, object]) -> bool:
    """Whether a DEFAULT partition becomes the only partition, so that it needs no scan."""
    is_complete = case.table is not None and not case.table.partial
    return bool(bound.get("is_default")) and is_complete and not case.catalog.children(case.name)


_ATTACH = "alter table p attach partition q for values from (0) to (9);"
_CHECKED = "create table q (id int not null, check (id >= 0 and id < 9));"

ATTACH = Rule(
    name="attach-partition-scans",
    level=Level.WARNING,
    on=("AT_AttachPartition",),
    stake="Scans the new partition under an ACCESS EXCLUSIVE lock, which blocks reads and writes. "
    "A valid CHECK that implies the partition bound makes the scan unnecessary.",
    safe="alter table q add constraint q_bound check (id is not null and id >= 10 and id < 20) not valid;\n"
    "alter table q validate constraint q_bound;\n-- in the next file:\n"
    "alter table p attach partition q for values from (10) to (20);",
    check=_check_attach,
    examples=(
        bad("alter table p attach partition q for values from (10) to (20);"),
        bad(_ATTACH, _PARENT + "create table q (id int not null);"),
        bad(_ATTACH, _NULLABLE + "create table q (id int, check (id >= 0 and id < 9));"),
        bad(_ATTACH, _PARENT + "create table q (id int not null, check (id >= 0 and id < 10));"),
        bad(
            _ATTACH,
            _PARENT + "create table q (id int not null); alter table q add check (id >= 0 and id < 9) not valid;",
        ),
        bad(
            "alter table p attach partition q for values in ('a');",
            "create table p (k text) partition by list (k); create table q (k text, check (k in ('a')));",
        ),
        bad(_ATTACH, _PARENT + "create index on p (id);" + _CHECKED),
        bad(_ATTACH, "create table p (id int not null references r) partition by range (id);" + _CHECKED),
        good(_ATTACH, _PARENT + "create index on p (id);" + _CHECKED + "create index on q (id);"),
        good(_ATTACH, _PARENT + _CHECKED),
        good(_ATTACH, _PARENT + "create table q (id int, check (id is not null and id >= 2 and id < 5));"),
        good(
            "alter table p attach partition q for values from ('2026-01-01') to ('2026-02-01');",
            "create table p (d date) partition by range (d);"
            "create table q (d date not null, check (d >= '2026-01-01' and d < date '2026-02-01'));",
        ),
        good(
            "alter table p attach partition q for values in ('a', 'b');",
            "create table p (k text) partition by list (k);create table q (k text not null, check (k in ('b', 'a')));",
        ),
        good("create table q (id int);" + _ATTACH),
        good("alter index p_idx attach partition q_idx;"),
        unsure("alter table q validate constraint q_bound; " + _ATTACH),
    ),
)


def _added_partition(case: Case) -> tuple[Name, Node | None]:
    """Returns the partitioned table and the bound of the partition that a statement adds, or no bound."""
    if case.kind == "AT_AttachPartition":
        return case.name, case.node["def"]["PartitionCmd"].get("bound")
    parents = case.node.get("inhRelations", [{"RangeVar": {}}])
    return case.catalog.resolve(relation(parents[0]["RangeVar"])), case.node.get("partbound")


def _check_default(case: Case) -> Iterator[Hit]:
    parent, bound = _added_partition(case)
    default = default_partition(case.catalog, parent) if bound and not bound.get("is_default") else None
    if default is None or is_new(case, default.name):
        return
    checks = [check for check in default.constraints if check.kind == "check" and check.valid]
    excluding = unplaced(safer.excluding(case, parent, bound or {}))
    if excluding and any(unplaced(check.expression) == excluding for check in checks):
        return
    if default.validated or any("BoolExpr" in (check.expression or {}) for check in checks):
        message = f"whether a CHECK of {default.name[1]}, the DEFAULT partition, excludes the rows of the new partition"
        yield Hit(message, by=table_decider(case, default), certain=False)
        return
    yield Hit(
        f"adding a partition scans {default.name[1]}, the DEFAULT partition, {BLOCKS_ALL}",
        partial(safer.added_after_check, case, parent, bound or {}, default),
        table_decider(case, default),
    )


_PARTITION_OF = "create table q partition of p for values from (0) to (9);"
_WITH_DEFAULT = _PARENT + "create table d partition of p default; "

DEFAULT_SCANS = Rule(
    name="default-partition-scans",
    level=Level.WARNING,
    on=("AT_AttachPartition", "CreateStmt"),
    stake="Scans the DEFAULT partition for rows that belong to the new partition, under an ACCESS EXCLUSIVE lock, "
    "which blocks reads and writes.",
    safe="alter table d add constraint d_bound check (id < 10 or id >= 20) not valid;\n"
    "alter table d validate constraint d_bound;\n-- in the next file:\n"
    "alter table p attach partition q for values from (10) to (20);",
    check=_check_default,
    examples=(
        bad(_PARTITION_OF, _WITH_DEFAULT),
        bad("create table q (id int not null);" + _ATTACH, _WITH_DEFAULT),
        bad(_PARTITION_OF, "alter table p attach partition d default;"),
        good(_PARTITION_OF, _WITH_DEFAULT + "drop table d;"),
        good("create table q (id int);" + _ATTACH, _WITH_DEFAULT + "alter table p detach partition d;"),
        good(_WITH_DEFAULT + _PARTITION_OF),
        good("create table q (id int);", _WITH_DEFAULT),
        good("create table d partition of p default;", _PARENT),
        good(_PARTITION_OF, _WITH_DEFAULT + "alter table d add check (id < 0 or id >= 9);"),
        unsure(_PARTITION_OF, _WITH_DEFAULT + "alter table d add check (id < -1 or id >= 20);"),
    ),
)


def _check_partition_of(case: Case) -> Iterator[Hit]:
    parent, bound = _added_partition(case)
    name = relation(case.node["relation"])
    exists = case.node.get("if_not_exists") and case.catalog.table(name) is not None
    if bound is not None and not is_new(case, parent) and not exists:
        yield Hit(
            locks_all("CREATE TABLE … PARTITION OF", parent[1]),
            partial(safer.created_alone, case, parent),
        )


PARTITION_OF = Rule(
    name="partition-of-locks-parent",
    level=Level.WARNING,
    on=("CreateStmt",),
    stake="Takes an ACCESS EXCLUSIVE lock on the partitioned table, which blocks reads and writes. "
    "ATTACH PARTITION takes a SHARE UPDATE EXCLUSIVE lock, which blocks neither.",
    safe="create table q (like p including all);\nalter table p attach partition q for values from (10) to (20);",
    check=_check_partition_of,
    examples=(
        bad(_PARTITION_OF),
        bad(_PARTITION_OF, _PARENT),
        bad("create table d partition of p default;", _PARENT),
        good("create table q (like p including all);" + _ATTACH),
        good(_PARENT + _PARTITION_OF),
        good("create table q () inherits (p);"),
        good("create table if not exists q partition of p for values from (0) to (9);", _PARENT + _PARTITION_OF),
    ),
)

RULES = (ATTACH, DEFAULT_SCANS, PARTITION_OF)
