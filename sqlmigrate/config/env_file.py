"""Reads a file of variables, such as `.env`."""

from __future__ import annotations

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.model import Location


def read(path: str) -> dict[str, str]:
    """Returns the variables of a file. Values are not expanded, since a password may contain `$`.

    Raises:
        ConfigurationError: the file cannot be read, or a line is not an assignment. The message omits its content.
    """
    from dotenv.parser import parse_stream  # it takes as long to import as all settings

    values: dict[str, str] = {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            for binding in parse_stream(file):
                if binding.error or (binding.key is not None and binding.value is None):
                    place = Location(path, binding.original.line + _blank_lines(binding.original.string))
                    raise ConfigurationError(f"{place}: the line is not an assignment", hint="write NAME=value")
                if binding.key is not None:
                    values[binding.key] = binding.value or ""
    except OSError as error:
        raise ConfigurationError(f'could not read file "{path}": {error.strerror}') from error
    except UnicodeDecodeError:
        raise ConfigurationError(f'could not read file "{path}": it is not UTF-8') from None
    if name := next((name for name, value in values.items() if "\0" in name + value), None):
        raise ConfigurationError(f"{path}: {name} contains a NUL character")
    return values


def _blank_lines(text: str) -> int:
    return len(text) - len(text.lstrip("\r\n"))
