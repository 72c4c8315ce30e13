"""Whether applications may use the objects that a statement changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Decider
from sqlmigrate.lint.schema.interpret.changes import RELATIONS, ROUTINES, TYPES

if TYPE_CHECKING:
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Column, Creation, Name


def is_in_use(case: Case, created: Creation | None) -> bool:
    """Returns whether an object existed before this file, or before the up file that this file rolls back.

    An unknown object in a down file is assumed to be created by its up file.
    """
    if created is None:
        return not case.state.down
    return not case.state.creates(created) and created.file != case.state.undoes


def relation_in_use(case: Case, name: Name) -> bool:
    """Returns `is_in_use` of a table, view or sequence; a temporary or dropped table is not in use."""
    resolved = case.catalog.resolve(name)
    table = case.catalog.tables.get(resolved)
    if table is None and resolved in case.catalog.sequences:
        return is_in_use(case, case.catalog.sequences[resolved])
    if table is None:
        return resolved[0] != "pg_temp" and resolved not in case.catalog.dropped and is_in_use(case, None)
    return not case.state.hides(table) and is_in_use(case, table.created)


def column_in_use(case: Case, column: str) -> bool:
    """Returns `is_in_use` of a column of the case's table."""
    definition = table_column(case, column)
    return relation_in_use(case, case.name) and is_in_use(case, definition.created if definition else None)


def table_column(case: Case, column: str) -> Column | None:
    """Returns a column of the case's table, or None if it is unknown."""
    return case.table.columns.get(column) if case.table is not None else None


def object_in_use(case: Case, kind: str, name: Name) -> bool:
    """Returns `is_in_use` of an object of any kind; `kind` is libpg_query's name of the kind."""
    if kind in RELATIONS:
        return relation_in_use(case, name)
    if kind == "OBJECT_INDEX":
        index = case.catalog.index(name)
        return is_in_use(case, index.created if index else None) and (
            index is None or relation_in_use(case, index.table)
        )
    return is_in_use(case, creation(case, kind, name))


def creation(case: Case, kind: str, name: Name) -> Creation | None:
    """Returns the creation of an object that is not a relation."""
    catalog = case.catalog
    if kind in TYPES:
        type_ = catalog.types.get(catalog.resolve(name, catalog.types))
        return type_.created if type_ else None
    if kind in ROUTINES:
        function = catalog.function(name)
        return function.created if function else None
    if kind == "OBJECT_SEQUENCE":
        return catalog.sequences.get(catalog.resolve(name, catalog.sequences))
    return catalog.schemas.get(name[1]) if kind == "OBJECT_SCHEMA" else None


def decider(case: Case, created: Creation | None) -> Decider:
    """Returns the source of the fact where an object was created; this file for an unknown object."""
    return Decider.FILE if created is None else case.decider(created)


def relation_decider(case: Case, name: Name) -> Decider:
    """Returns `decider` of a table or view."""
    table = case.catalog.table(name)
    return decider(case, table.created if table else None)
