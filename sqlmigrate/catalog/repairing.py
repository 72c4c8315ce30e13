"""Orders the statements that turn a database into what is expected, and says which of them lose data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.catalog.differences import SchemaChange
from sqlmigrate.catalog.mending import mend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.catalog.differences import Difference
    from sqlmigrate.catalog.snapshot import Snapshot

# Objects of a kind may need those of the kinds before it; objects are dropped in the opposite order.
_ORDER = (
    *("database", "role setting", "schema", "extension", "language", "collation", "type", "domain"),
    *("domain constraint", "sequence", "function", "procedure", "aggregate", "operator", "operator family"),
    *("operator class", "cast", "foreign data wrapper", "server", "user mapping", "table", "foreign table", "column"),
    *("constraint", "view", "materialized view", "index", "statistics", "rule", "trigger", "policy", "publication"),
    "event trigger",
)
_BASE = _ORDER.index("column")  # what changed objects may refer to: created before them, and dropped after them
_HOLD_ROWS = {"table", "column", "materialized view", "schema", "extension", "foreign table"}


class CatalogRepair(NamedTuple):
    """The statements for one difference; None if they are not plain. `loses_data` if they drop rows, or may."""

    difference: Difference
    statements: tuple[str, ...] | None
    loses_data: bool


def repairs(differences: Iterable[Difference], expected: Snapshot) -> list[CatalogRepair]:
    """Returns the repairs in an order in which they can run."""
    found = []
    for difference in sorted(differences, key=_position):
        statements = mend(difference, expected)
        found.append(CatalogRepair(difference, None if statements is None else tuple(statements), _loses(difference)))
    return found


def _position(difference: Difference) -> tuple[int, int]:
    kind, change = difference.key.kind, difference.change
    place = _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
    if change is SchemaChange.ADDED:
        return (4 if place <= _BASE else 0), -place
    if change is SchemaChange.MISSING:
        return (1 if place <= _BASE else 3), place
    return 2, place


def _loses(difference: Difference) -> bool:
    """Whether the repair drops rows, or converts them to a type that may not hold them."""
    kind, change = difference.key.kind, difference.change
    is_converted = kind == "column" and change is SchemaChange.CHANGED and "type" in difference.properties
    return is_converted or (change is SchemaChange.ADDED and kind in _HOLD_ROWS)
