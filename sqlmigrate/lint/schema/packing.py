"""Objects of the catalog as bytes: the schema of thousands of files is stored, and kept in memory, as bytes.

Equal objects have equal bytes: a pickle refers to no earlier part of itself. Only the classes of the catalog are
unpickled, so a damaged or foreign file cannot run code.
"""

from __future__ import annotations

import io
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sqlmigrate.lint.schema.journal import Named
from sqlmigrate.lint.schema.replacing import fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, ItemsView, ValuesView

    from sqlmigrate.lint.schema.journal import Journal

Name = tuple[str, str]
V = TypeVar("V")
T = TypeVar("T")
# What creates an object of a class from its values, with lists instead of sets.
CONSTRUCTORS: dict[type, Callable[..., object]] = {}
_MODULES = ("sqlmigrate.lint.schema.catalog", "sqlmigrate.lint.schema.datatype")


def packed(value: object) -> bytes:
    """Returns plain values and objects of the catalog as bytes.

    Raises:
        RecursionError: a value is nested too deeply.
    """
    buffer = io.BytesIO()
    pickler, table = _pickler()
    writer = pickler(buffer, -1)
    writer.fast, writer.dispatch_table = True, table
    writer.dump(value)
    return buffer.getvalue()


def unpacked(data: bytes) -> Any:
    """Returns what `packed` packed.

    Raises:
        Exception: the bytes are damaged.
    """
    return _unpickler()(io.BytesIO(data)).load()


class Packed(Named[V]):
    """Objects that `delta` returns as bytes."""

    def _to_store(self, key: Name) -> Any:
        return packed(self[key])


class Unread(Packed[V]):
    """The same, but `delta` also replaces the objects by their bytes; each is unpacked when it is needed again."""

    def __init__(self, journal: Journal) -> None:
        self._unpacked: dict[Name, tuple[V, bytes]] = {}
        super().__init__(journal)

    def __getitem__(self, key: Name) -> V:
        value: Any = super().__getitem__(key)
        return self._unpack(key, value) if type(value) is bytes else value

    @overload
    def get(self, key: Name, default: None = None, /) -> V | None: ...

    @overload
    def get(self, key: Name, default: V, /) -> V: ...

    @overload
    def get(self, key: Name, default: T, /) -> V | T: ...

    def get(self, key: Name, default: Any = None, /) -> Any:
        """Returns the value of a key, or the default."""
        value = super().get(key, default)
        return self._unpack(key, value) if type(value) is bytes else value

    def values(self) -> ValuesView[V]:  # type: ignore[override]  # dict_values cannot be named
        """Returns the values."""
        self._unpack_all()
        return super().values()

    def items(self) -> ItemsView[Name, V]:  # type: ignore[override]  # dict_items cannot be named
        """Returns the keys with their values."""
        self._unpack_all()
        return super().items()

    def delta(self) -> dict[Name, tuple[int, Any]]:
        """Returns the changes since the last call, and forgets them."""
        changes = super().delta()
        for key, (value, data) in self._unpacked.items():
            if super().get(key) is value:
                self.repeat(key, data)
        self._unpacked.clear()
        return changes

    def _unpack_all(self) -> None:
        for key in self:
            self.get(key)

    def _unpack(self, key: Name, data: bytes) -> V:
        value: V = unpacked(data)
        self._unpacked[key] = value, data
        self.repeat(key, value)
        return value

    def _stored(self, key: Name) -> Any:
        value = super()._stored(key)
        current, data = self._unpacked.get(key, (None, b""))
        return data if current is not None and value is current else value

    def _to_store(self, key: Name) -> Any:
        value = self._stored(key)
        if type(value) is not bytes:
            value = packed(value)
            self.repeat(key, value)
        return value


@cache
def _pickler() -> tuple[Any, dict[type, Any]]:
    from pickle import Pickler  # only many files need it

    return Pickler, dict.fromkeys(CONSTRUCTORS, _reduced)


def _reduced(value: object) -> tuple[Any, tuple[Any, ...]]:
    kind: type = type(value)
    _, get = fields_of(kind)
    return CONSTRUCTORS[kind], tuple(sorted(x) if isinstance(x, frozenset) else x for x in get(value))


@cache
def _unpickler() -> Any:
    from pickle import Unpickler, UnpicklingError

    class OfCatalog(Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            own = {(made.__module__, made.__name__): made for made in CONSTRUCTORS.values()}
            found = getattr(sys.modules[module], name, None) if module in _MODULES else own.get((module, name))
            if (module, name) not in own and not (isinstance(found, type) and found.__module__ == module):
                raise UnpicklingError(f"{module}.{name} is not part of a catalog")
            return found

    return OfCatalog
