"""Judges a round trip: what a down file leaves behind, breaks or loses, and what PostgreSQL does not let it restore."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.catalog.differences import SchemaChange, compare
from sqlmigrate.catalog.mending import mend, split_labels
from sqlmigrate.catalog.snapshot import Key
from sqlmigrate.errors import SqlMigrateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlmigrate.catalog.differences import Difference
    from sqlmigrate.catalog.snapshot import Snapshot
    from sqlmigrate.errors import MigrationFailed
    from sqlmigrate.model import Location, Migration
    from sqlmigrate.scratch.rows import Contents

    Rows = list[dict[str, object]]


_AGAIN = {
    SchemaChange.ADDED: "makes",
    SchemaChange.MISSING: "does not make",
    SchemaChange.CHANGED: "makes another",
}


class RoundTripLevel(Enum):
    """Whether a down file is wrong, or cannot restore something."""

    FAULT = "fault"
    IRREVERSIBLE = "irreversible"


class RoundTripFinding(NamedTuple):
    """Something that is not as before after the down file, or not as after the first up file after the second.

    `old` and `new` are definitions, if there are any; `mend` is SQL for the end of the down file, if it is plain.
    """

    migration: str
    path: str
    level: RoundTripLevel
    message: str
    key: Key | None = None
    old: str = ""
    new: str = ""
    mend: tuple[str, ...] = ()
    location: Location | None = None


class Judge:
    """Judges the round trip of one migration; `before` is the schema before it."""

    def __init__(self, migration: Migration, before: Snapshot) -> None:
        self._migration = migration
        self._before = before

    def failed(self, what: str, error: MigrationFailed) -> RoundTripFinding:
        """Returns the finding for a file that fails."""
        path, cause = error.step.path, error.__cause__
        reason = cause.message if isinstance(cause, SqlMigrateError) else error.message
        return self._finding(RoundTripLevel.FAULT, f"{what}: {reason}")._replace(path=path, location=error.location)

    def schema(self, after: Snapshot, back: Snapshot) -> Iterator[RoundTripFinding]:
        """Yields what differs after the down file from what was before; `after` is the schema in between."""
        for difference in compare(self._before, back):
            key = difference.key
            is_touched = self._before.objects.get(key) != after.objects.get(key)
            level, message = _described(difference, is_touched=is_touched)
            mended = mend(difference, self._before) if level is RoundTripLevel.FAULT else None
            yield self._finding(level, message, difference)._replace(mend=tuple(mended or ()))

    def again(self, first: Snapshot, second: Snapshot) -> Iterator[RoundTripFinding]:
        """Yields what the second up file makes otherwise than the first."""
        for difference in compare(first, second):
            words = {
                SchemaChange.ADDED: "makes",
                SchemaChange.MISSING: "does not make",
                SchemaChange.CHANGED: "makes another",
            }
            message = f"applied again, the up file {words[difference.change]} {difference.key}"
            yield self._finding(RoundTripLevel.FAULT, message, difference)

    def rows(self, before: Contents, after: Contents, back: Contents) -> Iterator[RoundTripFinding]:
        """Yields what happened to rows and to the values of sequences."""
        for table, rows in before.tables.items():
            if table in back.tables:
                for level, message in _lost(table, rows, after.tables.get(table), back.tables[table]):
                    yield self._finding(level, message)._replace(key=Key("table", table))
        for sequence, value in before.sequences.items():
            if sequence in back.sequences and (value or 0) > (back.sequences[sequence] or 0):
                yield self._restarted(sequence, value or 0, is_kept=sequence in after.sequences)

    def _restarted(self, sequence: str, value: int, *, is_kept: bool) -> RoundTripFinding:
        key = Key("sequence", sequence)
        properties = self._before.objects[key].properties
        column = properties.get("owned by") or properties.get("identity of")
        message = f"sequence {sequence} starts again: its last value was {value}"
        if column is None:
            level = RoundTripLevel.FAULT if is_kept else RoundTripLevel.IRREVERSIBLE
            return self._finding(level, message)._replace(key=key)
        table, _, name = column.rpartition(".")
        literal = sequence.replace("'", "''")
        mended = f"select setval('{literal}', max({name})) from {table}"
        return self._finding(RoundTripLevel.FAULT, message)._replace(key=key, mend=(mended,))

    def _finding(self, level: RoundTripLevel, message: str, difference: Difference | None = None) -> RoundTripFinding:
        path = self._migration.down or self._migration.up
        found = RoundTripFinding(self._migration.id, path, level, message)
        if difference is None:
            return found
        old, new = (_text(difference.properties, side) for side in (0, 1))
        return found._replace(key=difference.key, old=old, new=new)


def _text(properties: Mapping[str, tuple[str | None, str | None]], side: int) -> str:
    """Returns the expected or the actual properties, one a line; that of a definition has no name."""
    found = ((name, pair[side]) for name, pair in properties.items())
    return "\n".join(
        value if name == "definition" else f"{name}: {value}" for name, value in found if value is not None
    )


def _described(difference: Difference, *, is_touched: bool) -> tuple[RoundTripLevel, str]:
    key, change, properties, *_ = difference
    if change is SchemaChange.ADDED:
        return RoundTripLevel.FAULT, f"leaves {key} behind"
    if change is SchemaChange.MISSING:
        what = f"does not restore {key}" if is_touched else f"drops {key}, which the up file does not touch"
        return RoundTripLevel.FAULT, what
    if set(properties) == {"labels"} and _only_adds(*properties["labels"]):
        return (
            RoundTripLevel.IRREVERSIBLE,
            f"cannot remove the new values of {key}: PostgreSQL only adds values",
        )
    if set(properties) == {"columns"}:
        order = properties["columns"][1]
        message = (
            f"changes the order of the columns of {key} to {order}: select * and INSERT without columns depend on it"
        )
        return RoundTripLevel.IRREVERSIBLE, message
    verb = "does not restore" if is_touched else "changes"
    return RoundTripLevel.FAULT, f"{verb} {', '.join(properties)} of {key}"


def _only_adds(old: str | None, new: str | None) -> bool:
    before, after = (split_labels(text or "") for text in (old, new))
    return [label for label in after if label in before] == before


def _lost(table: str, before: Rows, after: Rows | None, back: Rows) -> Iterator[tuple[RoundTripLevel, str]]:
    if len(back) > len(before):
        count = len(back) - len(before)
        yield RoundTripLevel.FAULT, f"leaves {count} row{'s' if count != 1 else ''} in table {table} behind"
    elif len(back) < len(before) and after is None:
        yield RoundTripLevel.IRREVERSIBLE, f"cannot restore the rows of table {table}, which the up file drops"
    elif len(back) < len(before):
        is_lost_before = len(after or ()) < len(before)
        level = RoundTripLevel.IRREVERSIBLE if is_lost_before else RoundTripLevel.FAULT
        verb = "cannot restore" if is_lost_before else "loses"
        yield level, f"{verb} rows of table {table}"
    elif before:
        for column in before[0].keys() & back[0].keys():
            values = _values(before, column)
            if values != _values(back, column):
                between = _values(after, column) if after and column in after[0] else None
                yield _changed(f"{table}.{column}", values, between)


def _changed(column: str, values: list[str], between: list[str] | None) -> tuple[RoundTripLevel, str]:
    if between is None:
        return RoundTripLevel.IRREVERSIBLE, f"cannot restore the data of column {column}, which the up file drops"
    if between != values:
        return RoundTripLevel.IRREVERSIBLE, f"cannot restore the values of column {column}, which the up file changes"
    return RoundTripLevel.FAULT, f"changes the values of column {column}"


def _values(rows: Rows, column: str) -> list[str]:
    return sorted(str(row[column]) for row in rows)
