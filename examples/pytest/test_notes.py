"""Tests that write and commit as they like: each has a database of its own."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


def test_a_note_is_kept(connection: Connection) -> None:
    """Commits."""
    connection.execute("insert into notes (text) values ('kept')")
    connection.commit()

    assert connection.execute("select count(*) from notes").fetchone() == (2,)


def test_notes_may_be_emptied(connection: Connection) -> None:
    """TRUNCATE too disturbs nobody."""
    connection.execute("truncate notes")
    connection.commit()

    assert connection.execute("select count(*) from notes").fetchone() == (0,)


def test_there_is_one_note_at_first(connection: Connection) -> None:
    """Whatever the others did."""
    assert connection.execute("select text from notes").fetchall() == [("hello",)]
