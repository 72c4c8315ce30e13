"""A snapshot: the definition of each object of a database, by kind and identity, independent of where it came from."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# The version of the JSON format.
FORMAT = 1


class Key(NamedTuple):
    """The kind of an object, such as `table`, and its qualified name, such as `public.t`."""

    kind: str
    identity: str

    def __str__(self) -> str:
        return f"{self.kind} {self.identity}"


class CatalogObject(NamedTuple):
    """An object: its properties, without those that have their default, and the object that it is part of.

    `parent` is an identity: that of a table, for a column; empty for an object that is no part of another.
    """

    properties: Mapping[str, str]
    parent: str = ""


class Snapshot(NamedTuple):
    """All objects of a database at one moment, and the major version of the server that described them."""

    objects: Mapping[Key, CatalogObject]
    major: int

    def as_json(self) -> dict[str, object]:
        """Returns the objects by kind and identity, both sorted."""
        kinds: dict[str, dict[str, Mapping[str, str]]] = {}
        for key in sorted(self.objects):
            properties = self.objects[key].properties
            kinds.setdefault(key.kind, {})[key.identity] = dict(sorted(properties.items()))
        return {"format": FORMAT, "objects": kinds}

    @property
    def digest(self) -> str:
        """The SHA-256 of the JSON."""
        return hashlib.sha256(json.dumps(self.as_json(), ensure_ascii=False).encode()).hexdigest()
