"""Phrases that the messages of several rules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCKS_ALL = "under an ACCESS EXCLUSIVE lock, which blocks reads and writes until the transaction ends"
BLOCKS_WRITES = "under a SHARE lock, which blocks writes until the transaction ends"
REWRITES = "Rewrites the whole table under an ACCESS EXCLUSIVE lock, which blocks reads and writes."
SCANS = "Scans the whole table under an ACCESS EXCLUSIVE lock, which blocks reads and writes."


def listed(names: Iterable[str]) -> str:
    """Returns the names of several objects: "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def locks_all(action: str, table: str) -> str:
    """Returns the message that an action locks a table, which it neither scans nor rewrites."""
    return (
        f"{action} takes an ACCESS EXCLUSIVE lock on {table}, which blocks reads and writes until the transaction ends"
    )
