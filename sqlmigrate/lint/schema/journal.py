"""Dicts and sets that record their changes, so that the changes can be taken back, or stored.

A copy of the schema for each down file would take time in proportion to the schema, in each of as many files.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

K = TypeVar("K")
V = TypeVar("V")
_NOTHING: Any = object()
_CHANGED, _NEW, _REMOVED = range(3)


class KeyChange(NamedTuple):
    """A change of one key, with its value and its place before; `behind` are the keys behind one that was removed."""

    of: Objects[Any, Any] | Members[Any]
    key: Any
    old: Any
    place: int = 0
    behind: tuple[Any, ...] = ()


class Journal:
    """The changes of some dicts and sets, as long as it `records`."""

    def __init__(self) -> None:
        self.records = False
        self.changes: list[KeyChange] = []

    def start(self, *, records: bool) -> None:
        """Forgets all changes; `records` is whether the next ones are recorded."""
        self.changes.clear()
        self.records = records

    def take_back(self, mark: int) -> list[Any]:
        """Takes back all changes but the first `mark`, and returns the values that the keys had, for `repeat`."""
        values = [change.of.take_back(change) for change in reversed(self.changes[mark:])]
        return values[::-1]

    def repeat(self, mark: int, values: Iterable[Any]) -> None:
        """Makes the changes again that `take_back` took back."""
        for change, value in zip(self.changes[mark:], values, strict=True):
            change.of.repeat(change.key, value)


class Objects(dict[K, V]):
    """A dict whose changes a journal records; `in_order` sorts keys as the dict does."""

    def __init__(self, journal: Journal, items: Mapping[K, V] | None = None) -> None:
        super().__init__()
        self._journal = journal
        self._places: dict[K, int] = {}
        self._next = self._first_new = 0
        self._touched: dict[K, tuple[Any, int | None]] = {}
        self.update(items or {})

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self._touched:
            self._touched[key] = self._stored(key), self._places.get(key)
        if self._journal.records:
            place = self._places.get(key, 0)
            self._journal.changes.append(KeyChange(self, key, self.get(key, _NOTHING), place))
        self.repeat(key, value)

    def __delitem__(self, key: K) -> None:
        if key not in self._touched:
            self._touched[key] = self._stored(key), self._places.get(key)
        if self._journal.records:
            change = KeyChange(self, key, self[key], self._places[key], tuple(self._behind(key)))
            self._journal.changes.append(change)
        self.repeat(key, _NOTHING)

    def __ior__(self, items: Any) -> Objects[K, V]:  # type: ignore[override,misc]  # only mappings are added
        self.update(items)
        return self

    def pop(self, key: K, default: Any = _NOTHING) -> Any:
        """Removes a key and returns its value."""
        if key not in self:
            if default is _NOTHING:
                raise KeyError(key)
            return default
        value = self[key]
        del self[key]
        return value

    def setdefault(self, key: K, default: V) -> V:
        """Adds a key unless it exists, and returns its value."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, items: Mapping[K, V]) -> None:  # type: ignore[override]  # only mappings are added
        """Sets the keys of another mapping."""
        for key, value in items.items():
            self[key] = value

    def in_order(self, keys: Iterable[K]) -> list[K]:
        """Returns those of the keys that exist, each once, in the order of the dict."""
        return sorted({key for key in keys if key in self}, key=self._places.__getitem__)

    def part(self, keys: Iterable[K], by_name: Mapping[K, V]) -> Subset[K, V]:
        """Returns a dict that has only some keys if one iterates over it, and finds further ones by name."""
        return Subset({key: self[key] for key in self.in_order(keys)}, by_name)

    def take_back(self, change: KeyChange) -> Any:
        """Takes back a change, and returns the value after it."""
        value = self.get(change.key, _NOTHING)
        if change.old is _NOTHING:
            self._remove(change.key)
            return value
        self._insert(change.key, change.old)
        self._places[change.key] = change.place
        for key in change.behind:  # a dict has new keys at its end
            super().__setitem__(key, super().pop(key))
        return value

    def repeat(self, key: K, value: Any) -> None:
        """Sets or removes a key, and records nothing."""
        if value is _NOTHING:
            self._remove(key)
        else:
            self._insert(key, value)

    def _insert(self, key: K, value: V) -> None:
        if key not in self:
            self._places[key] = self._next
            self._next += 1
        super().__setitem__(key, value)

    def _remove(self, key: K) -> None:
        super().__delitem__(key)
        del self._places[key]

    def delta(self) -> dict[K, tuple[int, Any]]:
        """Returns the keys that changed since the last call, with their values, and forgets the changes.

        A new key has its place behind all others.
        """
        changed = [
            key
            for key, (old, place) in self._touched.items()
            if self._stored(key) is not old or self._places.get(key) != place
        ]
        new = {key for key in changed if key in self and self._places[key] >= self._first_new}
        self._touched.clear()
        self._first_new = self._next
        removed = sorted((key for key in changed if key not in self), key=repr)
        return dict.fromkeys(removed, (_REMOVED, None)) | {
            key: (_NEW if key in new else _CHANGED, self._to_store(key)) for key in self.in_order(changed)
        }

    def add_delta(self, changes: Mapping[K, tuple[int, Any]]) -> None:
        """Makes the changes that `delta` returned."""
        for key, (sort, value) in changes.items():
            if sort != _CHANGED and key in self:
                self.repeat(key, _NOTHING)
            if sort != _REMOVED:
                self.repeat(key, value)
        self._first_new = self._next

    def _stored(self, key: K) -> Any:
        return super().get(key, _NOTHING)

    def _to_store(self, key: K) -> Any:
        return self[key]

    def _behind(self, key: K) -> Iterator[K]:
        behind = []
        for other in reversed(self):
            if other == key:
                break
            behind.append(other)
        return reversed(behind)


class Named(Objects[tuple[str, str], V]):
    """The objects of schemas by schema and name."""

    def __init__(self, journal: Journal) -> None:
        self._by_schema: dict[str, set[tuple[str, str]]] | None = None
        super().__init__(journal)

    def of_schema(self, schema: str) -> list[tuple[str, str]]:
        """Returns the names in a schema; the first call sorts all names by schema, as few files need that."""
        if self._by_schema is None:
            self._by_schema = {}
            for name in self:
                self._by_schema.setdefault(name[0], set()).add(name)
        return self.in_order(self._by_schema.get(schema, ()))

    def _insert(self, key: tuple[str, str], value: V) -> None:
        super()._insert(key, value)
        if self._by_schema is not None:
            self._by_schema.setdefault(key[0], set()).add(key)

    def _remove(self, key: tuple[str, str]) -> None:
        super()._remove(key)
        if self._by_schema is not None:
            self._by_schema[key[0]].discard(key)


class Subset(dict[K, V]):
    """A part of a dict, for iteration; its keys are found in the whole dict too."""

    def __init__(self, items: Mapping[K, V], by_name: Mapping[K, V]) -> None:
        super().__init__(items)
        self._by_name = by_name

    def __missing__(self, key: K) -> V:
        return self._by_name[key]

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._by_name

    def get(self, key: K, default: Any = None) -> Any:
        """Returns the value of a key, or the default."""
        return super().get(key, self._by_name.get(key, default))


class Members(set[K]):
    """A set whose changes a journal records."""

    def __init__(self, journal: Journal, members: Iterable[K] = ()) -> None:
        super().__init__(members)
        self._journal = journal
        self._touched: dict[Any, bool] = {}

    def add(self, key: K) -> None:
        """Adds a member."""
        if key not in self:
            self._touched.setdefault(key, False)
            self._record(key, _NOTHING)
            super().add(key)

    def discard(self, key: object) -> None:
        """Removes a member if it is one."""
        if key in self:
            self._touched.setdefault(key, True)
            self._record(key, key)
            super().discard(key)

    def __ior__(self, members: Any) -> Members[K]:  # type: ignore[override,misc]  # as of a set
        for member in members:
            self.add(member)
        return self

    def take_back(self, change: KeyChange) -> Any:
        """Takes back a change, and returns the value after it."""
        value = change.key if change.key in self else _NOTHING
        self.repeat(change.key, change.old)
        return value

    def repeat(self, key: K, value: Any) -> None:
        """Adds or removes a member, and records nothing."""
        if value is _NOTHING:
            super().discard(key)
        else:
            super().add(key)

    def delta(self) -> dict[K, bool]:
        """Returns what was added or removed since the last call: each with whether it is a member now."""
        changed = (key for key, was in self._touched.items() if (key in self) is not was)
        changes = {key: key in self for key in sorted(changed, key=repr)}
        self._touched.clear()
        return changes

    def add_delta(self, changes: Mapping[K, bool]) -> None:
        """Makes the changes that `delta` returned."""
        for key, is_member in changes.items():
            self.repeat(key, key if is_member else _NOTHING)

    def _record(self, key: object, old: Any) -> None:
        if self._journal.records:
            self._journal.changes.append(KeyChange(self, key, old))


_RECORDED = (Journal, Objects, Members)


class Recorded:
    """An object whose `Objects` and `Members` one journal records."""

    def __init__(self) -> None:
        self.journal = Journal()

    @contextmanager
    def taken_back(self) -> Iterator[None]:
        """Takes back in the end all changes that are made meanwhile."""
        rest = {name: _copy(value) for name, value in vars(self).items() if not isinstance(value, _RECORDED)}
        records, mark = self.journal.records, len(self.journal.changes)
        self.journal.records = True
        try:
            yield
        finally:
            self.journal.take_back(mark)
            del self.journal.changes[mark:]
            self.journal.records = records
            vars(self).update(rest)

    def changes(self) -> tuple[Self, Self]:
        """Returns the object as it was before the changes in the journal, and as it is now.

        Both show only the objects that were changed if one iterates over them. The present one finds all by name.
        """
        after = self._with_changed(all_by_name=True)
        values = self.journal.take_back(0)
        before = self._with_changed(all_by_name=False)
        self.journal.repeat(0, values)
        return before, after

    def _with_changed(self, *, all_by_name: bool) -> Self:
        keys: dict[int, set[Any]] = {}
        for change in self.journal.changes:
            keys.setdefault(id(change.of), set()).add(change.key)
        part = type(self)()
        for name, value in vars(self).items():
            changed = (
                value.part(keys.get(id(value), ()), value if all_by_name else {})
                if isinstance(value, Objects)
                else value
            )
            setattr(part, name, changed)
        return part


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, dict | set | list) else value
