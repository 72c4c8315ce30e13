"""ALTER TABLE, and what shares its grammar: ALTER INDEX, VIEW, SEQUENCE, MATERIALIZED VIEW, FOREIGN TABLE.

A statement takes the strongest of the locks that its parts ask for, as AlterTableGetLockLevel in tablecmds.c has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.locks.modes import Mode, TableLock
from sqlmigrate.locks.tree import every, kind, named

if TYPE_CHECKING:
    from collections.abc import Iterator

# Every other part asks for ACCESS EXCLUSIVE.
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
# SET and RESET of these storage parameters ask for ACCESS EXCLUSIVE, of others for SHARE UPDATE EXCLUSIVE.
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
# What a part is told to do by its own words.
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
# Of a new column: what gives each row its own value, and so writes every row anew.
_SERIAL = frozenset(("serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"))
_VOLATILE = frozenset(
    ("clock_timestamp", "gen_random_uuid", "nextval", "random", "random_normal", "timeofday", "uuidv4", "uuidv7")
)
_STORED = "s"


def altered(node: Any) -> Iterator[TableLock]:
    """The locks of ALTER TABLE and its kin."""
    kind_of_object = node.objtype
    if kind_of_object == "OBJECT_TYPE":  # a composite type, which has no rows
        return
    for command in node.cmds:
        mode = _mode(command)
        work = _work(command).replace("the table", "the index" if kind_of_object == "OBJECT_INDEX" else "the table")
        yield TableLock(named(node.relation), mode, work)
        yield from _others(command)


def definition(command: Any) -> Any:
    """What a part of ALTER TABLE adds, sets or names."""
    return getattr(command, "def")


def _mode(command: Any) -> Mode:
    match command.subtype:
        case "AT_AddConstraint" if definition(command).contype == "CONSTR_FOREIGN":
            return Mode.SHARE_ROW_EXCLUSIVE
        case "AT_DetachPartition" if definition(command).concurrent:
            return Mode.SHARE_UPDATE_EXCLUSIVE
        case "AT_SetRelOptions" | "AT_ResetRelOptions":
            parameters = {item.defname for item in definition(command).items}
            return Mode.ACCESS_EXCLUSIVE if parameters & STRONG_PARAMETERS else Mode.SHARE_UPDATE_EXCLUSIVE
        case part:
            return WEAKER.get(part, Mode.ACCESS_EXCLUSIVE)


def _others(command: Any) -> Iterator[TableLock]:
    """The locks on other tables that a part of ALTER TABLE names."""
    match command.subtype:
        case "AT_AddConstraint" | "AT_AddColumn":
            yield from referenced(definition(command))
        case "AT_AttachPartition" | "AT_DetachPartition" | "AT_DetachPartitionFinalize":
            # CONCURRENTLY spares the parent, but ends with this lock on the partition all the same.
            yield TableLock(named(definition(command).name), Mode.ACCESS_EXCLUSIVE)
        case "AT_AddInherit":
            yield TableLock(named(definition(command)), Mode.SHARE_UPDATE_EXCLUSIVE)
        case "AT_DropInherit":
            yield TableLock(named(definition(command)), Mode.ACCESS_SHARE)


def referenced(node: Any) -> Iterator[TableLock]:
    """The locks on the tables that foreign keys within a definition refer to: each gets triggers."""
    for below in every(node):
        if kind(below) == "Constraint" and below.pktable:
            yield TableLock(named(below.pktable), Mode.SHARE_ROW_EXCLUSIVE)


def _work(command: Any) -> str:
    match command.subtype:
        case "AT_AddConstraint":
            return _work_of_constraint(definition(command))
        case "AT_AddColumn":
            return _work_of_column(definition(command))
        case part:
            return WORK.get(part, "")


def _work_of_constraint(constraint: Any) -> str:
    if constraint.skip_validation or constraint.indexname:
        return ""
    return WORK_OF_CONSTRAINT.get(constraint.contype, "")


def _work_of_column(column: Any) -> str:
    constraints = {one.contype: one for one in column.constraints}
    if "CONSTR_DEFAULT" not in constraints:  # then all of it is null, and refers to nothing
        constraints.pop("CONSTR_FOREIGN", None)
    works = {_work_of_constraint(one) for one in constraints.values()}
    if _rewrites(column, constraints):  # and checks the rows as it goes
        works = works - {"scans the table"} | {"rewrites the table"}
    return both(works)


def _rewrites(column: Any, constraints: dict[str, Any]) -> bool:
    if column.typeName.names[-1].sval in _SERIAL or "CONSTR_IDENTITY" in constraints:
        return True
    if generated := constraints.get("CONSTR_GENERATED"):
        return bool(generated.generated_kind == _STORED)
    default = constraints.get("CONSTR_DEFAULT", column)
    return any(kind(node) == "FuncCall" and node.funcname[-1].sval in _VOLATILE for node in every(default))


def both(works: set[str]) -> str:
    """Several kinds of work in one phrase."""
    return " and ".join(sorted(works - {""}))
