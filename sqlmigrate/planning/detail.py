"""Everything that is known about one migration: `info`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.files import source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.history.log import LogEntry
    from sqlmigrate.model import MigrationStatus


class Detail(NamedTuple):
    """The status of a migration, its log entries, and the number of statements and segments of its up file."""

    standing: MigrationStatus
    log: tuple[LogEntry, ...]
    statements: int
    segments: int


def detail(status: MigrationStatus, log: Sequence[LogEntry]) -> Detail:
    """Reads the file of a migration, and returns its details."""
    script = source.read(status.migration.up) if status.migration else None
    return Detail(status, tuple(log), script.statements if script else 0, len(script.segments) if script else 0)
