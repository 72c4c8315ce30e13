"""Generates migrations from templates: the next version, the file names and the content."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import atomic, listing, source
from sqlmigrate.files.naming import Bump, file_name, following, slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlmigrate.authoring.template import Template
    from sqlmigrate.model import Version

# The usual names of migrations, which contain the values of the template's variables.
_NAME_PATTERNS = {
    "column": re.compile(r"add_(?P<column>(?:(?!_to_).)+)_to_(?P<table>(?!to_)(?:(?!_to_).)+)"),
    **{name: re.compile(rf"create_(?P<{name}>.+)") for name in ("table", "view", "enum", "function")},
}


@dataclass(frozen=True, slots=True)
class MigrationRequest:
    """A request to generate migrations.

    Attributes:
        name: the name of the migration.
        template: the name of the template.
        values: the values of the template's variables.
        version: the version, or which number of the newest version to increment.
        description: the first comment of the files; if empty, it is derived from the name.
    """

    name: str
    template: str = "empty"
    values: Mapping[str, str] = field(default_factory=dict)
    version: Version | Bump = Bump.SEQUENCE
    description: str = ""


class NewFile(NamedTuple):
    """A generated file."""

    version: Version
    path: str
    text: str


class Generated(NamedTuple):
    """The generated files, in the order of their versions, the up file before the down file.

    `late` is an existing version that is newer than the first generated version, or None.
    """

    files: tuple[NewFile, ...]
    late: Version | None = None


def templates(directories: Sequence[str]) -> list[Template]:
    """Returns all templates.

    Raises:
        ConfigurationError: a template cannot be read.
    """
    from sqlmigrate.authoring.template import Templates  # imports jinja2

    return Templates(directories).all()


def generate(directories: Sequence[str], request: MigrationRequest) -> Generated:
    """Writes the files to the first directory. The next version follows the versions in all directories.

    Raises:
        ConfigurationError: the name, a value or the version is invalid, or a file cannot be written. No file remains.
    """
    listing.require_directories(directories)
    try:
        with atomic.held(directories[0]):
            generated = plan(directories, request)
            # The down file first: if the up file is missing after a crash, `validate` reports it.
            atomic.create({file.path: file.text for file in reversed(generated.files)})
            return generated
    except OSError as error:
        raise ConfigurationError(
            f'could not write file "{error.filename or directories[0]}": {error.strerror}'
        ) from error


def plan(directories: Sequence[str], request: MigrationRequest) -> Generated:
    """Returns the files that `generate` writes.

    Raises:
        ConfigurationError: the name, a value or the version is invalid.
    """
    from sqlmigrate.authoring.template import Templates  # imports jinja2

    name = slug(request.name)
    paths = {file.name.version: file.path for file in source.named_files(directories) if file.name.version}
    templates = Templates(directories)
    template = templates.named(request.template)
    values = {**_values_in_name(template, name, request.values), **request.values}
    parts = templates.rendered(template, values, name, _title(request.description or name.replace("_", " ")))
    first = _first(request.version, paths)
    files: list[NewFile] = []
    for number, part in enumerate(parts):
        version = first._replace(sequence=first.sequence + number)
        if version in paths:
            raise ConfigurationError(
                f"version {version} already exists: {paths[version]}", hint="choose another --version"
            )
        part_name = f"{name}_{part.part}".rstrip("_").replace("-", "_")
        for direction, text in (("up", part.up), ("down", part.down)):
            if text is not None:
                files.append(
                    NewFile(version, os.path.join(directories[0], file_name(version, part_name, direction)), text)
                )
    newest = max(paths, default=first)
    return Generated(tuple(files), newest if newest > first else None)


def _first(version: Version | Bump, paths: Mapping[Version, str]) -> Version:
    return following(paths, version) if isinstance(version, Bump) else version


def _values_in_name(template: Template, name: str, values: Mapping[str, str]) -> dict[str, str]:
    """Returns the values of variables that the name contains.

    Returns none of them if the user gave one, since the name may then mean something else.
    """
    pattern = _NAME_PATTERNS.get(template.name)
    match = pattern.fullmatch(name) if pattern and not template.is_custom else None
    return {} if match is None or match.groupdict().keys() & values.keys() else match.groupdict()


def _title(text: str) -> str:
    """Returns the description for the first comment, without its final period.

    Raises:
        ConfigurationError: the comment would be read as a directive, or as another description.
    """
    words = " ".join(text.split()).rstrip(".。")
    if not words[:1].isalnum() or words.lower().startswith("sqlmigrate:"):
        raise ConfigurationError(f"invalid description {text!r}", hint="start the description with a letter or a digit")
    return words[0].upper() + words[1:]
