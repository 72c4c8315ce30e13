"""Lists the files of the migrations directories, and finds those that are not read, by their names alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError, ScriptError
from sqlmigrate.files.naming import PATTERN, is_migration, resembles_migration
from sqlmigrate.model import Hooks, Location, Problem, ProblemLevel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UNREAD = ("misnamed", "passed-over")  # the codes of the problems of files that are not read
HOOKS = {f"{name}.sql" for name in Hooks._fields}


def unread(directories: Sequence[str]) -> list[Problem]:
    """Returns a problem for each file that is not a migration and not a hook, but is probably meant as one.

    Raises:
        ConfigurationError: A directory does not exist or cannot be read.
    """
    tops = {os.path.realpath(directory) for directory in directories}
    files = list(files_in(directories))
    others = sorted((path, name) for path, name in files if not (is_migration(name) and path.isascii()))
    names = {name for _, name in files} if others else set()
    return [
        problem
        for path, name in others
        if not (name in HOOKS and os.path.realpath(os.path.dirname(path)) in tops)
        for problem in unread_file(path, name, names)
    ]


def require_directories(directories: Sequence[str]) -> None:
    """Checks that the migrations directories exist.

    Raises:
        ConfigurationError: A directory does not exist.
    """
    for directory in directories:
        if not os.path.isdir(directory):
            raise ConfigurationError(
                f'directory "{directory}" does not exist',
                hint="set the migrations directory with --dir or SQLMIGRATE_DIR, or create it with `sqlmigrate init`",
            )


def files_in(directories: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields path and name of each visible file; a directory that is reached twice, by a link, is read once."""
    visited: set[str] = set()
    waiting = list(directories)
    require_directories(directories)
    while waiting:
        directory = waiting.pop()
        real = os.path.realpath(directory)
        if real in visited:
            continue
        visited.add(real)
        try:
            with os.scandir(directory) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
            waiting += [entry.path for entry in visible if entry.is_dir()]
        except OSError as error:
            message = f'could not read directory "{error.filename or directory}": {error.strerror}'
            raise ConfigurationError(message) from error
        for entry in visible:
            if entry.is_file():
                yield entry.path, entry.name
            elif not entry.is_dir():
                if _is_sql(entry.name) and os.path.exists(entry.path):
                    raise ScriptError("not a regular file", Location(entry.path))  # reading from a pipe may block
                yield entry.path, entry.name


def _is_sql(file_name: str) -> bool:
    return file_name.lower().endswith(".sql")


def in_utf8(path: str) -> str:
    """Returns the path with escapes for bytes that are not valid UTF-8, which Python decodes as surrogates."""
    return path if path.isascii() else os.fsencode(path).decode(errors="backslashreplace")


def unread_file(path: str, file_name: str, names: set[str]) -> list[Problem]:
    """Returns the problem of a file that is neither a migration nor a hook; nothing if it is not meant as one.

    `names` are the names of all files.
    """
    shown = in_utf8(path)
    if not _is_sql(file_name):
        is_meant = resembles_migration(file_name) and not _is_backup(file_name, names)
        return (
            [Problem("passed-over", _PASSED_OVER, Location(shown), _RENAME, ProblemLevel.WARNING)] if is_meant else []
        )
    if shown != path:
        return [Problem("misnamed", "the file name is not valid UTF-8", Location(shown), "rename the file")]
    return [] if is_migration(file_name) else [misnamed(path)]


def _is_backup(file_name: str, names: set[str]) -> bool:
    return file_name.endswith(".bak") and file_name.removesuffix(".bak") in names


_PASSED_OVER = "the file is passed over: its name does not end in .sql"
_RENAME = "rename the file, or move it out of the migrations directory"


def misnamed(path: str) -> Problem:
    """Returns the problem of a file in the migrations directories that has neither a migration's nor a hook's name."""
    hint = f"name the file {PATTERN}, or R__{{name}}.sql for a repeatable migration"
    name = os.path.basename(path).lower()
    if name in HOOKS:
        hint = f"name the hook {name}, and move it to the migrations directory itself"
    return Problem("misnamed", "not a migration file name", Location(path), hint)
