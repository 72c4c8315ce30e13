"""The log, read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmigrate.database import Connection
    from sqlmigrate.history import History

_LOG_OF = """
select logged_at, action, version, name, outcome, duration_ms, error_msg, db_user, os_user, host, run_id from {log}
where version = %(version)s order by id
"""


class LogEntry(NamedTuple):
    """A row of the log."""

    logged_at: datetime
    action: str
    version: str
    name: str
    outcome: str
    duration_ms: int
    error_msg: str
    db_user: str
    os_user: str
    host: str
    run_id: str


def log_of(connection: Connection, history: History, identity: str) -> list[LogEntry]:
    """The log of one migration, oldest first."""
    if not history.format:
        return []
    rows = connection.rows(_LOG_OF.format(**history.names), {"version": identity})
    return [LogEntry(*row) for row in rows]
