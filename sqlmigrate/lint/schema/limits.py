"""How much of a table is kept: each change of a table takes time in proportion to what it has."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Table

# PostgreSQL allows 1,600 columns.
COLUMNS = 1600
PARTS = 500


def limited(table: Table) -> Table:
    """Returns the table, or one with as many columns, constraints and so on as are kept; that is partial."""
    parts = (table.constraints, table.indexes, table.triggers, table.policies)
    if len(table.columns) <= COLUMNS and all(len(part) <= PARTS for part in parts):
        return table
    return replace(
        table,
        columns=dict(islice(table.columns.items(), COLUMNS)),
        constraints=table.constraints[:PARTS],
        indexes=table.indexes[:PARTS],
        triggers=dict(islice(table.triggers.items(), PARTS)),
        policies=table.policies[:PARTS],
        partial=True,
    )
