"""The schema before the last file of a directory and after it, kept so that the files before need not be read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.lint.schema.catalog import Catalog
from sqlmigrate.lint.schema.journal import Journal, Members, Objects

if TYPE_CHECKING:
    from collections.abc import Mapping


class Snapshot(NamedTuple):
    """The schema after some files, and the number of the last one."""

    content: dict[str, Any]
    number: int

    @classmethod
    def of(cls, catalog: Catalog, number: int) -> Snapshot:
        """Returns a snapshot, which later changes of the catalog do not change."""
        kept = {name: value for name, value in vars(catalog).items() if not isinstance(value, Journal)}
        return cls({name: _plain(value) for name, value in kept.items()}, number)

    def catalog(self) -> Catalog:
        """Returns the schema as a new catalog."""
        catalog = Catalog()
        for name, value in self.content.items():
            own = getattr(catalog, name, None)
            if isinstance(own, Objects | Members):
                own |= value
            else:
                setattr(catalog, name, value)
        return catalog


class Points(NamedTuple):
    """Where runs start and which schemas to keep, by the path of a file.

    `starts` are the schemas before the first file of a run; a run without one starts from an empty schema. `before` and
    `after` are the schemas to keep: each has the name of its run and a key.
    """

    starts: Mapping[str, Snapshot] = {}
    before: Mapping[str, tuple[str, str]] = {}
    after: Mapping[str, tuple[str, str]] = {}


class Keeper:
    """Keeps the schemas at some points: `kept` has them by the name of the run, and by key."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self.kept: dict[str, dict[str, Snapshot]] = {}

    def start(self, first: str) -> tuple[Catalog, int]:
        """Returns the schema before the first file of a run, and the number of the file before it."""
        start = self._points.starts.get(first)
        return (start.catalog(), start.number) if start else (Catalog(), 0)

    def before(self, path: str, catalog: Catalog, number: int) -> None:
        """Keeps the schema before a file, if it is to be kept."""
        self._keep(self._points.before.get(path), catalog, number)

    def after(self, path: str, catalog: Catalog, number: int) -> None:
        """Keeps the schema after a file, if it is to be kept."""
        self._keep(self._points.after.get(path), catalog, number)

    def _keep(self, place: tuple[str, str] | None, catalog: Catalog, number: int) -> None:
        if place is not None:
            run, key = place
            self.kept.setdefault(run, {})[key] = Snapshot.of(catalog, number)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value)
    return set(value) if isinstance(value, set) else value
