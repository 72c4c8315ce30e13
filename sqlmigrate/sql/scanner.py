"""Splits text into statements, psql meta-commands and COPY data. Pure.

The rules are those of psql's lexer (src/fe_utils/psqlscan.l), which agree with the server's on everything that decides
where a statement ends. The joined items of a text are the text.
"""

from __future__ import annotations

import re
from contextlib import suppress
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from sqlmigrate.errors import ScriptError
from sqlmigrate.model import Location
from sqlmigrate.sql.place import after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Kind(Enum):
    """The kind of an item."""

    SPACE = "space"  # white space, comments, empty statements
    STATEMENT = "statement"  # from its first word to its semicolon
    COMMAND = "command"  # a psql meta-command, with the end of its line
    DATA = "data"  # data for the COPY before it; a large block is split into several items
    DATA_END = "data end"  # the line with \.


class Item(NamedTuple):
    """A range of the text, with the line and column of its start, counted from 1, columns in characters."""

    kind: Kind
    text: str
    line: int
    column: int

    @property
    def end(self) -> tuple[int, int]:
        """The line and column after its last character."""
        return after(self.text, self.line, self.column)


# The server treats every character from U+0080 on as a letter, including no-break spaces.
_LETTER = r"A-Za-z_\u0080-\U0010ffff"
_WORD = rf"[{_LETTER}][{_LETTER}0-9$]*"
_WHITE = r"[ \t\n\r\f\v]"
# It matches in one way only, so an unterminated string never matches as a string and following text.
_ESCAPED_REST = r"(?:[^'\\]++|\\.|'')*'(?!')"
# A string continues after white space that contains a newline, with the same escape rules.
_GOES_ON = rf"(?:[ \t\f\v]|--[^\n\r]*(?=[\n\r]))*[\n\r](?:{_WHITE}|--[^\n\r]*[\n\r])*'"
_ESCAPED = rf"'{_ESCAPED_REST}(?:{_GOES_ON}{_ESCAPED_REST})*(?!{_GOES_ON})"

_SPACE = re.compile(rf"(?:{_WHITE}+|--[^\n\r]*)*")
_LINE = re.compile(r"[^\n]*\n?")
_REST_OF_LINE = re.compile(r"[ \t\r\f\v]*(?:--[^\n]*)?\n")
_DOLLAR = re.compile(rf"\$(?:[{_LETTER}][{_LETTER}0-9]*)?\$")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BLANK = rf"(?:{_WHITE}+|--[^\n\r]*[\n\r]|/\*.*?\*/)+"
_ROUTINE = re.compile(
    rf"create{_BLANK}(?:or{_BLANK}replace{_BLANK})?(?:function|procedure)\b", re.IGNORECASE | re.DOTALL
)
_ATOMIC = re.compile(rf"{_BLANK}atomic\b", re.IGNORECASE | re.DOTALL)
_ESCAPE_PREFIX = re.compile("[eE]'")
_HIDING = ('"', "$", "\\", "--", "/*")
_NAME = re.compile(_WORD)
_STRINGS = re.compile(
    rf"set{_BLANK}(?:(?:session|local){_BLANK})?standard_conforming_strings\s*(?:=|\bto\b)\s*'?(\w+)",
    re.IGNORECASE | re.DOTALL,
)
_TOKEN = re.compile(
    rf"(?:{_WHITE}|--[^\n\r]*|/\*.*?\*/)*"
    rf"([eE]{_ESCAPED}|{_WORD}|'[^']*'|\"(?:[^\"]|\"\")*\"|\$(?:[{_LETTER}][{_LETTER}0-9]*)?\$|\d+|.|\Z)",
    re.DOTALL,
)


@cache
def _quiet(*, words: bool, escapes: bool) -> re.Pattern[str]:
    """Returns a pattern for text that neither ends a statement nor starts a token that can contain a semicolon.

    The number of repetitions is bounded because each one costs the regular expression engine memory.
    """
    plain = rf"[^;()'\"$\\/\-{_LETTER}]+|/(?!\*)|-(?!-)|--[^\n\r]*|\"[^\"]*\"|\$\d+"
    strings = rf"[eE]?{_ESCAPED}" if escapes else rf"'[^']*'|[eE]{_ESCAPED}"
    word = rf"|(?![eE]'){_WORD}" if words else ""
    return re.compile(rf"(?:{plain}|{strings}{word}){{0,500}}", re.DOTALL)


def tokens(statement: str) -> Iterator[str]:
    """Yields the tokens of a statement as written, without comments; only the tags of dollar quotes are tokens."""
    return (match[1] for match in _TOKEN.finditer(statement) if match[1])


def token_ends(statement: str) -> Iterator[tuple[str, int]]:
    """Yields the same tokens, each with the offset of its end."""
    return ((match[1], match.end()) for match in _TOKEN.finditer(statement) if match[1])


def statements(text: str, line: int = 1, column: int = 1) -> list[Item]:
    """Returns the statements of a text that starts at a line and column, and does not contain COPY data."""
    items: list[Item] = []
    with suppress(ScriptError):  # the COPY data is missing
        for item in scan("", [text]):
            if item.kind is Kind.STATEMENT:
                on_first = column - 1 if item.line == 1 else 0
                items.append(item._replace(line=item.line + line - 1, column=item.column + on_first))
    return items


def copies_from_stdin(statement: str) -> bool:
    """Whether COPY data follows the statement in the script: `COPY … FROM stdin`."""
    if statement[:4].lower() != "copy":
        return False
    depth, previous = 0, ""
    for token in tokens(statement):
        word = token.lower()
        depth += (word == "(") - (word == ")")
        if depth == 0 and previous == "from":
            return word == "stdin"
        previous = word if depth == 0 else ""
    return False


def scan(path: str, chunks: Iterable[str]) -> Iterator[Item]:
    """Yields the items of a script that is read in chunks of any size; memory is bounded by the longest item.

    Raises:
        ScriptError: A quoted string, a comment or COPY data is unterminated, or a psql meta-command is inside a
            statement. The location is the start of the string, comment, COPY or meta-command.
    """
    return _Scanner(path, chunks).items()


class _Scanner:
    def __init__(self, path: str, chunks: Iterable[str]) -> None:
        self._path = path
        self._chunks = iter(chunks)
        self._ended = False
        self._text = ""
        self._at = 0
        self._line = 1
        self._column = 1
        self._escapes = False  # standard_conforming_strings = off
        self._open: tuple[int, str] | None = None

    def items(self) -> Iterator[Item]:
        while self._at < len(self._text) or self._more():
            yield from self._next()

    def _next(self) -> Iterator[Item]:
        end = self._space_end()
        if end is None:
            if not self._ended:
                self._more()
                return
            self._refuse_open()
            yield self._take(Kind.SPACE, len(self._text))
            return
        if end > self._at:
            yield self._take(Kind.SPACE, end)
        if self._text[end : end + 1] == "\\":
            yield self._command()
            return
        statement = self._statement()
        yield statement
        if set_strings := _STRINGS.match(statement.text):
            self._escapes = set_strings[1].lower() in ("off", "false", "no", "0")
        if copies_from_stdin(statement.text):
            yield from self._data(statement)

    def _more(self) -> bool:
        """At least doubles the text in memory, so that a long item is rescanned only a few times."""
        held = self._text[self._at :]
        parts, wanted = [held], max(len(held), 1)
        while wanted > 0 and not self._ended:
            chunk = next(self._chunks, None)
            self._ended = chunk is None
            parts.append(chunk or "")
            wanted -= len(parts[-1])
        if self._open is not None:
            self._open = (self._open[0] - self._at, self._open[1])
        self._text, self._at = "".join(parts), 0
        return len(self._text) > len(held)

    def _take(self, kind: Kind, end: int) -> Item:
        text = self._text[self._at : end]
        item = Item(kind, text, self._line, self._column)
        self._at = end
        self._line, self._column = item.end
        return item

    def _space_end(self) -> int | None:
        """Returns the offset of the next statement or meta-command; None if the text ends before it."""
        at, text = self._at, self._text
        self._open = None
        while True:
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it also matches the empty string
            if text.startswith("/*", at):
                end = self._comment_end(at)
                if end is None:
                    return None
                at = end
            elif text.startswith(";", at):
                at += 1
            elif at >= len(text) - 1 and not self._ended:
                return None  # the last character may be the first half of -- or /*
            else:
                return at if at < len(text) else None

    def _comment_end(self, start: int) -> int | None:
        depth = 0
        for edge in _COMMENT_EDGE.finditer(self._text, start):
            depth += 1 if edge[0] == "/*" else -1
            if depth == 0:
                return edge.end()
        self._open = (start, "/* comment")
        return None

    def _command(self) -> Item:
        while "\n" not in self._text[self._at :] and self._more():
            pass
        line = _LINE.match(self._text, self._at)
        return self._take(Kind.COMMAND, line.end())  # type: ignore[union-attr]  # it also matches the empty string

    def _statement(self) -> Item:
        while (end := self._statement_end()) is None:
            if not self._more():
                self._refuse_open()
                end = len(self._text)
                break
        return self._take(Kind.STATEMENT, end)

    def _statement_end(self) -> int | None:  # noqa: C901  # one branch for each relevant character, as in psqlscan.l
        if end := self._plain_end():
            return end
        text, at = self._text, self._at
        routine = _ROUTINE.match(text, at) is not None
        quiet = _quiet(words=not routine, escapes=self._escapes)
        depth = bodies = 0
        self._open = None
        while True:
            at = quiet.match(text, at).end()  # type: ignore[union-attr]  # it also matches the empty string
            if at >= len(text):
                return None
            character = text[at]
            if character == ";":
                at += 1
                if depth == 0 and bodies == 0:
                    return at
            elif character in "()":
                depth = max(depth + (1 if character == "(" else -1), 0)
                at += 1
            elif quiet.match(text, at).end() > at:  # type: ignore[union-attr]  # the last match ended at the maximum number of repetitions
                continue
            elif character in "$/":
                hidden = self._dollar_end(at) if character == "$" else self._comment_end(at)
                if hidden is None:
                    return None
                at = hidden
            elif character == "\\":
                self._refuse(at, "psql meta-command inside a statement", "end the statement with a semicolon first")
            elif routine and (word := _NAME.match(text, at)) and not _ESCAPE_PREFIX.match(text, at):
                bodies = self._bodies(word, bodies) if depth == 0 else bodies
                at = word.end()
            else:
                self._open = (at, "quoted identifier" if character == '"' else "quoted string")
                return None

    def _plain_end(self) -> int:
        """Returns the end of a statement in which only strings can contain a semicolon, or 0: most INSERTs."""
        end = self._text.find(";", self._at) + 1
        statement = self._text[self._at : end]
        if statement[:6].lower() == "create" or any(sign in statement for sign in _HIDING):
            return 0
        even = statement.count("'") % 2 == 0 and statement.count("(") == statement.count(")")
        return end if even else 0

    def _bodies(self, word: re.Match[str], bodies: int) -> int:
        """Returns the number of unterminated BEGIN ATOMIC and CASE after a word; only END terminates them."""
        text = word[0].lower()
        if text == "begin" and _ATOMIC.match(self._text, word.end()):
            return bodies + 1
        if bodies and text in ("case", "end"):
            return bodies + (1 if text == "case" else -1)
        return bodies

    def _dollar_end(self, start: int) -> int | None:
        tag = _DOLLAR.match(self._text, start)
        if tag is None:
            return start + 1
        end = self._text.find(tag[0], tag.end())
        if end < 0:
            self._open = (start, f"dollar-quoted string {tag[0]}")
            return None
        return end + len(tag[0])

    def _data(self, copy: Item) -> Iterator[Item]:
        while "\n" not in self._text[self._at :] and self._more():
            pass
        rest = _REST_OF_LINE.match(self._text, self._at)
        if rest is None and not self._text[self._at :].strip():
            self._refuse_cut_off(copy)
        if rest is None:
            self._refuse(
                self._at, "extra text after COPY … FROM stdin on the same line", "start the COPY data on the next line"
            )
        yield self._take(Kind.SPACE, rest.end())
        while (end := self._data_end()) is None:
            complete = self._text.rfind("\n", self._at) + 1
            if complete > self._at:
                yield self._take(Kind.DATA, complete)
            if not self._more() and self._data_end() is None:
                self._refuse_cut_off(copy)
        if end > self._at:
            yield self._take(Kind.DATA, end)
        line = _LINE.match(self._text, self._at)
        yield self._take(Kind.DATA_END, line.end())  # type: ignore[union-attr]  # it also matches the empty string

    def _data_end(self) -> int | None:
        text, at = self._text, self._at
        while (at := text.find("\\.", at)) >= 0:
            first = at == self._at or text[at - 1] == "\n"
            last = text.startswith(("\n", "\r\n"), at + 2) or (self._ended and text[at + 2 :] in ("", "\r"))
            if first and last:
                return at
            at += 2
        return None

    def _refuse_cut_off(self, copy: Item) -> NoReturn:
        raise ScriptError(
            "unterminated COPY data: the file may be truncated",
            Location(self._path, copy.line, copy.column, copy.text.partition("\n")[0]),
            hint=r"end the COPY data with a line that contains only \.",
        )

    def _refuse_open(self) -> None:
        if self._open is not None:
            self._refuse(self._open[0], f"unterminated {self._open[1]}", "terminate it")

    def _refuse(self, at: int, message: str, hint: str) -> NoReturn:
        line, column = after(self._text[self._at : at], self._line, self._column)
        start = self._text.rfind("\n", 0, at) + 1
        text = self._text[start : self._text.find("\n", at) % (len(self._text) + 1)]
        raise ScriptError(message, Location(self._path, line, column, text), hint)
