"""ALTER TABLE and the statements that share its grammar: ALTER INDEX, VIEW, SEQUENCE, MATERIALIZED VIEW, FOREIGN TABLE.

A statement takes the strongest of the locks of its subcommands, as AlterTableGetLockLevel in tablecmds.c defines them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.locks.expansion import relation_name
from sqlmigrate.locks.modes import Mode, NamedLock
from sqlmigrate.sql.builtin import SERIALS, VOLATILE
from sqlmigrate.sql.tree import bodies, definition, options, qualified, strings, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlmigrate.sql.parser import Node

# Every other subcommand takes ACCESS EXCLUSIVE.
WEAKER = {
    "AT_SetStatistics": Mode.SHARE_UPDATE_EXCLUSIVE,
    "AT_SetOptions": Mode.SHARE_UPDATE_EXCLUSIVE,
    "AT_ResetOptions": Mode.SHARE_UPDATE_EXCLUSIVE,
    "AT_ValidateConstraint": Mode.SHARE_UPDATE_EXCLUSIVE,
    "AT_ClusterOn": Mode.SHARE_UPDATE_EXCLUSIVE,
    "AT_DropCluster": Mode.SHARE_UPDATE_EXCLUSIVE,
    "AT_AttachPartition": Mode.SHARE_UPDATE_EXCLUSIVE,
    "AT_DetachPartitionFinalize": Mode.SHARE_UPDATE_EXCLUSIVE,
    "AT_EnableTrig": Mode.SHARE_ROW_EXCLUSIVE,
    "AT_EnableAlwaysTrig": Mode.SHARE_ROW_EXCLUSIVE,
    "AT_EnableReplicaTrig": Mode.SHARE_ROW_EXCLUSIVE,
    "AT_EnableTrigAll": Mode.SHARE_ROW_EXCLUSIVE,
    "AT_EnableTrigUser": Mode.SHARE_ROW_EXCLUSIVE,
    "AT_DisableTrig": Mode.SHARE_ROW_EXCLUSIVE,
    "AT_DisableTrigAll": Mode.SHARE_ROW_EXCLUSIVE,
    "AT_DisableTrigUser": Mode.SHARE_ROW_EXCLUSIVE,
}
# SET and RESET of these storage parameters take ACCESS EXCLUSIVE, of other parameters SHARE UPDATE EXCLUSIVE.
STRONG_PARAMETERS = frozenset(
    (
        "autosummarize",
        "buffering",
        "check_option",
        "fastupdate",
        "gin_pending_list_limit",
        "pages_per_range",
        "security_barrier",
        "security_invoker",
        "user_catalog_table",
    )
)
# The work that a subcommand always does.
WORK = {
    "AT_ValidateConstraint": "scans the table",
    "AT_SetLogged": "rewrites the table",
    "AT_SetUnLogged": "rewrites the table",
    "AT_SetAccessMethod": "rewrites the table",
    "AT_SetTableSpace": "copies the table",
}
WORK_OF_CONSTRAINT = {
    "CONSTR_CHECK": "scans the table",
    "CONSTR_FOREIGN": "scans the table",
    "CONSTR_PRIMARY": "builds an index",
    "CONSTR_UNIQUE": "builds an index",
    "CONSTR_EXCLUSION": "builds an index",
}
_OF_PARTITIONS = ("AT_AttachPartition", "AT_DetachPartition", "AT_DetachPartitionFinalize")
_STORED = "s"


def altered(node: Node) -> Iterator[NamedLock]:
    """Yields the locks of ALTER TABLE and of the statements that share its grammar."""
    object_type = node["objtype"]
    if object_type == "OBJECT_TYPE":  # a composite type has no rows
        return
    for command in bodies(node, "cmds"):
        work = _work(command)
        if object_type == "OBJECT_INDEX":
            work = work.replace("the table", "the index")
        yield NamedLock(relation_name(node["relation"]), mode_of(command), work)
        yield from _locks_on_others(command)


def altered_exclusively(node: Node) -> Iterator[tuple[str, ...]]:
    """Yields the names of the relations that ALTER TABLE locks ACCESS EXCLUSIVE, some of them twice."""
    for command in bodies(node, "cmds") if node["objtype"] != "OBJECT_TYPE" else ():
        if mode_of(command) is Mode.ACCESS_EXCLUSIVE:
            yield relation_name(node["relation"])
        if command["subtype"] in _OF_PARTITIONS:
            yield from (lock.name for lock in _locks_on_others(command))


def mode_of(command: Node) -> Mode:
    """Returns the lock mode that a subcommand of ALTER TABLE takes on the table itself."""
    match command["subtype"]:
        case "AT_AddConstraint" if definition(command)["contype"] == "CONSTR_FOREIGN":
            return Mode.SHARE_ROW_EXCLUSIVE
        case "AT_DetachPartition" if definition(command).get("concurrent"):
            return Mode.SHARE_UPDATE_EXCLUSIVE
        case "AT_SetRelOptions" | "AT_ResetRelOptions":
            parameters = options(definition(command).get("items", ())).keys()
            return Mode.ACCESS_EXCLUSIVE if parameters & STRONG_PARAMETERS else Mode.SHARE_UPDATE_EXCLUSIVE
        case subtype:
            return WEAKER.get(subtype, Mode.ACCESS_EXCLUSIVE)


def _locks_on_others(command: Node) -> Iterator[NamedLock]:
    """Yields the locks on other tables that a subcommand names."""
    match command["subtype"]:
        case "AT_AddConstraint" | "AT_AddColumn":
            yield from referenced(command["def"])
        case subtype if subtype in _OF_PARTITIONS:
            # With CONCURRENTLY too: its second transaction takes this lock on the partition.
            yield NamedLock(relation_name(definition(command)["name"]), Mode.ACCESS_EXCLUSIVE)
        case "AT_AddInherit":
            yield NamedLock(relation_name(definition(command)), Mode.SHARE_UPDATE_EXCLUSIVE)
        case "AT_DropInherit":
            yield NamedLock(relation_name(definition(command)), Mode.ACCESS_SHARE)


def referenced(node: Node) -> Iterator[NamedLock]:
    """Yields the locks on the tables that foreign keys in a definition reference: each table gets triggers."""
    for kind, body in walk(node):
        if kind == "Constraint" and "pktable" in body:
            yield NamedLock(relation_name(body["pktable"]), Mode.SHARE_ROW_EXCLUSIVE)


def _work(command: Node) -> str:
    match command["subtype"]:
        case "AT_AddConstraint":
            return _work_of_constraint(definition(command))
        case "AT_AddColumn":
            return _work_of_column(definition(command))
        case subtype:
            return WORK.get(subtype, "")


def _work_of_constraint(constraint: Node) -> str:
    if constraint.get("skip_validation") or "indexname" in constraint:
        return ""
    return WORK_OF_CONSTRAINT.get(constraint["contype"], "")


def _work_of_column(column: Node) -> str:
    constraints = {constraint["contype"]: constraint for constraint in bodies(column, "constraints")}
    if "CONSTR_DEFAULT" not in constraints:  # then every value is NULL and references nothing
        constraints.pop("CONSTR_FOREIGN", None)
    works = set(map(_work_of_constraint, constraints.values()))
    if _rewrites(column, constraints):  # a rewrite checks the rows too
        works = works - {"scans the table"} | {"rewrites the table"}
    return both(works)


def _rewrites(column: Node, constraints: Mapping[str, Node]) -> bool:
    if strings(column["typeName"]["names"])[-1] in SERIALS or "CONSTR_IDENTITY" in constraints:
        return True
    if generated := constraints.get("CONSTR_GENERATED"):
        return bool(generated.get("generated_kind") == _STORED)
    calls = (body for kind, body in walk(constraints.get("CONSTR_DEFAULT", {})) if kind == "FuncCall")
    return any(qualified(call["funcname"])[1] in VOLATILE for call in calls)


def both(works: set[str]) -> str:
    """Returns several kinds of work as one phrase."""
    return " and ".join(sorted(works - {""}))
