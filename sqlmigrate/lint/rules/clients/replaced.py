"""A copy takes the name of what is dropped or renamed, in the same transaction: queries find the rows there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.rules.clients.origin import at_end
from sqlmigrate.sql.tree import columns_in, relation, relations_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Catalog, Column, Name, Table


def by_column(case: Case, name: str) -> Callable[[Catalog], bool] | None:
    """Returns a test for `Hit.unless`: whether a new column with the values of the old one has its name at the end."""
    created = case.state.created

    def is_new(column: Column | None) -> bool:
        return column is not None and column.created == created

    copies = [column.name for column in case.table.columns.values() if is_new(column)] if case.table else []
    if not copies or not any(
        case.catalog.resolve(relation(body["relation"])) == case.name and name in columns_in(body)
        for body in case.state.run_on("UpdateStmt", case.name[1])
    ):
        return None
    return _in_last_transaction(
        case,
        at_end(
            case.name,
            lambda table: is_new(table.columns.get(name)) and any(copy not in table.columns for copy in copies),
        ),
    )


def by_table(case: Case, name: Name) -> Callable[[Catalog], bool] | None:
    """Returns a test for `Hit.unless`: whether a new table with the rows of the dropped one has its name at the end.

    A table that this file renamed has no name that queries use; `under_old_name` tests its old name.
    """
    name = case.catalog.resolve(name)
    created, copies = case.state.created, [new for new in _copies(case, name) if new != name]
    renamed = case.state.locked.get(name)
    if renamed is not None and renamed.kind == "RenameStmt" and renamed.body.get("newname") == name[1]:
        return lambda catalog: any(copy in catalog.tables for copy in copies)
    return _in_last_transaction(case, at_end(name, lambda table: table.created == created)) if copies else None


def under_old_name(case: Case, old: Name, new: Name) -> Callable[[Catalog], bool]:
    """Returns a test for `Hit.unless`: whether a new table has the old name at the end, and the renamed table is gone.

    While the renamed table exists, views and foreign keys depend on it. The new table must have all its columns.
    """
    created, columns = case.state.created, _columns(case.catalog.tables.get(old))

    def is_replaced(catalog: Catalog) -> bool:
        table = catalog.tables.get(old)
        is_gone = new in catalog.dropped and new not in catalog.tables
        if table is None or table.created != created or not is_gone:
            return False
        return table.partial or columns <= _columns(table)

    return is_replaced


def _in_last_transaction(case: Case, test: Callable[[Catalog], bool]) -> Callable[[Catalog], bool]:
    """Returns the test for a file that ends with the transaction of the case: all changes become visible together."""
    state, transaction = case.state, case.state.transaction

    def is_met(catalog: Catalog) -> bool:
        is_last = state.transaction == transaction or (state.transaction == transaction + 1 and not state.before)
        return is_last and test(catalog)

    return is_met


def _copies(case: Case, name: Name) -> list[Name]:
    """Returns the tables into which this transaction wrote rows of a table."""
    sources = {target: statement.body for target, statement in case.state.written.items()}
    for body in case.state.run_on("CreateTableAsStmt", name[1]):
        sources[case.catalog.resolve(relation(body["into"]["rel"]))] = body
    return [
        target
        for target, body in sources.items()
        if name in [case.catalog.resolve(read) for read in relations_in(body)]
    ]


def _columns(table: Table | None) -> set[str]:
    return set() if table is None or table.partial else set(table.columns)
