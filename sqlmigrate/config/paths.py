"""Paths in a configuration file: relative to its directory, and confined to the project directory."""

from __future__ import annotations

import os
from typing import Any

from sqlmigrate.errors import ConfigurationError

_FILES = ("log_file", "db_password_file")
_EMBEDDED = "embedded:"


def beside(file: str, name: str, value: object) -> object:
    """Returns a value of the file with its paths resolved against the file's directory; several paths are a tuple."""
    if name in ("dir", "allow_paths"):
        return tuple(_beside(file, str(path)) for path in (value if isinstance(value, list) else [value]))
    if path := _path(name, value):
        return str(value).removesuffix(path) + _beside(file, path)
    return value


def confine(file: str, values: dict[str, Any]) -> None:
    """Checks that the paths are in the project directory or in `allow_paths`.

    A person who can edit the configuration must not be able to read and write every file that the program can.

    Raises:
        ConfigurationError: a path is elsewhere.
    """
    allowed = [os.path.realpath(path) for path in (os.path.dirname(file) or ".", *values.get("allow_paths", ()))]
    paths = [(name, _path(name, value)) for name, value in values.items()]
    for name, path in [*paths, *(("dir", path) for path in values.get("dir", ()))]:
        real = os.path.realpath(path)
        if path and not any(os.path.commonpath([real, directory]) == directory for directory in allowed):
            needed = os.path.dirname(real) if name in _FILES else real
            raise ConfigurationError(
                f'{file}: {name} is outside the project directory: "{real}"',
                hint=f'to allow it, add to {file}: allow_paths = ["{needed}"]',
            )


def _beside(file: str, path: str) -> str:
    return os.path.join(os.path.dirname(file), path)


def _path(name: str, value: object) -> str:
    """Returns the path that a value contains, or an empty string."""
    if name == "database_url" and str(value).startswith(_EMBEDDED):
        return str(value).removeprefix(_EMBEDDED)
    return str(value) if name in ("backup", *_FILES) else ""
