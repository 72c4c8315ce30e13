"""The application_name of a run: it shows every session which migration runs, and which of its statements. Pure."""

from __future__ import annotations

import re

_COUNTER = re.compile(r" (\d+)/\d+$")
_LONGEST_ID = 40  # PostgreSQL truncates the name after 63 bytes, and the counter must remain


def program_name(migration_id: str, statement: int = 0, statements: int = 0) -> str:
    """Returns the name during a migration, or during one of its statements: `sqlmigrate v2.0.0-001 3/12`."""
    counter = f" {statement}/{statements}" if statement else ""
    return f"sqlmigrate {migration_id[:_LONGEST_ID]}{counter}"


def parsed(name: str) -> tuple[str, int]:
    """Returns the name without the number of the statement, and this number, or 0."""
    match = _COUNTER.search(name)
    return (name[: match.start()], int(match[1])) if match else (name, 0)
