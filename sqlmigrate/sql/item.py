"""The items of a script: statements, psql meta-commands, COPY data and what is between them. Pure."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from sqlmigrate.sql.place import after
from sqlmigrate.sql.psql import Swap, source_text


class Kind(Enum):
    """The kind of an item."""

    SPACE = "space"  # white space, comments, empty statements
    STATEMENT = "statement"  # from its first word to its semicolon
    COMMAND = "command"  # a psql meta-command, with the end of its line if nothing follows on it
    DATA = "data"  # data for the COPY before it; a large block is split into several items
    DATA_END = "data end"  # the line with \.
    REST = "rest"  # text behind \quit


class Item(NamedTuple):
    """A range of the text, with the line and column of its start, counted from 1, columns in characters.

    `text` is the text to send; `swaps` are its differences from the file, which psql's variables and meta-commands
    inside a statement cause. `escapes` is true if standard_conforming_strings was off. `hint` says what to write
    instead of an unsupported meta-command.
    """

    kind: Kind
    text: str
    line: int
    column: int
    swaps: tuple[Swap, ...] = ()
    escapes: bool = False
    hint: str | None = None

    @property
    def source(self) -> str:
        """The text in the file."""
        return source_text(self.text, self.swaps) if self.swaps else self.text

    @property
    def end(self) -> tuple[int, int]:
        """The line and column after its last character."""
        return after(self.source, self.line, self.column)
