"""The parts of a message to the server, and the mapping from a server error back to a file location. Pure."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from sqlmigrate.errors import ScriptError
from sqlmigrate.model import Location
from sqlmigrate.sql.item import Kind
from sqlmigrate.sql.place import after
from sqlmigrate.sql.psql import ClientState, source_text
from sqlmigrate.sql.scanner import scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.sql.segments import Piece


@dataclass(frozen=True, slots=True)
class Part:
    """Text of one origin: a piece of a script, or SQL of sqlmigrate, for which `piece` is None.

    `unit` is the index of its step in the batch, `results` the number of statements in it. `record` is the number of
    results up to the record of a step, which is its duration, or 0 if the part records nothing. `hook` is the path of
    the hook that contains the piece, or empty if the step's script contains it. `marks` are the offset and the length
    of each statement of sqlmigrate in the text: the n-th last one is before the n-th last statement of the piece.
    """

    text: str
    results: int
    unit: int
    piece: Piece | None = None
    hook: str = ""
    marks: tuple[tuple[int, int], ...] = ()
    record: int = 0

    @property
    def plain(self) -> str:
        """The text without the marks."""
        ends = [0, *(at + length for at, length in self.marks)]
        starts = [*(at for at, _ in self.marks), len(self.text)]
        return "".join(self.text[end:start] for end, start in zip(ends, starts, strict=True))

    def statement_at(self, number: int) -> int:
        """Returns the index of the statement of the piece that runs after `number` results of the part."""
        first = self.results - 2 * len(self.marks)
        return number if number < first else first + (number - first) // 2

    def offset_of(self, offset: int) -> int:
        """Returns the offset in `plain` of an offset in the text."""
        return offset - sum(length for at, length in self.marks if at < offset)


def marked(part: Part, starts: Sequence[int], marks: Sequence[str]) -> Part:
    """Returns the part with a mark, which is a statement, before each of its last statements.

    Args:
        part: The part without marks.
        starts: The offsets of the statements before which there is a mark.
        marks: The texts of the marks.
    """
    if not marks:
        return part
    ends = [*starts[1:], len(part.text)]
    pieces = [mark + part.text[start:end] for mark, start, end in zip(marks, starts, ends, strict=True)]
    before = accumulate(map(len, marks), initial=0)
    places = tuple((start + added, len(mark)) for start, added, mark in zip(starts, before, marks, strict=False))
    text = "".join([part.text[: starts[0]], *pieces])
    return replace(part, text=text, results=part.results + len(marks), marks=places)


class Message:
    """Parts that are sent together as one simple query. `records` are the numbers of the results that record steps."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self._starts = [0, *accumulate(len(part.text) for part in parts)]
        self._results = list(accumulate(part.results for part in parts))
        starts = zip(parts, [0, *self._results], strict=False)
        self.records = {start + part.record for part, start in starts if part.record}

    @property
    def text(self) -> str:
        """The text to send. It is not kept: one statement may have hundreds of megabytes."""
        return "".join(part.text for part in self.parts)

    def at_result(self, count: int) -> tuple[Part, int]:
        """Returns the part that runs after `count` results, and the index of the running statement within it."""
        number = min(bisect_right(self._results, count), len(self.parts) - 1)
        before = self._results[number - 1] if number else 0
        return self.parts[number], count - before

    def blame(self, count: int, position: int | None) -> Blame:
        """Finds the statement that caused an error.

        Args:
            count: How many results were received before the error.
            position: The position that the server reported, in characters from 1. If it is not in the statement after
                `count` results, the server found the error while parsing the message, and ran nothing of it.
        """
        due, number = self.at_result(count)
        number = due.statement_at(number)
        if position is None:
            return Blame(due, number, None)
        part = self.parts[min(bisect_right(self._starts, position - 1) - 1, len(self.parts) - 1)]
        offset = position - 1 - self._starts[self.parts.index(part)]
        return Blame(part, number if part is due else None, part.offset_of(offset))


@dataclass(frozen=True, slots=True)
class Blame:
    """The part that caused an error; the statement's index and the error's offset in `plain`, if known."""

    part: Part
    number: int | None
    offset: int | None

    def place(self, path: str) -> Location:
        """Returns the location in the script, or in the hook, as exactly as it is known."""
        piece, path = self.part.piece, self.part.hook or path
        if piece is None or (self.offset is None and self.number is None):
            return Location(path)
        text = self.part.plain.rstrip("\n").removesuffix("\n;")  # the added semicolon is not in the file
        before = text[: self._start() if self.offset is None else self.offset]
        return Location(path, *after(source_text(before, piece.swaps), piece.line, piece.column))

    def _start(self) -> int:
        """Returns the offset of the statement in the text of the part."""
        at = 0
        statements: list[int] = []
        client = ClientState(self.part.piece is not None and self.part.piece.escapes, {})
        with suppress(ScriptError):  # the text does not contain the COPY data
            for item in scan("", [self.part.plain], client, substitute=False):
                if item.kind is Kind.STATEMENT:
                    statements.append(at)
                at += len(item.text)
        return statements[min(self.number or 0, len(statements) - 1)]
