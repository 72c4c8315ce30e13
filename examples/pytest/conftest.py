"""Adds to the fixtures of `sqlmigrate.testing` a connection to the database of each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def connection(migrated_database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection to a migrated database that no other test uses."""
    with psycopg.connect(migrated_database) as opened:
        yield opened
