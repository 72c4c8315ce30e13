"""Snapshots of the schema as bytes.

They are pickled, because that takes a tenth of the time that it takes to read the files. Only the classes of the
catalog are unpickled, so a damaged or foreign file cannot run code.
"""

from __future__ import annotations

import gc
import io
import pickle
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.schema import catalog, datatype
from sqlmigrate.lint.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a damaged file can raise.
_DAMAGE = (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError)
_MODULES = {module.__name__: module for module in (catalog, datatype)}


def dump(snapshots: Mapping[str, Snapshot]) -> bytes:
    """Returns snapshots by key as bytes."""
    return pickle.dumps({key: tuple(snapshot) for key, snapshot in snapshots.items()}, pickle.HIGHEST_PROTOCOL)


def load(data: bytes) -> dict[str, Snapshot]:
    """Returns the snapshots, or nothing if the bytes are damaged."""
    collects = gc.isenabled()
    gc.disable()  # a collection would go through all objects again and again
    try:
        with suppress(*_DAMAGE):
            return {str(key): Snapshot(*value) for key, value in _Unpickler(io.BytesIO(data)).load().items()}
        return {}
    finally:
        if collects:
            gc.enable()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = getattr(_MODULES.get(module), name, None)
        if not isinstance(found, type) or found.__module__ != module:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a catalog")
        return found
