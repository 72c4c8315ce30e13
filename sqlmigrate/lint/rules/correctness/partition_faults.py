"""Correctness: partitions that cannot be created, attached or detached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.bounds import bound_fault, overlap
from sqlmigrate.lint.facts.certain import certain_table
from sqlmigrate.lint.facts.questions import default_partition
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.datatype import BUILT_IN
from sqlmigrate.sql.tree import relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Name, Table
    from sqlmigrate.sql.parser import Node

# The partitions that are compared with a new one: more of them would make many partitions slow.
_COMPARED = 50


def _check_partition(case: Case) -> Iterator[Hit]:
    if case.statement.inner or (case.node.get("if_not_exists") and case.table is not None):
        return
    if case.kind == "CreateStmt":
        if "partbound" not in case.node:
            yield from _of_inheritance(case)
            return
        parent_name, child = relation(case.node["inhRelations"][0]["RangeVar"]), case.name
        bound: Node | None = case.node["partbound"]
    else:
        node = case.node["def"]["PartitionCmd"]
        if case.statement.body.get("objtype") != "OBJECT_TABLE":
            return
        parent_name, child = case.name, case.catalog.resolve(relation(node["name"]))
        bound = node.get("bound")
    parent = certain_table(case.catalog, parent_name)
    if parent is not None and (fault := _fault(case, parent, child, bound)):
        yield Hit(fault, by=decider(case, parent.created))


def _of_inheritance(case: Case) -> Iterator[Hit]:
    for item in case.node.get("inhRelations", ()):
        parent = certain_table(case.catalog, relation(item["RangeVar"]))
        if parent is not None and parent.kind == "partitioned":
            yield Hit(f"cannot inherit from partitioned table {parent.name[1]}", by=decider(case, parent.created))


def _fault(case: Case, parent: Table, name: Name, bound: Node | None) -> str:
    """Returns why a partition cannot be created, attached, or detached; empty if it can."""
    child = certain_table(case.catalog, name)
    if parent.kind == "table":
        return f"table {parent.name[1]} is not partitioned"
    if case.kind == "AT_DetachPartition":
        return _detach_fault(case, parent, child)
    if bound is None:
        return ""
    if case.kind == "AT_AttachPartition" and child is not None:
        if child.bound is not None:
            return f"{child.name[1]} is already a partition"
        if fault := _difference(parent, child):
            return fault
    return bound_fault(bound) or _conflict(case, parent, name, bound)


def _detach_fault(case: Case, parent: Table, child: Table | None) -> str:
    if child is not None and parent.name not in child.parents:
        return f"{child.name[1]} is not a partition of {parent.name[1]}"
    concurrent = case.node["def"]["PartitionCmd"].get("concurrent")
    if concurrent and (default := default_partition(case.catalog, parent.name)):
        return f"cannot detach partitions concurrently when a default partition exists: {default.name[1]}"
    return ""


def _conflict(case: Case, parent: Table, name: Name, bound: Node) -> str:
    """Returns the partition whose bound overlaps the new one, if both are constants; looks at the last partitions."""
    default = default_partition(case.catalog, parent.name) if bound.get("is_default") else None
    if default is not None and default.name != name:
        return f"partition {name[1]} would conflict with existing default partition {default.name[1]}"
    for other_name in case.catalog.referrers.get(parent.name, ())[-_COMPARED:]:
        other = certain_table(case.catalog, other_name) if other_name != name else None
        if other and other.bound and parent.name in other.parents and overlap(bound, other.bound):
            return f"partition {name[1]} would overlap partition {other_name[1]}"
    return ""


def _difference(parent: Table, child: Table) -> str:
    """Returns what the table lacks, or has besides the parent's columns; empty for tables not fully known."""
    if parent.partial or child.partial or child.parents or parent.parents:
        return ""
    for name, column in parent.columns.items():
        own = child.columns.get(name)
        if own is None:
            return f"child table is missing column {name}"
        known = own.type and column.type and own.type.name in BUILT_IN and column.type.name in BUILT_IN
        if known and own.type != column.type:
            return f"child table {child.name[1]} has different type for column {name}: {own.type}, not {column.type}"
        if column.not_null and own.not_null is False:
            return f"column {name} in child table {child.name[1]} must be marked NOT NULL"
    extra = next((name for name in child.columns if name not in parent.columns), "")
    if extra:
        return f"table {child.name[1]} contains column {extra} not found in parent {parent.name[1]}"
    checks = (check for check in parent.constraints if check.kind == "check" and not check.no_inherit)
    missing = next((check for check in checks if child.constraint(check.name) is None), None)
    return f"child table is missing constraint {missing.name}" if missing else ""


_P = "create table p (id int not null, a text) partition by range (id); "
_Q = "create table q partition of p for values from (0) to (10); "
_D = "create table d partition of p default; "
_ATTACH = "alter table p attach partition n for values from (10) to (20);"

PARTITION = Rule(
    name="partition-fails",
    level=Level.ERROR,
    on=("CreateStmt", "AT_AttachPartition", "AT_DetachPartition"),
    stake="The statement fails: the partition has other columns than the partitioned table, overlaps another "
    "partition, or cannot be detached concurrently beside a default partition.",
    safe="create table q (like p including all);\nalter table p attach partition q for values from (10) to (20);",
    check=_check_partition,
    examples=(
        bad("alter table p detach partition q concurrently;", _P + _Q + _D),
        bad("alter table p detach partition n;", _P + "create table n (id int not null, a text);"),
        bad("alter table p attach partition q for values from (10) to (20);", _P + _Q),
        bad("create table n partition of p default;", _P + _D),
        bad("create table n partition of p for values from (9) to (20);", _P + _Q),
        bad("create table n partition of p for values from (9) to (9);", _P),
        bad("create table n partition of t default;", "create table t (a int);"),
        bad("create table n () inherits (p);", _P),
        bad(_ATTACH, _P + "create table n (id int not null);"),
        bad(_ATTACH, _P + "create table n (id bigint not null, a text);"),
        bad(_ATTACH, _P + "create table n (id int, a text);"),
        bad(_ATTACH, _P + "create table n (id int not null, a text, b text);"),
        good("alter table p detach partition q concurrently;", _P + _Q),
        good("alter table p detach partition q;", _P + _Q + _D),
        good("create table n partition of p for values from (10) to (20);", _P + _Q),
        good("create table n partition of p for values from (minvalue) to (0);", _P + _Q),
        good("create table n partition of p for values from (5) to (7);", _P + _Q + "drop table q;"),
        good(_ATTACH, _P + _Q + "create table n (like p);"),
        good(_ATTACH),
    ),
)

RULES = (PARTITION,)
