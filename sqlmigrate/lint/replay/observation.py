"""The effects of a file's statements on the embedded server, cached by the contents of all files up to it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.lint.cache import Cache, digest, fingerprint
from sqlmigrate.lint.replay.sandbox import wheel
from sqlmigrate.model import Location, ServerReport

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

CACHE = Cache("observations", most=2000)


class Effect(NamedTuple):
    """What the server did to an existing table while it blocked writes: "rewrites", "scans" or "builds" (an index)."""

    what: str
    table: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One statement as the server ran it; `start` is where it starts.

    `alone` is whether it ran outside a transaction, so that its locks could not be observed. `failed` is the server's
    error, and `failed_at` the location of the error.
    """

    start: Location
    effects: tuple[Effect, ...] = ()
    alone: bool = False
    failed: ServerReport | None = None
    failed_at: Location | None = None

    def without(self, tables: Collection[str]) -> Observation:
        """Returns the observation without the effects on some tables."""
        return replace(self, effects=tuple(effect for effect in self.effects if effect.table not in tables))

    @property
    def place(self) -> Location:
        """The location of the error, or else of the statement."""
        return self.failed_at or self.start


def recall(key: str, path: str) -> list[Observation] | None:
    """Returns the observations of a file, or None if the cache has none that can be read."""
    value = CACHE.read(_key(key))
    with suppress(KeyError, TypeError):
        return [_observation(row, path) for row in value] if isinstance(value, list) else None
    return None


def remember(key: str, observations: Sequence[Observation]) -> None:
    """Stores the observations of a file, unless a statement failed: it may not fail the next time."""
    if not any(observation.failed for observation in observations):
        CACHE.write(_key(key), [asdict(observation) for observation in observations])


def _observation(row: dict[str, Any], path: str) -> Observation:
    start = Location(path, *row["start"][1:])
    return Observation(start, tuple(Effect(*effect) for effect in row["effects"]), row["alone"])


def _key(key: str) -> str:
    return digest(key, fingerprint(), wheel())
