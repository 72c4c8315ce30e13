"""The changes that statements for sequences make to the catalog, and what becomes of the sequences of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.interpret.tables import new_name
from sqlmigrate.sql.tree import options, relation

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog, Creation, Name
    from sqlmigrate.sql.parser import Node


def create_sequence(catalog: Catalog, node: Node, created: Creation) -> None:
    """Applies CREATE SEQUENCE."""
    name = new_name(catalog, node["sequence"])
    if name not in catalog.sequences:
        catalog.sequences[name] = created
        _set_owner(catalog, name, node)


def alter_sequence(catalog: Catalog, node: Node, _: Creation) -> None:
    """Applies ALTER SEQUENCE … OWNED BY."""
    name = catalog.resolve(relation(node["sequence"]), catalog.sequences)
    if name in catalog.sequences:
        _set_owner(catalog, name, node)


def _set_owner(catalog: Catalog, name: Name, node: Node) -> None:
    owner = options(node.get("options", ())).get("owned_by")
    if owner == ["none"]:
        catalog.owners.pop(name, None)
    elif owner:
        schema, table = "" if len(owner) < 3 else owner[-3], owner[-2]
        catalog.set_owner(name, catalog.resolve((schema, table)), owner[-1])


def rename_sequence(catalog: Catalog, old: Name, new: Name) -> None:
    """Renames or moves a sequence of the catalog."""
    if old not in catalog.sequences:
        return
    catalog.sequences[new] = catalog.sequences.pop(old)
    catalog.dropped.add(old)
    if owner := catalog.owners.pop(old, None):
        catalog.set_owner(new, *owner)


def rename_owner(catalog: Catalog, old: Name, new: Name) -> None:
    """Renames or moves the table that owns sequences; a sequence moves with its table."""
    for sequence, column in catalog.owned_by(old):
        catalog.set_owner(sequence, new, column)
        if new[0] != old[0]:
            rename_sequence(catalog, sequence, (new[0], sequence[1]))


def rename_owning_column(catalog: Catalog, table: Name, old: str, new: str) -> None:
    """Renames the column that owns sequences."""
    for sequence, column in catalog.owned_by(table):
        if column == old:
            catalog.set_owner(sequence, table, new)
