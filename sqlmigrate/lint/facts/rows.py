"""The rows of a table before a statement, as far as the file itself inserted and deleted them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.state import Rows

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog, Name
    from sqlmigrate.lint.schema.state import FileState

NO_COLUMNS: frozenset[str] = frozenset()
# Stands for every table that no file describes, after TRUNCATE … CASCADE: a foreign key may reach it.
UNKNOWN = ("", "")


def rows_in(catalog: Catalog, state: FileState, name: Name) -> Rows | None:
    """Returns what the file did to the rows of a table, its partitions and its children; None for nothing."""
    if not state.rows and not state.doubtful:
        return None
    names = family_of(catalog, name)
    with_rows = [member for member in names if member in state.rows or not _is_divided(catalog, member)]
    family = [_current(catalog, state, member) for member in with_rows or names]
    if any(rows is not None and rows.some for rows in family):
        nulls = (rows.nulls for rows in family if rows is not None)
        return Rows(some=True, nulls=NO_COLUMNS.union(*nulls))
    if None in family:
        return None
    members = [rows for rows in family if rows is not None]
    some = None if any(rows.some is None for rows in members) else False
    return Rows(some, truncated=all(rows.truncated for rows in members))


def is_emptied(catalog: Catalog, state: FileState, name: Name) -> bool:
    """Returns whether the transaction emptied the table and has not filled it since."""
    rows = rows_in(catalog, state, name)
    return rows is not None and rows.some is False


def is_truncated(catalog: Catalog, state: FileState, name: Name) -> bool:
    """Returns whether the transaction truncated the table, which locks it, and has not filled it since."""
    if not any(rows.truncated for rows in state.rows.values()):
        return False
    rows = rows_in(catalog, state, name)
    return rows is not None and rows.some is False and rows.truncated


def family_of(catalog: Catalog, name: Name) -> list[Name]:
    """Returns a table with its partitions and the tables that inherit from it, at any depth."""
    family = [name]
    for member in family:
        family += [child.name for child in catalog.children(member) if child.name not in family]
    return family


def _is_divided(catalog: Catalog, name: Name) -> bool:
    """Returns whether only the partitions of a table can have rows, and all of them are known."""
    table = catalog.tables.get(name)
    return table is not None and table.kind == "partitioned" and not table.partial


def _current(catalog: Catalog, state: FileState, name: Name) -> Rows | None:
    """Returns the rows of one table; others may have filled a table that an earlier transaction emptied."""
    table = catalog.tables.get(name)
    rows = state.rows.get(name)
    if rows is None and (name in state.doubtful or (UNKNOWN in state.doubtful and (table is None or table.partial))):
        return Rows(None)
    is_shared = table is None or not state.hides(table)
    if rows is not None and rows.some is False and is_shared and rows.transaction != state.transaction:
        return rows._replace(some=None)
    return rows
