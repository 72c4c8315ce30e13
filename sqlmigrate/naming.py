"""File name <-> version. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.model import Version

_FILE = re.compile(
    r"(?:V(\d+)\.(\d+)\.(\d+)-(\d+)|R)__([^.].*?)(?:\.(up|down))?\.sql",
    re.IGNORECASE,
)
_VERSION = re.compile(r"\s*v?(\d+)\.(\d+)\.(\d+)-(\d+)\s*", re.IGNORECASE)

PATTERN = "V{major}.{minor}.{patch}-{sequence}__{name}.up.sql"


class Name(NamedTuple):
    """What a file name says: no version means repeatable; direction is `up`, `down`, or empty for up only.

    `id` is the migration's name in the history.
    """

    id: str
    version: Version | None
    name: str
    direction: str


def parse_file_name(file_name: str) -> Name | None:
    """The parts of a migration's file name, or None where it is not one."""
    match = _FILE.fullmatch(file_name)
    if match is None:
        return None
    major, minor, patch, sequence, name, direction = match.groups()
    if major is None:
        return Name(f"R__{name}", None, name, "") if direction is None else None
    version = Version(int(major), int(minor), int(patch), int(sequence))
    return Name(str(version), version, name, direction.lower() if direction else "")


def parse_version(text: str) -> Version:
    """A version as people type it: with or without `v`, in any case.

    Raises:
        ConfigurationError: it is no version.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"{text!r} is not a version", hint="a version looks like v2.0.0-001")
    return Version(*map(int, match.groups()))


def file_name(version: Version, name: str, direction: str) -> str:
    """The inverse of `parse_file_name` for a versioned migration."""
    return f"{str(version).upper()}__{name}.{direction}.sql"
