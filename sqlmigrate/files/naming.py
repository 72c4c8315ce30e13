"""Converts between file names and versions. Pure."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.model import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

_FILE = re.compile(
    r"(?:V(\d+)\.(\d+)\.(\d+)-(\d+)|R)__([^.].*?)(?:\.(up|down))?\.sql",
    re.IGNORECASE,
)
_Given = TypeVar("_Given", bound="Version | None")
_VERSION = re.compile(r"\s*v?(\d+)\.(\d+)\.(\d+)-(\d+)\s*", re.IGNORECASE)

# A version or R__ at the start, or an ending such as .psql, .sql.txt or .sql~.
_RESEMBLES = r"(?i)(?:v\d[\d.]*(?:-\d+)?|r)__.*|.*\.\w*sql(?:\.\w+|~)?"
_LEFT = r"(?i)(?:~|\.(?:orig|rej|sw[a-p]|tmp|j2))$"

PATTERN = "V{major}.{minor}.{patch}-{sequence}__{name}.up.sql"


class Name(NamedTuple):
    """The parts of a migration file name. `version` is None for a repeatable migration.

    `direction` is `up`, `down`, or empty for a migration that has only an up file. `id` identifies the migration in the
    history.
    """

    id: str
    version: Version | None
    name: str
    direction: str


def is_migration(file_name: str) -> bool:
    """Returns whether a file name is that of a migration."""
    match = _FILE.fullmatch(file_name)
    return match is not None and (match[1] is not None or match[6] is None)


def parse_file_name(file_name: str) -> Name | None:
    """Returns the parts of a file name, or None if it is not a migration file name."""
    match = _FILE.fullmatch(file_name)
    if match is None:
        return None
    major, minor, patch, sequence, name, direction = match.groups()
    if major is None:
        return Name(f"R__{name}", None, name, "") if direction is None else None
    version = Version(int(major), int(minor), int(patch), int(sequence))
    return Name(str(version), version, name, direction.lower() if direction else "")


def resembles_migration(file_name: str) -> bool:
    """Returns whether a file, whose name does not end in `.sql`, is probably meant as a migration.

    Files that editors and git leave behind are not, and neither are templates.
    """
    return re.fullmatch(_RESEMBLES, file_name) is not None and re.search(_LEFT, file_name) is None


def parse_version(text: str) -> Version:
    """Parses a version with or without `v`, in upper or lower case.

    Raises:
        ConfigurationError: The text is not a version.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"{text!r} is not a version", hint="write a version such as v2.0.0-001")
    return Version(*map(int, match.groups()))


def as_version(given: _Given | str) -> _Given | Version:
    """Returns a version that may be given as text; None stays None.

    Raises:
        ConfigurationError: It is not a version.
    """
    if not isinstance(given, str | Version | None):
        hint = 'write a version such as "v2.0.0-001"; a number of migrations is steps=N'
        raise ConfigurationError(f"{given!r} is not a version", hint=hint)
    return parse_version(given) if isinstance(given, str) else given


def file_name(version: Version, name: str, direction: str) -> str:
    """Returns the file name of a versioned migration; the inverse of `parse_file_name`."""
    return f"{str(version).upper()}__{name}.{direction}.sql"


class Bump(Enum):
    """The number of the newest version that is increased for the next version; the numbers after it are reset."""

    SEQUENCE = "sequence"
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


def following(versions: Iterable[Version], bump: Bump = Bump.SEQUENCE) -> Version:
    """Returns the version after all of these versions; without any it is v1.0.0-001."""
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
    """Converts a text to a file name of lower-case ASCII letters, digits and `_`; `é` becomes `e`.

    Raises:
        ConfigurationError: The text contains letters without an ASCII equivalent, or no letter or digit.
    """
    letters = [letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter)]
    foreign = "".join(letter for letter in letters if letter.isalnum() and not letter.isascii())
    if foreign:
        raise ConfigurationError(
            f"{text!r} cannot be used in a file name: {foreign!r} is not ASCII",
            hint="write the name in ASCII, which is portable; --description may be in any language",
        )
    name = re.sub(r"[^a-z0-9]+", "_", "".join(letters).lower()).strip("_")
    if not name:
        raise ConfigurationError(f"{text!r} contains no letter or digit", hint="write a name such as add_new_feature")
    return name
