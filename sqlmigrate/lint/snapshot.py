"""Changes of the schema between some files of a directory, kept so that the files before need not be read again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.lint.schema.catalog import Catalog, Column, Constraint, Function, Index, Table, UserType
from sqlmigrate.lint.schema.journal import Members, Objects
from sqlmigrate.lint.schema.packing import CONSTRUCTORS, packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlmigrate.lint.timeline import Moment

# Each file sets them anew.
_OF_A_FILE = ("journal", "search_path", "changed")
# To keep objects as bytes saves memory, but takes time: in longer runs, those of this many files become bytes at once.
_MANY = 100
_LONG = 2000
_OFTEN = 250


class Start(NamedTuple):
    """The schema before a file, as changes of the empty schema, and the number of up files before."""

    changes: Sequence[bytes]
    ups: int


_EMPTY = Start((), 0)


class Points(NamedTuple):
    """Where runs start, and which changes of the schema to keep, by the path of a file.

    A run without a start starts from an empty schema. The changes before each file in `before` are kept, since the one
    before it, and those up to each file in `after`, under the path that it is mapped to.
    """

    starts: Mapping[str, Start] = {}
    before: Collection[str] = ()
    after: Mapping[str, str] = {}

    def shared(self, parts: Sequence[Sequence[Sequence[Moment]]]) -> list[Points]:
        """Returns the points for each of several processes; the last one that reads a run keeps its changes."""
        last = {run[0].path: number for number, part in enumerate(parts) for run in part}
        points = []
        for number, part in enumerate(parts):
            own = {moment.path for run in part if last[run[0].path] == number for moment in run}
            after = {path: name for path, name in self.after.items() if path in own}
            points.append(Points(self.starts, own.intersection(self.before), after))
        return points


def stored_table(*values: Any) -> Table:
    """Returns a table as it is stored: with a list instead of a set."""
    table = Table(*values)
    table.read_columns = frozenset(table.read_columns)
    return table


CONSTRUCTORS |= {kind: kind for kind in (Column, Constraint, Index, UserType, Function)} | {Table: stored_table}


class Keeper:
    """Keeps the changes up to some points, by path."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._can_keep = True
        self._is_long = False
        self._files = 0
        self.kept: dict[str, bytes] = {}

    def start(self, first: str, length: int) -> tuple[Catalog, int]:
        """Returns the schema before the first file of a run, and the number of up files before it."""
        self._can_keep = True
        start = self._points.starts.get(first, _EMPTY)
        self._is_long = length >= _LONG and not self._points.before and not self._points.after
        catalog = Catalog(is_large=bool(start.changes) or len(self._points.before) > _MANY or self._is_long)
        for changes in start.changes:
            for name, value in unpacked(changes).items():
                own = getattr(catalog, name)
                if isinstance(own, Objects | Members):
                    own.add_delta(value)
                else:
                    setattr(catalog, name, value)
        return catalog, start.ups

    def before(self, path: str, catalog: Catalog) -> None:
        """Keeps the changes before a file, if they are to be kept."""
        self._files += 1
        if path in self._points.before and self._can_keep:
            self._keep(path, catalog)
        elif self._is_long and self._can_keep and self._files % _OFTEN == 0:
            with self._unless_too_deep():
                _changes(catalog)

    def after(self, path: str, catalog: Catalog) -> None:
        """Keeps the changes up to a file, if they are to be kept."""
        if path in self._points.after and self._can_keep:
            self._keep(self._points.after[path], catalog)

    def _keep(self, path: str, catalog: Catalog) -> None:
        with self._unless_too_deep():
            self.kept[path] = packed(_changes(catalog))

    @contextmanager
    def _unless_too_deep(self) -> Iterator[None]:
        """Ends the keeping at an expression that is nested too deeply."""
        try:
            yield
        except RecursionError:
            self._can_keep = False


def _changes(catalog: Catalog) -> dict[str, Any]:
    """Returns the changes since the last call; the objects of a large catalog become bytes."""
    values = {name: value for name, value in vars(catalog).items() if name not in _OF_A_FILE}
    return {name: value.delta() if isinstance(value, Objects | Members) else value for name, value in values.items()}
