"""The directives at the head of a script: `-- sqlmigrate: lock-timeout=5s`. Pure."""

from __future__ import annotations

from sqlmigrate.duration import milliseconds
from sqlmigrate.errors import ConfigurationError

DIRECTIVES = ("transaction", "lock-timeout", "lock-retries", "statement-timeout")


def directive(key: str, value: str) -> int:
    """Returns the value of a directive: milliseconds, a number, or 1 and 0 for on and off.

    Raises:
        ConfigurationError: The directive does not exist, or its value is invalid.
    """
    if key not in DIRECTIVES:
        raise ConfigurationError(f'unrecognized directive "{key}"', hint=f"write one of {', '.join(DIRECTIVES)}")
    if key == "lock-retries" and value.isdecimal() and len(value) < 10:
        return int(value)
    if key != "transaction":
        return milliseconds(value)
    if value not in ("on", "off"):
        raise ConfigurationError(f'invalid value for directive "transaction": "{value}"', hint="write transaction=off")
    return int(value == "on")


def pairs(line: str) -> list[tuple[str, str]]:
    """Returns the directives of a line, with their values as written."""
    parts = (part.partition("=") for part in line.split())
    return [(key.strip().lower(), value.strip().lower()) for key, _, value in parts]
