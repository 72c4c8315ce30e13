"""What DROP … CASCADE drops with a relation or a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.replacing import replace

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog, Name


def drop_relation(catalog: Catalog, name: Name) -> None:
    """Drops a relation and its dependent views and foreign keys: with dependents, DROP succeeds only with CASCADE."""
    catalog.drop(name)
    for table in catalog.referring(name):
        if name in table.reads or (name in table.parents and table.bound is not None):
            drop_relation(catalog, table.name)
        elif any(constraint.references == name for constraint in table.constraints):
            kept = tuple(constraint for constraint in table.constraints if constraint.references != name)
            catalog.put(replace(table, constraints=kept))


def drop_readers(catalog: Catalog, name: Name, column: str) -> None:
    """Drops the views that read a column; of a view that may read it, nothing is known from now on."""
    for view in (view for view in catalog.referring(name) if name in view.reads):
        if column in view.read_columns and view.reads == (name,):
            drop_relation(catalog, view.name)
        elif view.read_columns & {column, "*"}:
            catalog.uncertain_names.add(view.name[1])
