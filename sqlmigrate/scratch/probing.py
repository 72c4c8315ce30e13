"""Finds definitions that differ only in their wording: PostgreSQL reads both again, and writes them alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.catalog.differences import SchemaChange
from sqlmigrate.catalog.mending import mend
from sqlmigrate.errors import StatementFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.catalog.differences import Difference
    from sqlmigrate.catalog.reading import SnapshotReader
    from sqlmigrate.catalog.snapshot import Key, Snapshot
    from sqlmigrate.server.connection import Connection

# After a restore, or in another version, the text of an expression may differ; its meaning does not.
_WORDED = {"definition", "default", "generated", "using", "check", "partition bound"}


def is_worded(difference: Difference) -> bool:
    """Whether a difference may be one of the wording."""
    return difference.change is SchemaChange.CHANGED and not _WORDED.isdisjoint(difference.properties)


def differing(
    differences: Sequence[Difference],
    expected: Snapshot,
    actual: Snapshot,
    connection: Connection,
    reader: SnapshotReader,
) -> Iterator[Difference]:
    """Yields the differences that remain when a scratch database, which is as expected, has read both wordings.

    The database must have the tables and functions that the definitions name. It is not changed.
    """
    worded = [difference for difference in differences if is_worded(difference)]
    flipped = [_flipped(difference) for difference in worded]
    again = _read_again(worded, expected, connection, reader)
    foreign = _read_again(flipped, actual, connection, reader)
    for difference in differences:
        key, properties = difference.key, dict(difference.properties)
        for name in _WORDED & properties.keys() if difference in worded else ():
            ours, theirs = properties[name]
            if not {ours, again.get((key, name), ours)}.isdisjoint({theirs, foreign.get((key, name), theirs)}):
                del properties[name]
        if properties:
            yield difference._replace(properties=properties)


def _flipped(difference: Difference) -> Difference:
    properties = {name: (new, old) for name, (old, new) in difference.properties.items()}
    return difference._replace(expected=difference.actual, actual=difference.expected, properties=properties)


def _read_again(
    differences: Sequence[Difference], wanted: Snapshot, connection: Connection, reader: SnapshotReader
) -> dict[tuple[Key, str], str]:
    """Writes the definitions of a snapshot into the scratch database, reads them, and rolls back.

    Returns the new wording of the properties of each object for which that succeeded.
    """
    connection.run("begin")
    try:
        written = [each for each in differences if _write(connection, mend(each, wanted))]
        objects = reader.read_in_transaction().objects
    finally:
        connection.run("rollback")
    return {
        (each.key, name): text
        for each in written
        if each.key in objects
        for name, text in objects[each.key].properties.items()
    }


def _write(connection: Connection, statements: Sequence[str] | None) -> bool:
    """Runs the statements; returns whether all of them succeeded, and undoes them if not."""
    connection.run("savepoint probe")
    try:
        for statement in statements or ():
            connection.run(statement)
    except StatementFailed:
        connection.run("rollback to savepoint probe")
        return False
    return bool(statements)
