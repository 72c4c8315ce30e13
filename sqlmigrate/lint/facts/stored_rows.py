"""The rows of constants that a file inserts, as long as no later statement of it may have changed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.values import NULL, UNKNOWN, value_of
from sqlmigrate.lint.schema.interpret.tables import new_name
from sqlmigrate.lint.schema.state import Stored
from sqlmigrate.sql.tree import bodies, kind_and_body, relation

if TYPE_CHECKING:
    from sqlmigrate.lint.facts.values import Value
    from sqlmigrate.lint.schema.catalog import Catalog, Column, Table
    from sqlmigrate.lint.schema.state import FileState, Statement
    from sqlmigrate.sql.parser import Node

Row = dict[str, tuple[str, object]]
# Files of data have more rows; those are not kept.
_ROWS = 200
# Statements that change no rows.
_HARMLESS = (
    *("SelectStmt", "CommentStmt", "IndexStmt", "VariableSetStmt", "CreateFunctionStmt", "CreateEnumStmt", "ViewStmt"),
    *("CreateSeqStmt", "CreateDomainStmt", "CreateSchemaStmt", "CreateExtensionStmt", "GrantStmt", "CreateTrigStmt"),
    *("AlterEnumStmt", "CreateStatsStmt", "CreatePolicyStmt", "CreateRoleStmt", "GrantRoleStmt", "CompositeTypeStmt"),
)
_KEPT_BY = (
    *("AT_AddColumn", "AT_AddConstraint", "AT_ValidateConstraint", "AT_DropConstraint", "AT_ColumnDefault"),
    *("AT_SetNotNull", "AT_DropNotNull", "AT_ChangeOwner", "AT_EnableRowSecurity", "AT_SetStatistics"),
)


def record_values(state: FileState, statement: Statement, catalog: Catalog) -> None:
    """Records the rows that a statement inserts; the catalog is the one before the statement."""
    kind, body = statement.kind, statement.body
    if kind == "CreateStmt" and not statement.inner:
        _create(state, catalog, body)
    elif kind == "InsertStmt" and not statement.inner and "withClause" not in body:
        _insert(state, catalog, body)
    elif kind == "AlterTableStmt" and not statement.inner:
        if any(command["subtype"] not in _KEPT_BY for command in statement.commands):
            state.values.pop(catalog.resolve(relation(body["relation"])), None)
    elif kind not in _HARMLESS or "withClause" in body:
        state.values.clear()


def rows_of(state: FileState, table: Table) -> Stored:
    """Returns the rows of a table that are certainly there now: others may change those of an earlier transaction."""
    stored = state.values.get(table.name, Stored())
    is_ours = state.hides(table) or stored.transaction == state.transaction
    return stored if is_ours else Stored()


def _create(state: FileState, catalog: Catalog, body: Node) -> None:
    name = new_name(catalog, body["relation"])
    if not (body.get("if_not_exists") and name in catalog.tables):
        is_alone = "inhRelations" not in body and "partspec" not in body
        state.values[name] = Stored(is_all=is_alone, transaction=state.transaction)


def _insert(state: FileState, catalog: Catalog, body: Node) -> None:
    name = catalog.resolve(relation(body["relation"]))
    table = catalog.tables.get(name)
    if table is None or table.triggers or name in state.ruled or table.kind != "table" or table.parents:
        state.values.clear()
        return
    stored = rows_of(state, table)
    if "onConflictClause" in body:
        assigns = body["onConflictClause"].get("action") != "ONCONFLICT_NOTHING"
        state.values[name] = Stored() if assigns else stored._replace(is_all=False)
        return
    rows = inserted_rows(catalog, table, body)
    fits = rows is not None and len(stored.rows) + len(rows) <= _ROWS
    new = (*stored.rows, *rows) if rows is not None and fits else stored.rows
    state.values[name] = Stored(new, is_all=stored.is_all and fits, transaction=state.transaction)


def inserted_rows(catalog: Catalog, table: Table, body: Node) -> list[Row] | None:
    """Returns the rows that an INSERT of VALUES stores in a table; None for a query and for very many rows."""
    source = body.get("selectStmt", {}).get("SelectStmt", {})
    if table.partial or "valuesLists" not in source or len(source["valuesLists"]) > _ROWS:
        return None
    listed = [column.get("name", "") for column in bodies(body, "cols")] or list(table.columns)
    lists = (item["List"].get("items", []) for item in source["valuesLists"])
    return [_row(catalog, table, dict(zip(listed, items, strict=False))) for items in lists]


def _row(catalog: Catalog, table: Table, given: dict[str, Node]) -> Row:
    return {column.name: _stored(catalog, column, given.get(column.name)) for column in table.columns.values()}


def _stored(catalog: Catalog, column: Column, node: Node | None) -> Value:
    """Returns what a column stores for an expression, or for DEFAULT."""
    if column.generated or column.collation:
        return UNKNOWN
    if node is None or kind_and_body(node)[0] == "SetToDefault":
        if column.identity or column.type is None:
            return UNKNOWN
        domain = catalog.type(column.type.name)
        if column.default is None:
            return NULL if domain is None or domain.default is None else UNKNOWN
        return value_of(column.default, column.type, catalog)
    return value_of(node, column.type, catalog)
