"""Directives: comments `-- sqlmigrate: key=value` at the head of a script. Pure."""

from __future__ import annotations

import re

from sqlmigrate.duration import milliseconds
from sqlmigrate.errors import ConfigurationError

DIRECTIVE = re.compile(r"^[ \t]*--[ \t]*sqlmigrate:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
DRAFT = "the file is a draft"
FINISH = 'write its statements, and delete the line "-- sqlmigrate: draft=on"'
_NAMES = ("transaction", "lock-timeout", "lock-retries", "statement-timeout", "draft")


def value_of(key: str, value: str) -> int:
    """Returns the value of a directive: milliseconds, a number, or 1 and 0 for on and off."""
    if key not in _NAMES:
        raise ConfigurationError(f'unrecognized directive "{key}"', hint=f"write one of {', '.join(_NAMES)}")
    if key == "lock-retries" and value.isdecimal() and len(value) < 10:
        return int(value)
    if key not in ("transaction", "draft"):
        return milliseconds(value)
    if value not in ("on", "off"):
        raise ConfigurationError(f'invalid value for directive "{key}": "{value}"', hint=f"write {key}=off")
    return int(value == "on")


def assignments(line: str) -> list[tuple[str, str]]:
    """Returns the keys and values of a directive."""
    pairs = (part.partition("=") for part in line.split())
    return [(key.strip().lower(), value.strip().lower()) for key, _, value in pairs]
