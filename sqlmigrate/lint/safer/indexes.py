"""Safer SQL for indexes: CONCURRENTLY, and one index after the other on partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import default_partition
from sqlmigrate.lint.safer.statements import (
    advice,
    altered_table,
    drop_constraint,
    free_constraint,
    in_place,
    named,
    outside_transaction,
    plain,
    table_of,
    whole,
)
from sqlmigrate.lint.schema.interpret.changes import dropped_names
from sqlmigrate.lint.schema.interpret.names import index_name, taken_in
from sqlmigrate.sql.tree import bodies, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Name, Table
    from sqlmigrate.sql.parser import Node

_CONCURRENTLY = {"DefElem": {"defname": "concurrently", "defaction": "DEFELEM_UNSPEC"}}
_NO_CASCADE = "drop the objects that depend on the index first: CONCURRENTLY does not support CASCADE"
_EACH_PARTITION = (
    "create the index ON ONLY the partitioned table, then on each partition CONCURRENTLY, "
    "and attach these to it with ALTER INDEX"
)
_UNIQUE_INDEX = (
    "create a unique index on columns that identify the rows, then use REFRESH MATERIALIZED VIEW CONCURRENTLY"
)
_DETACH = (
    "use DETACH PARTITION with CONCURRENTLY, which adds a CHECK with the bound to the detached table unless it has one"
)
_BESIDE_DEFAULT = "CONCURRENTLY does not work beside a DEFAULT partition; set lock_timeout to a short time"


def created_concurrently(case: Case) -> Safer:
    """Returns CREATE INDEX CONCURRENTLY."""
    return outside_transaction(case, [{"IndexStmt": _concurrent(case.node)}])


def created_on_partitions(case: Case) -> Safer:
    """Returns the index of a partitioned table, of each partition, and their ALTER INDEX … ATTACH PARTITION."""
    table = table_of(case)
    children = case.catalog.children(table.name)
    if table.partial or case.catalog.uncertain or not all(map(_is_plain, children)):
        return advice(_EACH_PARTITION)
    elements = [*bodies(case.node, "indexParams"), *bodies(case.node, "indexIncludingParams")]
    taken = taken_in(case.catalog, table.name[0])
    name = case.node.get("idxname") or index_name(table.name[1], elements, taken)
    kept = {field: value for field, value in case.node.items() if field not in ("if_not_exists", "concurrent")}
    only = {**plain(kept), "idxname": name, "relation": {**case.node["relation"], "inh": False}}
    nodes = [{"IndexStmt": only}]
    parent = named(case, (table.name[0], name), case.node["relation"])
    for child in children:
        index = index_name(child.name[1], elements, taken_in(case.catalog, child.name[0]))
        on = named(case, child.name, case.node["relation"])
        nodes += [
            {"IndexStmt": _concurrent({**case.node, "idxname": index, "relation": on})},
            _attached(parent, named(case, (child.name[0], index), case.node["relation"])),
        ]
    return outside_transaction(case, nodes) if children else in_place(case, nodes)


def _is_plain(partition: Table) -> bool:
    """Whether a partition is a table without an index, which CREATE INDEX on the parent could attach."""
    return partition.kind == "table" and not partition.partial and not partition.indexes


def _attached(index: Node, partition: Node) -> Node:
    command = {"subtype": "AT_AttachPartition", "def": {"PartitionCmd": {"name": partition}}}
    cmds = [{"AlterTableCmd": {**command, "behavior": "DROP_RESTRICT"}}]
    return {"AlterTableStmt": {"relation": index, "cmds": cmds, "objtype": "OBJECT_INDEX"}}


def _concurrent(node: Node) -> Node:
    return {field: value for field, value in plain(node).items() if field != "if_not_exists"} | {"concurrent": True}


def with_extension(case: Case, extension: str) -> Safer:
    """Returns CREATE EXTENSION, and the statement."""
    nodes = [{"CreateExtensionStmt": {"extname": extension, "if_not_exists": True}}, whole(case)]
    return outside_transaction(case, nodes) if case.node.get("concurrent") else in_place(case, nodes)


def dropped(case: Case) -> Safer:
    """Returns a DROP INDEX CONCURRENTLY for each index; that of a partitioned table must be without CONCURRENTLY."""
    node = case.node
    if node.get("behavior") == "DROP_CASCADE":
        return advice(_NO_CASCADE)
    nodes = [
        {"DropStmt": {**node, "objects": [item], "concurrent": not _is_of_partitioned(case, name)}}
        for item, name in zip(node["objects"], dropped_names(node), strict=True)
    ]
    return outside_transaction(case, nodes)


def _is_of_partitioned(case: Case, name: Name) -> bool:
    index = case.catalog.index(name)
    table = case.catalog.tables.get(index.table) if index else None
    return table is not None and table.kind == "partitioned"


def reindexed(case: Case) -> Safer:
    """Returns REINDEX CONCURRENTLY."""
    given = [item for item in case.node.get("params", ()) if item["DefElem"]["defname"] != "concurrently"]
    return outside_transaction(case, [{"ReindexStmt": {**case.node, "params": [*given, _CONCURRENTLY]}}])


def refreshed(case: Case) -> Safer:
    """Returns REFRESH MATERIALIZED VIEW CONCURRENTLY if the view has the index for it."""
    if case.table is None or not any(usable_for_refresh(case.table)):
        return advice(_UNIQUE_INDEX)
    return in_place(case, [{"RefreshMatViewStmt": {**case.node, "concurrent": True}}])


def populated(case: Case) -> Safer:
    """Returns REFRESH MATERIALIZED VIEW."""
    kept = {field: value for field, value in case.node.items() if field != "concurrent"}
    return in_place(case, [{"RefreshMatViewStmt": kept}])


def usable_for_refresh(view: Table) -> Iterator[bool]:
    """Yields for each index of a materialized view whether REFRESH … CONCURRENTLY can use it."""
    return (index.unique and not index.predicate and not index.expressions for index in view.indexes)


def detached(case: Case) -> Safer:
    """Returns DETACH PARTITION CONCURRENTLY, and the removal of the CHECK that it adds."""
    command, parent = case.node["def"]["PartitionCmd"], case.table
    name = case.catalog.resolve(relation(command["name"]))
    partition = case.catalog.tables.get(name)
    if default_partition(case.catalog, case.name) is not None:
        return advice(_BESIDE_DEFAULT)
    if parent is None or partition is None or parent.partial or partition.partial:
        return advice(_DETACH)
    columns = parent.keys[0] if len(parent.keys) == 1 else ""
    added = free_constraint(partition, columns, "check")
    concurrently = replaced_command(case, {**command, "concurrent": True})
    return outside_transaction(
        case, [concurrently, altered_table(command["name"], drop_constraint(added, if_exists=True))]
    )


def replaced_command(case: Case, command: Node) -> Node:
    """Returns the ALTER TABLE of a case with another PartitionCmd."""
    changed = {**case.node, "def": {"PartitionCmd": command}}
    return {"AlterTableStmt": {**case.statement.body, "cmds": [{"AlterTableCmd": changed}]}}


def after_unique_index(case: Case, foreign_key: Node, columns: list[str]) -> Safer:
    """Returns a unique index on the columns that a foreign key references, and the statement."""
    if not columns or relation(foreign_key["pktable"]) == relation(case.statement.body.get("relation", {})):
        return advice("first add a primary key, or name the columns of a unique constraint")
    order = {"ordering": "SORTBY_DEFAULT", "nulls_ordering": "SORTBY_NULLS_DEFAULT"}
    elements = [{"IndexElem": {"name": name, **order}} for name in columns]
    table = {**foreign_key["pktable"], "inh": True}
    index = {"relation": table, "indexParams": elements, "unique": True, "concurrent": True}
    return outside_transaction(case, [{"IndexStmt": index}, whole(case)])
