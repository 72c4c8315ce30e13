"""What one message to the server is made of, and back: from what the server says to a place in a file. Pure."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from sqlmigrate.errors import ScriptError
from sqlmigrate.model import Location
from sqlmigrate.sql.place import after
from sqlmigrate.sql.scanner import Kind, scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.sql.script import Piece


@dataclass(frozen=True, slots=True)
class Part:
    """Text of one origin: a piece of a script, or our own (then `piece` is None).

    `unit` is the number, within the batch, of the unit it belongs to; `results` is how many statements are in it.
    `hook` is the path of the hook that the piece is of, where it is none of the unit's own script.
    """

    text: str
    results: int
    unit: int
    piece: Piece | None = None
    hook: str = ""


class Message:
    """Parts that travel together as one simple query."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self.text = "".join(part.text for part in parts)
        self._starts = [0, *accumulate(len(part.text) for part in parts)]
        self._results = list(accumulate(part.results for part in parts))

    def at_result(self, count: int) -> tuple[Part, int]:
        """The part whose statement runs when `count` results have come back, and the statement's number within it."""
        number = min(bisect_right(self._results, count), len(self.parts) - 1)
        before = self._results[number - 1] if number else 0
        return self.parts[number], count - before

    def blame(self, count: int, position: int | None) -> Blame:
        """Whose statement an error is that came behind `count` results.

        `position` is PostgreSQL's, in characters from 1. Where it lies elsewhere than in the statement that was due,
        the server found it while it read the message, and ran nothing of it.
        """
        due, number = self.at_result(count)
        if position is None:
            return Blame(due, number, None)
        part = self.parts[min(bisect_right(self._starts, position - 1) - 1, len(self.parts) - 1)]
        offset = position - 1 - self._starts[self.parts.index(part)]
        return Blame(part, number if part is due else None, offset)


@dataclass(frozen=True, slots=True)
class Blame:
    """A part, the number of the statement within it where that is known, the offset where the server named one."""

    part: Part
    number: int | None
    offset: int | None

    def place(self, path: str) -> Location:
        """Where in the file, or in the hook, it is: as exactly as is known."""
        piece, path = self.part.piece, self.part.hook or path
        if piece is None or (self.offset is None and self.number is None):
            return Location(path)
        own = self.part.text.rstrip("\n").removesuffix("\n;")  # a semicolon that was added is in no line of the file
        before = own[: self._start() if self.offset is None else self.offset]
        return Location(path, *after(before, piece.line, piece.column))

    def _start(self) -> int:
        """Where in the part's text its statement begins."""
        at = 0
        statements: list[int] = []
        with suppress(ScriptError):  # the rows of a COPY travel apart
            for item in scan("", [self.part.text]):
                if item.kind is Kind.STATEMENT:
                    statements.append(at)
                at += len(item.text)
        return statements[min(self.number or 0, len(statements) - 1)]
