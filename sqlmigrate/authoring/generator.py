"""New migrations from templates: the next version, a name for the files, and what stands in them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import atomic, source
from sqlmigrate.files.naming import Bump, file_name, following, slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlmigrate.authoring.template import Template
    from sqlmigrate.model import Version

# What the name of a migration says, where it is the usual one.
_SAID = {
    "column": re.compile(r"add_(?P<column>(?:(?!_to_).)+)_to_(?P<table>(?!to_)(?:(?!_to_).)+)"),
    **{name: re.compile(rf"create_(?P<{name}>.+)") for name in ("table", "view", "enum", "function")},
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be generated.

    `version` is the very one, or which number of the newest goes up. `values` are the template's variables. The
    description becomes the first comment; it is made of the name where there is none.
    """

    name: str
    template: str = "empty"
    values: Mapping[str, str] = field(default_factory=dict)
    version: Version | Bump = Bump.SEQUENCE
    description: str = ""


class NewFile(NamedTuple):
    """A file that is new, or would be."""

    version: Version
    path: str
    text: str


class Generated(NamedTuple):
    """New files, in the order of their versions, up before down; `late` is a newer version that is there already."""

    files: tuple[NewFile, ...]
    late: Version | None = None


def templates(directories: Sequence[str]) -> list[Template]:
    """The templates that there are.

    Raises:
        ConfigurationError: one can't be read.
    """
    from sqlmigrate.authoring.template import Templates  # it takes jinja2

    return Templates(directories).all()


def generate(directories: Sequence[str], order: Order) -> Generated:
    """Writes the files, into the first of the directories; the versions in all of them count.

    Raises:
        ConfigurationError: the name, a value or the version can't be used, or a file can't be written; none is.
    """
    source.require_directories(directories)
    try:
        with atomic.held(directories[0]):
            made = planned(directories, order)
            # The down file first: where the up file then is missing, `validate` says so.
            atomic.create({one.path: one.text for one in reversed(made.files)})
            return made
    except OSError as error:
        raise ConfigurationError(f"{error.filename or directories[0]} cannot be written: {error.strerror}") from error


def planned(directories: Sequence[str], order: Order) -> Generated:
    """What `generate` would write.

    Raises:
        ConfigurationError: the name, a value or the version can't be used.
    """
    from sqlmigrate.authoring.template import Templates  # it takes jinja2

    name = slug(order.name)
    taken = {one.name.version: one.path for one in source.named_files(directories) if one.name.version}
    known = Templates(directories)
    template = known.named(order.template)
    values = {**_said(template, name, order.values), **order.values}
    parts = known.rendered(template, values, name, _title(order.description or name.replace("_", " ")))
    first = _first(order.version, taken)
    new: list[NewFile] = []
    for number, part in enumerate(parts):
        version = first._replace(sequence=first.sequence + number)
        if version in taken:
            raise ConfigurationError(f"{version} is there already: {taken[version]}", hint="choose another --version")
        own = f"{name}_{part.part}".rstrip("_").replace("-", "_")
        for direction, text in (("up", part.up), ("down", part.down)):
            if text is not None:
                new.append(NewFile(version, os.path.join(directories[0], file_name(version, own, direction)), text))
    newest = max(taken, default=first)
    return Generated(tuple(new), newest if newest > first else None)


def _first(asked: Version | Bump, taken: Mapping[Version, str]) -> Version:
    return following(taken, asked) if isinstance(asked, Bump) else asked


def _said(template: Template, name: str, given: Mapping[str, str]) -> dict[str, str]:
    """What the name says of the template's variables; nothing where one is given, which may mean another thing."""
    pattern = _SAID.get(template.name)
    said = pattern.fullmatch(name) if pattern and not template.own else None
    return {} if said is None or said.groupdict().keys() & given.keys() else said.groupdict()


def _title(text: str) -> str:
    """The description as the first comment has it, without its full stop.

    Raises:
        ConfigurationError: it would be read as something else there.
    """
    words = " ".join(text.split()).rstrip(".。")
    if not words[:1].isalnum() or words.lower().startswith("sqlmigrate:"):
        raise ConfigurationError(f"{text!r} is no description", hint="begin it with a word")
    return words[0].upper() + words[1:]
