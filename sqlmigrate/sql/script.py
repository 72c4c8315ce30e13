"""Groups the items of a file into a script: its segments, its directives and its problems. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError, ScriptError
from sqlmigrate.model import Location, Problem, ProblemLevel
from sqlmigrate.sql.classify import REFUSED, Sort, sort_of
from sqlmigrate.sql.directive import DIRECTIVE, DRAFT, FINISH, LATE, MOVE, assignments, value_of
from sqlmigrate.sql.foreign import way_back
from sqlmigrate.sql.item import Item, Kind
from sqlmigrate.sql.plain import is_plain, is_plain_drop
from sqlmigrate.sql.psql import UNCONNECTED, ClientState, Swap, command_at, unsupported
from sqlmigrate.sql.scanner import scan
from sqlmigrate.sql.segments import MOST_MARKED, PIECE_SIZE, STATEMENT_SIZE, Cuts, Piece, Script, Segment
from sqlmigrate.sql.session_objects import (
    SessionNeeds,
    calls_function,
    hides_session_change,
    may_change_session,
    session_objects,
)
from sqlmigrate.sql.strings import sets_other_encoding
from sqlmigrate.sql.tokens import copies_from_stdin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.sql.session_objects import SessionObject

_COMMENT = re.compile(r"^[ \t]*--[ \t]*(?!sqlmigrate:)(\w.*?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)


def parse(
    path: str, chunks: Iterable[str], cuts: Cuts | None = None, offset: int = 0, client: ClientState = UNCONNECTED
) -> Script:
    """Parses a script. Never raises an error for the content of the script: see `Script.problems`.

    Args:
        path: The path for locations; no file is opened.
        chunks: The text, in chunks of any size.
        cuts: How much of the script is done, and the segments that the server requires.
        offset: The number of bytes before the first character: the BOM.
        client: The start of the session that will run the script.
    """
    reader = _Reader(path, cuts or Cuts(), offset, client.server_encoding)
    try:
        for item in scan(path, chunks, client):
            reader.take(item)
    except ScriptError as error:
        reader.problems.append(Problem("unreadable", error.message, error.location, error.hint))
    return reader.script()


class _Digest:
    """The SHA-256 of statements and their COPY data, with LF line endings."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, text: str) -> None:
        self._hash.update((text.replace("\r\n", "\n") if "\r" in text else text).encode())

    def now(self) -> str:
        return self._hash.copy().hexdigest()


@dataclass(slots=True)
class _Draft:
    """A segment under construction; a `full` segment accepts COPY data but no further statement."""

    first: int
    begin: str = ""
    block: bool = False
    full: bool = False
    transactional: bool = True
    statements: int = 0
    patient: bool = True
    pieces: list[Piece] = field(default_factory=list)


class _Reader:
    """Groups items into pieces, and pieces into segments."""

    def __init__(self, path: str, cuts: Cuts, offset: int, server_encoding: str) -> None:
        self.problems: list[Problem] = []
        self._server_encoding = server_encoding
        self._sent = self._piece_sent = 0  # characters to send, in all and before the current piece
        self._path = path
        self._cuts = cuts
        self._at = offset
        self._number = 0
        self._head = ""
        self._directives: dict[str, int] = {}
        self._draft = _Draft(0)
        self._block_at: Location | None = None
        self._quit: tuple[str, str] | None = None  # where psql stops reading, and where to write COMMIT
        self._piece: Piece | None = None
        self._piece_end = self._piece_statements = 0  # grow with each statement
        self._swaps: list[Swap] = []  # of the current piece
        self._starts: list[int] = []  # of its statements
        self._names_itself = False
        self._text = hashlib.sha256()
        self._rows = hashlib.sha256()
        self._space = ""
        self._segments: list[Segment] = []
        self._session: list[str] = []
        self._objects: list[SessionObject] = []
        self._needs = SessionNeeds()
        self._sets_session = False
        self._hides_session = False
        self._may_change_session = False
        self._is_plain = True
        self._only_drops = True
        self._may_change_strings = False  # since the server was last asked
        self._steering: list[str] = []
        self._digest = _Digest()
        self._skipped = self._digest.now()
        self._foreign: Location | None = None
        self._ascii = True

    def take(self, item: Item) -> None:
        source = item.source if item.swaps else item.text
        size = len(source) if source.isascii() else len(source.encode())
        self._ascii = self._ascii and size == len(source)
        start, self._at = self._at, self._at + size
        self._sent += len(item.text)
        if "--" in source and (problem := way_back(self._path, item)):
            self.problems.append(problem)
        match item.kind:
            case Kind.STATEMENT:
                self._take_statement(item, start)
            case Kind.SPACE:
                self._take_space(item)
            case Kind.COMMAND:
                self._take_command(item)
            case Kind.REST:
                pass
            case Kind.DATA:
                self._digest.add(item.text)
                self._rows.update(item.text.encode())
                self._take_rows(start)
            case _:  # the end of the data
                self._take_rows(start, end=start)
                self._end_piece()
                if self._number <= self._cuts.skip:
                    self._skipped = self._digest.now()

    def script(self) -> Script:
        holds_statements = self._draft.statements > 0
        self._end_segment()
        if self._block_at is not None and holds_statements:
            end, commit = self._quit or ("the end of the file", "add COMMIT")
            message = f"the transaction block is still open at {end}, where psql would roll it back"
            self._refuse("open-block", message, self._block_at, commit)
        if self._foreign is not None and not self._ascii:
            message = "the file is UTF-8, but sets client_encoding to another encoding"
            self._refuse("encoding", message, self._foreign, "remove the setting")
        if not self._number and not self.problems:
            self.problems.append(_empty(self._path))
        comment = _COMMENT.search(self._head)
        return Script(
            self._path,
            comment[1] if comment else "",
            self._directives,
            self._number,
            tuple(self._segments),
            tuple(self._session),
            tuple(self._objects),
            tuple(self._needs.carried),
            self._skipped,
            self._sets_session,
            self._hides_session,
            self._may_change_session,
            self._is_plain,
            self._only_drops,
            tuple(self._steering),
            tuple(self.problems),
            self._names_itself,
        )

    def _take_space(self, item: Item) -> None:
        self._add_swaps(item)
        self._space += item.source
        if self._number == 0:
            self._head += item.text
        for match in DIRECTIVE.finditer(item.text):
            if match[1].lower().partition("=")[0].strip() == "ignore":  # a directive of the linter, allowed anywhere
                continue
            line = item.line + item.text.count("\n", 0, match.start())
            self._take_directives(match[1], Location(self._path, line, 1, match[0].strip()))

    def _take_directives(self, text: str, place: Location) -> None:
        if self._number:
            self._refuse("directive", LATE, place, MOVE)
            return
        for key, value in assignments(text):
            try:
                self._directives[key] = value_of(key, value)
                if key == "draft" and self._directives[key]:
                    self._refuse("draft", DRAFT, place, FINISH)
            except ConfigurationError as error:
                self._refuse("directive", error.message, place, error.hint)

    def _take_command(self, item: Item) -> None:
        self._end_piece()
        command = command_at(item.text, 0)
        name = f"\\{command.name}"
        if command.quits:
            self._quit = f"{name} in line {item.line}", f"write COMMIT before {name}"
        if item.hint is None:
            self._steering.append(f"{self._path}:{item.line}: {item.text.strip()}")
            return
        self._refuse("psql-command", unsupported(item.text), _place(self._path, item), item.hint)

    def _take_statement(self, item: Item, start: int) -> None:
        sort, reason = sort_of(item.text)
        is_leading = not self._number and self._block_at is None
        if reason == "rollback" and is_leading and "chain" not in item.text.lower():
            self._end_piece()  # the server only warns about a ROLLBACK outside a transaction block
        elif sort is Sort.REFUSED:
            self._refuse("refused", REFUSED[reason][0], _place(self._path, item), REFUSED[reason][1])
        elif sort is Sort.BEGIN:
            self._begin(item)
        elif sort is Sort.COMMIT:
            self._commit()
        else:
            self._add(item, start, sort)

    def _begin(self, item: Item) -> None:
        if self._block_at is None:  # the server only warns about a BEGIN inside a transaction block
            self._end_segment()
            self._draft = _Draft(self._number, item.text.rstrip("; \t\r\n"), block=True)
            self._block_at = _place(self._path, item)
        self._end_piece()

    def _commit(self) -> None:
        # The server only warns about a COMMIT outside a transaction block.
        self._end_segment()
        self._block_at = None

    def _add(self, item: Item, start: int, sort: Sort) -> None:
        number = self._number
        self._note_encoding(item)
        alone = sort is Sort.ALONE or number in self._cuts.alone
        single = (alone or self._directives.get("transaction") == 0) and not self._draft.block
        if single or self._draft.full or (number in self._cuts.before and not self._draft.block):
            self._end_segment()
        self._number += 1
        if self._at - start > STATEMENT_SIZE:
            message = "the statement is longer than 1 GB, which PostgreSQL does not accept"
            self._refuse("too-long", message, _place(self._path, item), "split it, or load the rows with COPY")
        self._digest.add(item.source)
        objects = list(session_objects(item.text))
        hides = hides_session_change(item.text)
        self._sets_session = self._sets_session or sort is Sort.SESSION or bool(objects) or hides
        self._may_change_session = self._may_change_session or may_change_session(item.text, objects)
        self._only_drops = self._only_drops and is_plain_drop(item.text)
        self._is_plain = self._is_plain and (self._only_drops or is_plain(item.text))
        if number < self._cuts.skip:
            self._objects += objects
            self._hides_session = self._hides_session or (hides and sort is not Sort.SESSION)
            self._skip(item, sort)
            return
        self._needs.add(item.text, objects, len(self._segments))
        self._draft.patient = self._draft.patient and sort is Sort.PATIENT
        self._grow(item, start)
        self._draft.full = single
        self._draft.transactional = not (single and alone)

    def _skip(self, item: Item, sort: Sort) -> None:
        if sort is Sort.SESSION:
            self._session.append(item.text.rstrip("; \t\r\n"))
        self._draft.first = self._number
        self._skipped = self._digest.now()

    def _note_encoding(self, item: Item) -> None:
        if sets_other_encoding(item.text, self._server_encoding):
            self._foreign = _place(self._path, item)

    def _grow(self, item: Item, start: int) -> None:
        """Adds a statement, with the white space and comments before it, to the current piece."""
        pieces = self._draft.pieces
        asks = self._may_change_strings and "\\" in item.text and "'" in item.text
        if asks or calls_function(item.text):
            self._may_change_strings = not asks
        asks = asks and (self._piece is not None or bool(pieces))
        if asks or (self._piece or (pieces[-1] if pieces else None) or item).escapes != item.escapes:
            self._end_piece()
            pieces[-1] = replace(pieces[-1], ends_message=True)
        if self._piece is None:
            self._piece = Piece(start, self._at, item.line, item.column, 1, escapes=item.escapes)
            self._piece_sent = self._sent - len(item.text)
            self._text, self._rows = hashlib.sha256(item.source.encode()), hashlib.sha256()
            self._piece_statements = 1
        else:
            self._piece_statements += 1
            self._text.update((self._space + item.source).encode())
        self._space = ""
        self._piece_end = self._at
        self._draft.statements += 1
        self._add_swaps(item)
        if self._number <= MOST_MARKED:
            self._starts.append(self._sent - len(item.text) - self._piece_sent)
            self._names_itself = self._names_itself or "application_name" in item.text[:PIECE_SIZE].lower()
        if self._piece_end - self._piece.start >= PIECE_SIZE and not copies_from_stdin(item.text):
            self._end_piece()

    def _add_swaps(self, item: Item) -> None:
        if item.swaps and self._piece is not None:
            before = self._sent - len(item.text) - self._piece_sent
            self._swaps += (swap._replace(at=before + swap.at) for swap in item.swaps)

    def _take_rows(self, start: int, end: int | None = None) -> None:
        if self._piece is not None:
            first = self._piece.rows[0] if self._piece.rows else start
            self._piece = replace(self._piece, rows=(first, self._at if end is None else end))

    def _end_piece(self) -> None:
        if self._piece is not None:
            text, rows = self._text.digest(), self._rows.digest()
            swaps, self._swaps = tuple(self._swaps), []
            starts, self._starts = tuple(self._starts), []
            ended = replace(
                self._piece,
                end=self._piece_end,
                statements=self._piece_statements,
                swaps=swaps,
                digest=text,
                rows_digest=rows,
                starts=starts,
            )
            self._draft.pieces.append(ended)
            self._piece = None

    def _end_segment(self) -> None:
        self._end_piece()
        draft, self._draft = self._draft, _Draft(self._number)
        if draft.statements:
            kind = (draft.transactional, draft.begin, draft.patient)
            segment = Segment(draft.first, draft.statements, *kind, tuple(draft.pieces), self._digest.now())
            self._segments.append(segment)

    def _refuse(self, code: str, message: str, place: Location, hint: str) -> None:
        self.problems.append(Problem(code, message, place, hint))


def _place(path: str, item: Item) -> Location:
    return Location(path, item.line, item.column, item.text.partition("\n")[0])


def _empty(path: str) -> Problem:
    message, hint = "the file contains no statement", "write its statements, or remove the file"
    return Problem("empty", message, Location(path), hint, ProblemLevel.WARNING)
