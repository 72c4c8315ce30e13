"""Tests that write and commit: each test has its own database."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


def test_a_note_is_stored(connection: Connection) -> None:
    """Commits its changes."""
    connection.execute("insert into notes (text) values ('kept')")
    connection.commit()

    assert connection.execute("select count(*) from notes").fetchone() == (2,)


def test_notes_can_be_truncated(connection: Connection) -> None:
    """TRUNCATE does not affect other tests."""
    connection.execute("truncate notes")
    connection.commit()

    assert connection.execute("select count(*) from notes").fetchone() == (0,)


def test_a_new_database_has_one_note(connection: Connection) -> None:
    """Changes by other tests are not visible."""
    assert connection.execute("select text from notes").fetchall() == [("hello",)]
