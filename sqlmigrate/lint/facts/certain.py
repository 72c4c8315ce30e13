"""What the files show for certain about a name: no DO block, dynamic SQL or unknown parent can have changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog, Name, Table

KINDS = {"partitioned": "table", "matview": "materialized view", "foreign": "foreign table"}


def certain_table(catalog: Catalog, name: Name) -> Table | None:
    """Returns a relation that a file creates, whose columns and constraints are known except inherited ones."""
    table = catalog.table(name)
    if table is None or table.created is None or name[1] in catalog.uncertain_names:
        return None
    return None if catalog.uncertain and table.partial else table


def certain_kind(catalog: Catalog, name: Name) -> str:
    """Returns the kind of a relation, index or sequence that a file creates, or an empty string."""
    table = certain_table(catalog, name)
    if table is not None:
        return KINDS.get(table.kind, table.kind)
    if catalog.table(name) is not None or catalog.uncertain or name[1] in catalog.uncertain_names:
        return ""
    if catalog.resolve(name, catalog.index_tables) in catalog.index_tables:
        return "index"
    return "sequence" if catalog.resolve(name, catalog.sequences) in catalog.sequences else ""
