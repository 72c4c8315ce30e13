"""Splits text into statements, psql meta-commands and COPY data. Pure.

The rules are those of psql's lexer (src/fe_utils/psqlscan.l), which agree with the server's on everything that decides
where a statement ends. The joined items of a text are the text.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from sqlmigrate.errors import ScriptError
from sqlmigrate.model import Location
from sqlmigrate.sql.item import Item, Kind
from sqlmigrate.sql.place import after
from sqlmigrate.sql.psql import (
    UNCONNECTED,
    ClientState,
    Swap,
    assigned,
    command_at,
    is_only_text,
    source_text,
    value_of,
    variable_at,
)
from sqlmigrate.sql.strings import Strings
from sqlmigrate.sql.tokens import ESCAPED, LETTER, LETTER_OR_DIGIT, WHITE, WORD, copies_from_stdin, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_SPACE = re.compile(rf"(?:{WHITE}+|--[^\n\r]*)*")
_LINE = re.compile(r"[^\n]*\n?")
_REST_OF_LINE = re.compile(r"[ \t\r\f\v]*(?:--[^\n]*)?\n")
_DOLLAR = re.compile(rf"\$(?:{LETTER}{LETTER_OR_DIGIT}*)?\$")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BLANK = rf"(?:{WHITE}+|--[^\n\r]*[\n\r]|/\*.*?\*/)+"
_ROUTINE = re.compile(
    rf"create{_BLANK}(?:or{_BLANK}replace{_BLANK})?(?:function|procedure)\b", re.IGNORECASE | re.DOTALL
)
_ATOMIC = re.compile(rf"{_BLANK}atomic\b", re.IGNORECASE | re.DOTALL)
_ESCAPE_PREFIX = re.compile("[eE]'")
_ENDS_STATEMENT = -1
# A reference to a psql variable in text between strings, which may end before the quote of :'name'.
_REFERENCE = re.compile(rf"(?<!:)(?:::)*:(?:{LETTER_OR_DIGIT}|\{{|\Z)")
_HIDING = ('"', "$", "\\", "--", "/*")
_NAME = re.compile(WORD)
# All characters but letters and any of :;()'"$\/-
_PLAIN = r"[\x00-\x20!#%&*+,.0-9<-@\[\]^`{-\x7f]"


@cache
def _quiet(*, words: bool, escapes: bool, colons: bool) -> re.Pattern[str]:
    """Returns a pattern for text that neither ends a statement nor starts a token that can contain a semicolon.

    The number of repetitions is bounded because each one costs the regular expression engine memory.
    """
    plain = rf"{_PLAIN}+|/(?!\*)|-(?!-)|--[^\n\r]*|\"[^\"]*\"|\$\d+"
    plain += "|:" if colons else rf"|::|:=|:(?!{LETTER_OR_DIGIT}|['\"{{:])"
    strings = rf"[eE]?{ESCAPED}" if escapes else rf"'[^']*'|[eE]{ESCAPED}"
    word = rf"|(?![eE]'){WORD}" if words else ""
    return re.compile(rf"(?:{plain}|{strings}{word}){{0,500}}", re.DOTALL)


def statements(text: str, line: int = 1, column: int = 1, *, escapes: bool = False) -> list[Item]:
    """Returns the statements of a text to send that starts at a line and column, and does not contain COPY data."""
    items: list[Item] = []
    with suppress(ScriptError):  # the COPY data is missing
        for item in scan("", [text], ClientState(escapes, {}), substitute=False):
            if item.kind is Kind.STATEMENT:
                on_first = column - 1 if item.line == 1 else 0
                items.append(item._replace(line=item.line + line - 1, column=item.column + on_first))
    return items


def scan(
    path: str, chunks: Iterable[str], client: ClientState = UNCONNECTED, *, substitute: bool = True
) -> Iterator[Item]:
    """Yields the items of a script that is read in chunks of any size; memory is bounded by the longest item.

    Args:
        path: The path for locations.
        chunks: The text.
        client: The start of the session.
        substitute: Whether the text is that of a file, in which psql replaces variables, or a text to send.

    Raises:
        ScriptError: A quoted string, a comment or COPY data is unterminated, or a psql variable is not set. The
            location is the start of the string, comment, COPY or variable.
    """
    return _Scanner(path, chunks, client, substitute=substitute).items()


class _Scanner:
    def __init__(self, path: str, chunks: Iterable[str], client: ClientState, *, substitute: bool) -> None:
        self._path = path
        self._chunks = iter(chunks)
        self._ended = False
        self._text = ""
        self._at = 0
        self._line = 1
        self._column = 1
        self._strings = Strings(client.escapes)
        self._observed = {(line, column): escapes for line, column, escapes in client.observed}
        self._substitute = substitute
        self._variables = dict(client.variables)
        self._swaps: list[Swap] = []  # of the statement that starts at _at
        self._is_unterminated = False  # the statement before _at has no semicolon
        self._has_quit = False
        self._open: tuple[int, str] | None = None

    def items(self) -> Iterator[Item]:
        while self._at < len(self._text) or self._more():
            if self._has_quit:
                yield self._take(Kind.REST, len(self._text))
            else:
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
        if (self._line, self._column) in self._observed:
            self._strings.observe(self._observed[self._line, self._column])
        statement = self._statement()
        if statement.swaps and next(tokens(statement.text), ";") == ";":  # the values are empty
            yield statement._replace(kind=Kind.SPACE)
            return
        yield statement
        self._is_unterminated = not statement.text.endswith(";")
        self._strings.run(statement.text)
        if self._strings.uncertain:
            message = "cannot tell to which value this statement sets standard_conforming_strings"
            hint = "set it with SET standard_conforming_strings = on or off"
            raise ScriptError(message, Location(self._path, statement.line, statement.column), hint)
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
        item = Item(kind, text, self._line, self._column, tuple(self._swaps), self._strings.escapes)
        self._at, self._swaps = end, []
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
        command = command_at(self._text, self._at, self._variables)
        self._variables = assigned(command, self._variables)
        self._has_quit = command.quits
        hint = None if command.sends and self._is_unterminated else command.hint
        self._is_unterminated = False
        return self._take(Kind.COMMAND, command.end)._replace(hint=hint)

    def _statement(self) -> Item:
        while (end := self._statement_end()) is None:
            had_ended = self._ended
            if not self._more() and had_ended:
                self._refuse_open()
                end = len(self._text)
                break
        return self._take(Kind.STATEMENT, end)

    def _statement_end(self) -> int | None:  # noqa: C901, PLR0912  # a branch for each relevant character, as in psqlscan.l
        if end := self._plain_end():
            return end
        text, at = self._text, self._at
        routine = _ROUTINE.match(text, at) is not None
        quiet = _quiet(words=not routine, escapes=self._strings.escapes, colons=not self._substitute)
        depth = bodies = 0
        self._open = None
        while True:
            at = quiet.match(text, at).end()  # type: ignore[union-attr]  # it also matches the empty string
            if at >= len(text):
                return None
            character = text[at]
            if character in ";\\":
                self._refuse_in_value(at)
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
            elif character in "\\:":
                resume = self._after_command(at) if character == "\\" else self._after_variable(at)
                if resume is None or resume == _ENDS_STATEMENT:
                    return None if resume is None else at
                at, text = resume, self._text
            elif routine and (word := _NAME.match(text, at)) and not _ESCAPE_PREFIX.match(text, at):
                bodies = self._bodies(word, bodies) if depth == 0 else bodies
                at = word.end()
            else:
                self._open = (at, "quoted identifier" if character == '"' else "quoted string")
                return None

    def _after_command(self, at: int) -> int | None:
        """Replaces a meta-command in a statement by white space; returns where to go on, or `_ENDS_STATEMENT`.

        None means that the text ends before the command does.
        """
        if "\n" not in self._text[at:] and not self._ended:
            return None
        command = command_at(self._text, at, self._variables)
        if command.hint is not None or command.quits:
            return _ENDS_STATEMENT
        self._variables = assigned(command, self._variables)
        self._swap(at, command.end, "\n" if self._text[command.end - 1] == "\n" else " ")
        return at

    def _after_variable(self, at: int) -> int | None:
        """Replaces a reference to a variable; returns where to go on, or None if the text ends before it does."""
        reference = variable_at(self._text, at)
        if reference is None:
            return at + 1
        if reference.end() == len(self._text) and not self._ended:
            return None
        value = value_of(reference, self._variables)
        if value is not None:
            self._refuse_in_value(at)
            self._swap(at, reference.end(), value)
            return at
        if is_only_text(reference, tokens(self._text[self._at : at])):
            return reference.end()
        hint = "write the value, or set the variable with \\set before"
        return self._refuse(at, f"psql variable {reference[0]} is not set", hint)

    def _swap(self, at: int, end: int, sent: str) -> None:
        self._swaps.append(Swap(at - self._at, self._text[at:end], sent))
        self._text = self._text[:at] + sent + self._text[end:]

    def _refuse_in_value(self, at: int) -> None:
        for swap in self._swaps[-1:]:  # the scanner has gone past the others
            if swap.at <= at - self._at < swap.at + len(swap.sent):
                message = f"the value of psql variable {swap.source} contains a semicolon, a backslash or a variable"
                self._refuse(at, message, "write the value where it is used")

    def _has_value(self, start: int, end: int) -> bool:
        """Whether a part of the text between two offsets was substituted."""
        starts = ((self._at + swap.at, len(swap.sent)) for swap in self._swaps)
        return any(start < at + length and at < end for at, length in starts)

    def _plain_end(self) -> int:
        """Returns the end of a statement in which only strings can contain a semicolon, or 0: most INSERTs."""
        end = self._text.find(";", self._at) + 1
        statement = self._text[self._at : end]
        if self._swaps or statement[:6].lower() == "create" or any(sign in statement for sign in _HIDING):
            return 0
        if ":" in statement and any(_REFERENCE.search(part) for part in statement.split("'")[::2] if ":" in part):
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
        if tag is None or self._has_value(start, tag.end()):  # psql reads the tag before the variable in it
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
        line, column = after(source_text(self._text[self._at : at], self._swaps), self._line, self._column)
        start = self._text.rfind("\n", 0, at) + 1
        text = self._text[start : self._text.find("\n", at) % (len(self._text) + 1)]
        raise ScriptError(message, Location(self._path, line, column, text), hint)
