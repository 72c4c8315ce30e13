"""Directives: comments `-- sqlmigrate: key=value` at the head of a script. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.config.duration import milliseconds
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTIVE = re.compile(r"^[ \t]*--[ \t]*sqlmigrate:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
DRAFT = "the file is a draft"
FINISH = 'write its statements, and delete the line "-- sqlmigrate: draft=on"'
LATE = "a directive must be before the first statement"
MOVE = "move it to the head of the file"
_NAMES = ("transaction", "lock-timeout", "lock-retries", "statement-timeout", "draft")
_WITHOUT_COLON = re.compile(
    rf"^[ \t]*--[ \t]*sqlmigrate[ \t]+((?:{'|'.join(_NAMES)})=.*?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE
)


class Fault(NamedTuple):
    """Why a directive is refused; `code` is the problem's code and the linter's rule, `at` an offset."""

    code: str
    at: int
    message: str
    hint: str


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


def faults(text: str, *, is_late: bool) -> Iterator[Fault]:
    """Yields the faults of the directives in white space and comments; `is_late`: a statement precedes them."""
    for match in DIRECTIVE.finditer(text):
        pairs = assignments(match[1])
        if pairs[0][0] == "ignore":  # a directive of the linter, allowed anywhere
            continue
        if is_late:
            yield Fault("directive", match.start(), LATE, MOVE)
            continue
        for key, value in pairs:
            try:
                if value_of(key, value) and key == "draft":
                    yield Fault("draft", match.start(), DRAFT, FINISH)
            except ConfigurationError as error:
                yield Fault("directive", match.start(), error.message, error.hint)
    for match in _WITHOUT_COLON.finditer(text):
        hint = f"write -- sqlmigrate: {match[1]}"
        yield Fault("directive", match.start(), "the directive lacks its colon", hint)
