"""The parts of a run of files, and the schema that the files before each part create."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.cache import Cache, digest, opened, sealed
from sqlmigrate.lint.schema.packing import packed, unpacked
from sqlmigrate.lint.snapshot import Start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlmigrate.lint.timeline import Moment

SCHEMAS = Cache("schema", most=5)
# The number of up files in a part.
_LENGTH = 32


class Block(NamedTuple):
    """Parts to lint, from `first` to before `last`; `before` and `after` are as in `Points`."""

    first: int
    last: int
    moments: list[Moment]
    start: Start
    before: tuple[str, ...]
    after: str


class PartedRun:
    """A run in parts: the schema before a part has a key, and so has each file, by the texts before it in the part.

    If it is not divided, it is one part.
    """

    def __init__(self, run: list[Moment], texts: Mapping[str, str], question: str, *, divides: bool) -> None:
        self._texts = texts
        self._parts = _parts(run) if divides else [run]
        self._name = digest(question, os.path.dirname(os.path.abspath(run[0].path)))
        # The key of each part but the first, and the changes of the schema in the part before it.
        self._chain: list[tuple[str, bytes]] = self._read()
        self._is_changed = False
        self._entries: list[str] = [digest(question, "start")]
        self._keys: list[dict[str, str]] = []
        self._ends: list[str] = []
        self._done: set[str] = set()
        self._tries = 2
        self._is_over = False

    def next(self, recall: Callable[[str, str], bool], leads_to: Callable[[str], str]) -> Block | None:
        """Returns the parts to lint next, or None.

        `recall` returns whether the findings in a file are known; `leads_to` returns the key of the part behind a file,
        by the key of the file, or an empty text.
        """
        first = None
        for number in range(0 if self._is_over else len(self._parts)):
            if number == len(self._keys):
                self._enter(number, recall)
                following = leads_to(self._ends[number]) if number + 1 < len(self._parts) else ""
                self._entries += [following] if following and number + 1 == len(self._entries) else []
            leads = number + 1 == len(self._parts) or number + 1 < len(self._entries)
            if not leads or any(moment.linted and moment.path not in self._done for moment in self._parts[number]):
                first = number if first is None else first
            elif first is not None:
                return self._block(first, number)
            if not leads:
                return self._block(first or 0, number + 1 if self._may_try(number) else len(self._parts))
        return None if first is None else self._block(first, len(self._parts))

    def add(self, block: Block, changes: Mapping[str, bytes]) -> tuple[dict[str, str], dict[str, str]]:
        """Records that a block was linted; returns the keys of its files, and of the parts, by those before them."""
        self._done.update(moment.path for moment in block.moments if moment.linted)
        self._is_over = block.last == len(self._parts)
        parts: dict[str, str] = {}
        for number in range(block.first, block.last):
            if number == len(self._entries):  # the schema cannot be stored
                break
            if number == len(self._keys):
                self._enter(number, lambda _, __: False)
            path = self._parts[number + 1][0].path if number + 1 < len(self._parts) else ""
            if number + 1 == len(self._entries) and path in changes:
                parts[self._ends[number]] = self._lead(number, changes[path])
        if len(self._entries) <= block.last:
            self._tries = 0
        return {path: key for keys in self._keys[block.first : block.last] for path, key in keys.items()}, parts

    def store(self) -> None:
        """Stores the changes of the schema, if there are new ones."""
        if self._is_changed:
            SCHEMAS.write_bytes(self._name, sealed(packed(self._chain)))

    def _read(self) -> list[tuple[str, bytes]]:
        content = opened(SCHEMAS.read_bytes(self._name)) if len(self._parts) > 1 else b""
        return unpacked(content) if content else []

    def _enter(self, number: int, recall: Callable[[str, str], bool]) -> None:
        """Makes the keys of the files in a part, whose own key is known, and of the next part, if it is known."""
        key, keys = self._entries[number], {}
        for moment in self._parts[number]:
            text = self._texts.get(moment.path)
            of_file = digest(key, repr(moment._replace(linted=True)), text) if key and text else ""
            if not moment.down:
                key = of_file
            if of_file:
                keys[moment.path] = of_file
                if moment.linted and moment.path not in self._done and recall(moment.path, of_file):
                    self._done.add(moment.path)
        self._keys.append(keys)
        self._ends.append(key)

    def _lead(self, number: int, changes: bytes) -> str:
        """Records the changes of the schema in a part, and returns the key of the next part."""
        key = digest(self._entries[number], changes.hex())
        self._entries.append(key)
        if [key] != [old for old, _ in self._chain[number : number + 1]]:
            self._chain[number:] = [(key, changes)]
            self._is_changed = True
        return key

    def _may_try(self, number: int) -> bool:
        """Returns whether a part may change the schema as it did before."""
        entry = [self._entries[number]] if number else []
        is_known = len(self._chain) > number and entry == [key for key, _ in self._chain[max(number - 1, 0) : number]]
        self._tries -= is_known
        return is_known and self._tries >= 0

    def _block(self, first: int, last: int) -> Block:
        if [key for key, _ in self._chain[:first]] != self._entries[1 : first + 1]:
            first = 0  # the schema is not stored
        of_parts = [moment for part in self._parts[first:last] for moment in part]
        marked = [each._replace(linted=each.linted and each.path not in self._done) for each in of_parts]
        moments = [moment for moment in marked if moment.linted or not moment.down]
        new = [part[0].path for part in self._parts[len(self._entries) : last + 1]]
        after = new[-1] if last < len(self._parts) and new else ""
        start = Start([changes for _, changes in self._chain[:first]], first * _LENGTH)
        return Block(first, last, moments, start, tuple(new[:-1] if after else new), after)


def _parts(run: Sequence[Moment]) -> list[list[Moment]]:
    """Divides a run; a down file is in the part of its up file."""
    parts: list[list[Moment]] = [[]]
    ups = count()
    for moment in run:
        if not moment.down and next(ups) % _LENGTH == 0 and parts[-1]:
            parts.append([])
        parts[-1].append(moment)
    return parts
