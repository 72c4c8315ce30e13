"""Creates the files of a new project: the configuration, a first migration, and its checks. Keeps existing files."""

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
_FIRST = generator.MigrationRequest(
    "create_notes",
    "table",
    {"table": "notes", "columns": "body       text        not null", "comment": "Notes of the users."},
)
_REPOS = re.compile(r"repos:\s*(#.*)?")
_ITEM = re.compile(r"(\s*)- +repo:")
_END_OF_REPOS = re.compile(r"[^\s#-]|---|\.\.\.")


class Outcome(Enum):
    """What `init` did with a file."""

    CREATED = "created"
    EXTENDED = "extended"
    KEPT = "kept"


class Entry(NamedTuple):
    """A file of the project; `note` is why it was kept, or what the user has to add to it."""

    path: str
    outcome: Outcome
    note: str = ""


def init(directory: str) -> list[Entry]:
    """Creates the missing files of a project. Existing files are extended or kept, never overwritten.

    Raises:
        ConfigurationError: a file cannot be read or written. The files before it were created; `init` can run again.
    """
    try:
        os.makedirs(directory, exist_ok=True)
        return [entry._replace(path=os.path.normpath(entry.path)) for entry in _project(directory)]
    except OSError as error:
        raise ConfigurationError(f'could not write file "{error.filename}": {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"a file in {directory} is not UTF-8") from error


def _project(directory: str) -> Iterator[Entry]:
    yield _configuration(directory)
    migrations = _directories(directory)
    yield from _first_migration(migrations)
    values = {"directory": os.path.relpath(migrations[0], directory).replace(os.sep, "/"), "version": __version__}
    yield _gitignore(os.path.join(directory, ".gitignore"))
    yield _pre_commit(os.path.join(directory, ".pre-commit-config.yaml"), _rendered("pre-commit.yaml.j2", values))
    workflow = os.path.join(directory, ".github", "workflows", "migrations.yml")
    entry = _created(workflow, _rendered("migrations.yml.j2", values))
    top = git.top(directory)
    yield (
        entry._replace(note=f"GitHub reads workflows only in {top}")
        if top and not os.path.samefile(top, directory)
        else entry
    )


def _configuration(directory: str) -> Entry:
    path = settings.find_file(directory)
    if path and settings.table(path):
        return Entry(path, Outcome.KEPT, "it already exists")
    migrations = os.path.join(directory, "migrations")
    is_new = not (os.path.isdir(migrations) and source.named_files([migrations]))
    text = _rendered("sqlmigrate.toml", {"is_new": "yes" if is_new else ""})
    return _created(os.path.join(directory, "sqlmigrate.toml"), text)


def _directories(directory: str) -> tuple[str, ...]:
    """Returns the directories of migrations; environment variables do not affect the layout of a project."""
    return settings.load_for_files({}, {}, settings.find_file(directory)).dir


def _first_migration(directories: Sequence[str]) -> Iterator[Entry]:
    for directory in directories:
        os.makedirs(directory, exist_ok=True)
    if source.named_files(directories):
        yield Entry(directories[0], Outcome.KEPT, "it already contains migrations")
        return
    for file in generator.generate(directories, _FIRST).files:
        yield Entry(file.path, Outcome.CREATED)


def _gitignore(path: str) -> Entry:
    text = _read(path)
    if any(line.strip().strip("/") == _IGNORED.strip("/") for line in text.splitlines()):
        return Entry(path, Outcome.KEPT, f"it already contains {_IGNORED}")
    return _save(path, text, f"{_with_final_newline(text)}{_IGNORED}\n")


def _pre_commit(path: str, hook: str) -> Entry:
    text = _read(path)
    if not text:
        return _created(path, with_hook("repos:\n", hook) or "")
    if "sqlmigrate" in text:
        return Entry(path, Outcome.KEPT, "it already contains sqlmigrate")
    extended = with_hook(text, hook)
    if extended is None:
        return Entry(path, Outcome.KEPT, f"add this to its `repos`:\n{hook}".rstrip())
    return _save(path, text, extended)


def with_hook(text: str, hook: str) -> str | None:
    """Returns the pre-commit configuration with one more repository at the end; None if it has no `repos` list.

    This edits the text, because YAML libraries do not keep comments.
    """
    lines = _with_final_newline(text).splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines, 1) if _REPOS.fullmatch(line.rstrip())), None)
    if start is None:
        return None
    end = next((number for number in range(start, len(lines)) if _END_OF_REPOS.match(lines[number])), len(lines))
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
        return Entry(path, Outcome.KEPT, "it already exists")
    return Entry(path, Outcome.CREATED)


def _save(path: str, before: str, after: str) -> Entry:
    if not before:
        return _created(path, after)
    atomic.save(path, after)
    return Entry(path, Outcome.EXTENDED)


def _read(path: str) -> str:
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def _with_final_newline(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"


def _rendered(name: str, values: dict[str, str]) -> str:
    from sqlmigrate.authoring.template import project_file  # imports jinja2

    return project_file(name, values)
