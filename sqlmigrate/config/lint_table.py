"""The table `lint` of the configuration file, as far as it can be read without loading the linter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlmigrate.config.options import LINT_LEVELS
from sqlmigrate.config.suggestion import did_you_mean, suggestion
from sqlmigrate.errors import ConfigurationError
from sqlmigrate.model import OLDEST_POSTGRES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

PRESETS = ("safety", "all")
FAIL_ON = (*LINT_LEVELS, "never")
HISTORIES = ("partial", "complete")
LEVELS = (*LINT_LEVELS, "off")
NAMED = ("table", "column", "index", "constraint")


def read(
    path: str, content: Mapping[str, Any], readers: Mapping[str, Callable[[object], Any]] | None = None
) -> dict[str, Any]:
    """Returns the settings of the table.

    Args:
        path: the configuration file.
        content: the table.
        readers: a function for each setting; without it, those of this module, which know no rules and no versions.

    Raises:
        ConfigurationError: a key or a value is invalid.
    """
    readers = readers or READERS
    named = {
        known("lint setting", key.replace("-", "_"), readers, f"{path}: "): value for key, value in content.items()
    }
    return {name: read_value(readers[name], value, f"{path}: lint.{name}") for name, value in named.items()}


def read_value(reader: Callable[[object], Any], value: object, place: str) -> Any:
    """Returns what a function reads; its error gets the place of the value."""
    try:
        return reader(value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error.message}", hint=error.hint) from None


def known(what: str, name: str, names: Collection[str], place: str = "") -> str:
    """Returns a name if it is one of the known ones."""
    if name in names:
        return name
    raise ConfigurationError(f"{place}unknown {what} {name!r}", hint=suggestion(name, names))


def one_of(*values: str) -> Callable[[object], str]:
    """Returns a function that accepts only these values."""

    def read(value: object) -> str:
        if value not in values:
            hints = (did_you_mean(str(value), values), f"write one of {', '.join(values)}")
            raise ConfigurationError(f"invalid value {value!r}", hint="\n".join(filter(None, hints)))
        return str(value)

    return read


def levels(value: object) -> dict[str, str]:
    """Returns the levels of the rules."""
    return {name: one_of(*LEVELS)(level) for name, level in _table(value).items()}


def _naming(value: object) -> dict[str, str]:
    patterns = {known("kind of name", kind, NAMED): str(pattern) for kind, pattern in _table(value).items()}
    for kind, pattern in patterns.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ConfigurationError(f"{kind} = {pattern!r} is not a valid regular expression: {error}") from None
    return patterns


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{value!r} is not a table", hint='write {name = "value", …}')
    return value


def _globs(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(glob, str) for glob in value):
        raise ConfigurationError(f"{value!r} is not a list of globs", hint='write ["migrations/**", …]')
    return tuple(value)


def _postgres(value: object) -> int:
    """Returns the major version of `16`, `16.4` or `160004`."""
    match = re.fullmatch(r"(\d{2})(?:\d{4}|(?:\.\d+)*)", str(value).strip())
    if match is None:
        raise ConfigurationError(f"{value!r} is not a PostgreSQL version", hint="write a major version, such as 16")
    major = int(match[1])
    if major < OLDEST_POSTGRES:
        raise ConfigurationError(f"PostgreSQL {major} is not supported", hint=f"write {OLDEST_POSTGRES} or newer")
    return major


READERS: dict[str, Callable[[object], Any]] = {
    "preset": one_of(*PRESETS),
    "rules": levels,
    "postgres_version": _postgres,
    "files": _globs,
    "exclude": _globs,
    "since": str,
    "changed_since": str,
    "naming": _naming,
    "history": one_of(*HISTORIES),
    "fail_on": one_of(*FAIL_ON),
}
