"""What the server did with a file, and its memory: a file behind the same files is not run a second time."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.lint import cache
from sqlmigrate.lint.replay.sandbox import directory
from sqlmigrate.model import Location, ServerReport
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# Of more than these the oldest go.
_KEPT = 2000


class Did(NamedTuple):
    """What the server did to a table that was there, while its lock kept out who writes: rewrites, scans, builds."""

    what: str
    table: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One statement as the server ran it; `start` is where it begins.

    `alone` is one outside of any transaction, of whose locks nothing is left to see. `failed` is what the server says
    against it, and `failed_at` where.
    """

    start: Location
    did: tuple[Did, ...] = ()
    alone: bool = False
    failed: ServerReport | None = None
    failed_at: Location | None = None

    def but(self, tables: Collection[str]) -> Seen:
        """The same, without what the server did to these tables."""
        return replace(self, did=tuple(one for one in self.did if one.table not in tables))

    @property
    def place(self) -> Location:
        """Where it fails, as exactly as is known."""
        return self.failed_at or self.start


def recall(key: str, path: str) -> list[Seen] | None:
    """What was seen when a file of that key was run; None where none was, or where it can't be read any more."""
    with suppress(OSError, ValueError, KeyError, TypeError), open(_file(key), encoding="utf-8") as file:
        content = json.load(file)
        os.utime(file.fileno())
        return [_read(one, path) for one in content]
    return None


def remember(key: str, seen: Sequence[Seen]) -> None:
    """Keeps what was seen, unless something failed: another time it may not."""
    if any(one.failed for one in seen):
        return
    cache.keep(_file(key), json.dumps([asdict(one) for one in seen]), _KEPT)


def _read(one: dict[str, Any], path: str) -> Seen:
    start = replace(Location(**one["start"]), path=path)
    return Seen(start, tuple(Did(*did) for did in one["did"]), one["alone"])


def _file(key: str) -> str:
    return os.path.join(_memory(), f"{key}.json")


def _memory() -> str:
    """Of this server and of this code only: another version may look at other things."""
    return directory(f"seen-{__version__}-{_code()}")


@lru_cache
def _code() -> str:
    with open(f"{os.path.dirname(__file__)}/server.py", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]
