"""The statements that change only the catalog: PostgreSQL reads no row, so they hold their lock briefly. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.datatype import is_serial
from sqlmigrate.sql.builtin import STEADY
from sqlmigrate.sql.tree import by_identity, qualified, walk

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.state import Statement
    from sqlmigrate.sql.parser import Node

_STATEMENTS = (
    *("AlterObjectSchemaStmt", "AlterOwnerStmt", "AlterPolicyStmt", "CreatePolicyStmt", "CreateTrigStmt"),
    *("DropStmt", "LockStmt", "RenameStmt", "RuleStmt"),
)
_COMMANDS = (
    *("AT_ColumnDefault", "AT_DropColumn", "AT_DropConstraint", "AT_DropNotNull"),
    *("AT_AddIdentity", "AT_SetIdentity", "AT_DropIdentity", "AT_DropExpression"),
    *("AT_EnableRowSecurity", "AT_DisableRowSecurity", "AT_ForceRowSecurity", "AT_NoForceRowSecurity"),
    *("AT_EnableTrig", "AT_DisableTrig", "AT_EnableTrigAll", "AT_DisableTrigAll", "AT_EnableTrigUser"),
    *("AT_DisableTrigUser", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig", "AT_EnableRule", "AT_DisableRule"),
    *("AT_ChangeOwner", "AT_ReplicaIdentity", "AT_SetStorage", "AT_SetCompression"),
)
_OF_COLUMN = ("CONSTR_DEFAULT", "CONSTR_NOTNULL", "CONSTR_NULL")


def is_quick(statement: Statement) -> bool:
    """Returns whether a statement changes only the catalog, as far as the statement tells."""
    return statement.kind in _STATEMENTS or (statement.kind == "AlterTableStmt" and _changes_catalog(statement.body))


@by_identity
def _changes_catalog(body: Node) -> bool:
    return all(_is_quick_command(item["AlterTableCmd"]) for item in body["cmds"])


def _is_quick_command(command: Node) -> bool:
    definition = command.get("def", {})
    match command["subtype"]:
        case "AT_AddColumn":
            return _is_quick_column(definition["ColumnDef"])
        case "AT_AddConstraint":
            return bool(definition["Constraint"].get("skip_validation"))
        case subtype:
            return subtype in _COMMANDS


def _is_quick_column(column: Node) -> bool:
    """Returns whether ADD COLUMN stores the default in the catalog; a volatile one is stored in each row."""
    constraints = [item["Constraint"] for item in column.get("constraints", ())]
    calls = {qualified(body["funcname"])[1] for kind, body in walk(constraints) if kind == "FuncCall"}
    is_plain = all(constraint["contype"] in _OF_COLUMN for constraint in constraints)
    return is_plain and calls <= STEADY and not is_serial(column["typeName"])
