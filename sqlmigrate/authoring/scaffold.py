"""A new project: a configuration, a first migration, and what checks it, each only where it is not there yet."""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.authoring import generator
from sqlmigrate.config import settings
from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import atomic, git, source
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_IGNORED = "/.postgres/"
_FIRST = generator.Order(
    "create_notes",
    "table",
    {"table": "notes", "columns": "body       text        not null", "comment": "What somebody wanted to remember."},
)
_REPOS = re.compile(r"repos:\s*(#.*)?")
_ITEM = re.compile(r"(\s*)- +repo:")
_OUTSIDE = re.compile(r"[^\s#-]|---|\.\.\.")


class Outcome(Enum):
    """What became of a file."""

    CREATED = "created"
    EXTENDED = "extended"
    KEPT = "kept"


class Entry(NamedTuple):
    """A file of the project; `note` says why it was kept, or what a person has to add."""

    path: str
    outcome: Outcome
    note: str = ""


def init(directory: str) -> list[Entry]:
    """Makes a directory a project, as far as it is none. Nothing that is there is written over.

    Raises:
        ConfigurationError: a file can't be read or written; those before it are there, and it can be run again.
    """
    try:
        os.makedirs(directory, exist_ok=True)
        return [one._replace(path=os.path.normpath(one.path)) for one in _project(directory)]
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be written: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"a file in {directory} is not UTF-8") from error


def _project(directory: str) -> Iterator[Entry]:
    yield _configuration(directory)
    migrations = _directories(directory)
    yield from _first_migration(migrations)
    values = {"directory": os.path.relpath(migrations[0], directory).replace(os.sep, "/"), "version": __version__}
    yield _ignored(os.path.join(directory, ".gitignore"))
    yield _hooked(os.path.join(directory, ".pre-commit-config.yaml"), _rendered("pre-commit.yaml.j2", values))
    workflow = os.path.join(directory, ".github", "workflows", "migrations.yml")
    made = _created(workflow, _rendered("migrations.yml.j2", values))
    top = git.top(directory)
    yield made._replace(note=f"GitHub reads it only in {top}") if top and not os.path.samefile(top, directory) else made


def _configuration(directory: str) -> Entry:
    path = settings.find_file(directory)
    if path and settings.table(path):
        return Entry(path, Outcome.KEPT, "it is there")
    return _created(os.path.join(directory, "sqlmigrate.toml"), _rendered("sqlmigrate.toml", {}))


def _directories(directory: str) -> tuple[str, ...]:
    """The directories of migrations; the environment has no say in how a project is laid out."""
    return settings.load_for_files({}, {}, settings.find_file(directory)).dir


def _first_migration(directories: Sequence[str]) -> Iterator[Entry]:
    for directory in directories:
        os.makedirs(directory, exist_ok=True)
    if source.named_files(directories):
        yield Entry(directories[0], Outcome.KEPT, "it has migrations")
        return
    for one in generator.generate(directories, _FIRST).files:
        yield Entry(one.path, Outcome.CREATED)


def _ignored(path: str) -> Entry:
    text = _read(path)
    if any(line.strip().strip("/") == _IGNORED.strip("/") for line in text.splitlines()):
        return Entry(path, Outcome.KEPT, f"it has {_IGNORED}")
    return _put(path, text, f"{_closed(text)}{_IGNORED}\n")


def _hooked(path: str, hook: str) -> Entry:
    text = _read(path)
    if not text:
        return _created(path, with_hook("repos:\n", hook) or "")
    if "sqlmigrate" in text:
        return Entry(path, Outcome.KEPT, "it has sqlmigrate")
    extended = with_hook(text, hook)
    if extended is None:
        return Entry(path, Outcome.KEPT, f"add to its repos:\n{hook}".rstrip())
    return _put(path, text, extended)


def with_hook(text: str, hook: str) -> str | None:
    """A configuration of pre-commit with one more entry behind its last, all else as it was; None if that has no place.

    No YAML library would leave the comments where they are.
    """
    lines = _closed(text).splitlines(keepends=True)
    start = next((at for at, line in enumerate(lines, 1) if _REPOS.fullmatch(line.rstrip())), None)
    if start is None:
        return None
    end = next((at for at in range(start, len(lines)) if _OUTSIDE.match(lines[at])), len(lines))
    while end > start and not lines[end - 1].strip():
        end -= 1
    items = [match[1] for line in lines[start:end] if (match := _ITEM.match(line))]
    indent = items[0] if items else "  "
    return "".join([*lines[:end], *(f"{indent}{line}" for line in hook.splitlines(keepends=True)), *lines[end:]])


def _created(path: str, text: str) -> Entry:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    try:
        atomic.create({path: text})
    except FileExistsError:
        return Entry(path, Outcome.KEPT, "it is there")
    return Entry(path, Outcome.CREATED)


def _put(path: str, before: str, after: str) -> Entry:
    if not before:
        return _created(path, after)
    atomic.save(path, after)
    return Entry(path, Outcome.EXTENDED)


def _read(path: str) -> str:
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def _closed(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


def _rendered(name: str, values: dict[str, str]) -> str:
    from sqlmigrate.authoring.template import project_file  # it takes jinja2

    return project_file(name, values)
