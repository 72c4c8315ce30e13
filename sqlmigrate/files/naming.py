"""File name <-> version. Pure."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.model import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

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


class Bump(Enum):
    """Which number of the newest version goes up for the next one; those behind it begin anew."""

    SEQUENCE = "sequence"
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


def following(versions: Iterable[Version], bump: Bump = Bump.SEQUENCE) -> Version:
    """The version behind all of these; the first of all is v1.0.0-001."""
    newest = max(versions, default=None)
    if newest is None:
        newest = Version(0, 0, 0, 0) if bump is not Bump.SEQUENCE else Version(1, 0, 0, 0)
    match bump:
        case Bump.MAJOR:
            return Version(newest.major + 1, 0, 0, 1)
        case Bump.MINOR:
            return Version(newest.major, newest.minor + 1, 0, 1)
        case Bump.PATCH:
            return Version(newest.major, newest.minor, newest.patch + 1, 1)
    return newest._replace(sequence=newest.sequence + 1)


def slug(text: str) -> str:
    """A name for a file: small ASCII letters, digits, and `_` for all else; `é` becomes `e`.

    Raises:
        ConfigurationError: it has letters that ASCII has none for, or nothing to be named by.
    """
    letters = [one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one)]
    foreign = "".join(one for one in letters if one.isalnum() and not one.isascii())
    if foreign:
        raise ConfigurationError(
            f"{text!r} can't name a file: {foreign!r} is not ASCII",
            hint="files are named alike on every system, so name it in ASCII; --description takes any language",
        )
    made = re.sub(r"[^a-z0-9]+", "_", "".join(letters).lower()).strip("_")
    if not made:
        raise ConfigurationError(f"{text!r} names nothing", hint="such as --name add_new_feature")
    return made
