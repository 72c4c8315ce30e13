"""Paths in a configuration file: meant from where it is, and kept within the project's tree."""

from __future__ import annotations

import os
from typing import Any

from sqlmigrate.errors import ConfigurationError

_FILES = ("log_file", "db_password_file")
_EMBEDDED = "embedded:"


def beside(file: str, name: str, value: Any) -> Any:
    """A value of the file, with its paths meant from the file's directory; several are a tuple."""
    if name in ("dir", "allow_paths"):
        return tuple(_beside(file, str(path)) for path in (value if isinstance(value, list) else [value]))
    if path := _path(name, value):
        return str(value).removesuffix(path) + _beside(file, path)
    return value


def confine(file: str, values: dict[str, Any]) -> None:
    """Whoever may write a line of the configuration is not to read and write all that the program can.

    Raises:
        ConfigurationError: a path leads out of the file's directory, and to nothing below one of `allow_paths`.
    """
    allowed = [os.path.realpath(path) for path in (os.path.dirname(file) or ".", *values.get("allow_paths", ()))]
    named = [(name, _path(name, value)) for name, value in values.items()]
    for name, path in [*named, *(("dir", path) for path in values.get("dir", ()))]:
        real = os.path.realpath(path)
        if path and not any(os.path.commonpath([real, directory]) == directory for directory in allowed):
            needed = os.path.dirname(real) if name in _FILES else real
            raise ConfigurationError(
                f"{file}: {name} leads out of the project's tree, to {real}",
                hint=f'if that is meant, add to {file}: allow_paths = ["{needed}"]',
            )


def _beside(file: str, path: str) -> str:
    return os.path.join(os.path.dirname(file), path)


def _path(name: str, value: Any) -> str:
    """The one path that a value is, or has in it."""
    if name == "database_url" and str(value).startswith(_EMBEDDED):
        return str(value).removeprefix(_EMBEDDED)
    return str(value) if name in ("backup", *_FILES) else ""
