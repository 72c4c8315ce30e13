"""Items -> script: which statements commit together, what is left out, what is refused. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlmigrate.duration import milliseconds
from sqlmigrate.errors import ConfigurationError, ScriptError
from sqlmigrate.model import Location, Problem
from sqlmigrate.sql.classify import REFUSED, Sort, sort_of
from sqlmigrate.sql.scanner import Item, Kind, copies_from_stdin, scan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.model import Step

# A piece is one message's worth of a long script: large enough that its round trip does not count.
PIECE_SIZE = 256 * 1024

_STEERING = re.compile(
    r"\\(?:restrict|unrestrict|echo|qecho|warn|timing|pset|x|set\s+(?:ON_ERROR_STOP|QUIET|VERBOSITY|ECHO)\b"
    r"|encoding\s+'?(?i:utf-?8)'?\s*$)(?!\S)"
)
_DIRECTIVE = re.compile(r"^[ \t]*--[ \t]*sqlmigrate:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_COMMENT = re.compile(r"^[ \t]*--[ \t]*(?!sqlmigrate:)(\w.*?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)
DIRECTIVES = ("transaction", "lock-timeout", "lock-retries", "statement-timeout")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the file, in bytes, and the place where it begins.

    `rows`, also in bytes, are those for the `COPY … FROM stdin` that is its last statement. `ends_message` is set
    where what follows must be sent later: the server reads a message by the settings it has when the message comes.
    """

    start: int
    end: int
    line: int
    column: int
    statements: int
    rows: tuple[int, int] | None = None
    ends_message: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """Statements that commit together, numbered from 0 within the script.

    `begin` is the author's own BEGIN with its options, or empty. One that is not `transactional` is one statement.
    `patient` means that its locks block nobody while it waits for them, so that it may wait without a limit.
    `done_checksum` is that of the text of every statement up to this segment's end.
    """

    first: int
    statements: int
    transactional: bool
    begin: str
    patient: bool
    pieces: tuple[Piece, ...]
    done_checksum: str

    @property
    def end(self) -> int:
        """The number of the statement behind the last."""
        return self.first + self.statements

    @property
    def size(self) -> int:
        """Bytes of the file that it sends."""
        return sum((piece.rows[1] if piece.rows else piece.end) - piece.start for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the scanner's own idea of segments is overruled.

    `skip` statements are done already; `alone` are those that the server would not run in a transaction;
    `before` those that want what precedes them committed; `everywhere` is the directive `transaction=off`.
    """

    skip: int = 0
    alone: frozenset[int] = frozenset()
    before: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Script:
    """A file as read: what it says of itself, its segments, and what stands in its way.

    `directives` hold milliseconds, a number of retries, and 1 or 0 for on and off. `session` are the settings among the
    statements skipped, which the rest of the script counts on; `sets_session` is true where any statement is one.
    `skipped_checksum` is that of the text of the statements skipped. `steering` are psql commands passed over.
    """

    path: str
    description: str
    directives: dict[str, int]
    statements: int
    segments: tuple[Segment, ...]
    session: tuple[str, ...]
    skipped_checksum: str
    sets_session: bool
    steering: tuple[str, ...]
    problems: tuple[Problem, ...]


def parse(path: str, chunks: Iterable[str], cuts: Cuts | None = None, offset: int = 0) -> Script:
    """Reads a script. Never raises for what the script says: every refusal is one of `problems`.

    Args:
        path: for locations only; nothing is opened.
        chunks: the text, in stretches of any size.
        cuts: how far it is done, and what the server said of it.
        offset: bytes before the first character (a BOM).
    """
    reader = _Reader(path, cuts or Cuts(), offset)
    try:
        for item in scan(path, chunks):
            reader.take(item)
    except ScriptError as error:
        reader.problems.append(Problem("unreadable", error.message, error.location, error.hint))
    return reader.script()


def only_steers(command: str) -> bool:
    """Whether a psql command is one to pass over; any other is refused."""
    return _STEERING.match(command) is not None and "\\\\" not in command


def cuts_of(step: Step) -> Cuts:
    """Where a script that is done in part goes on."""
    return Cuts(step.row.statements_done) if step.row is not None and is_unfinished(step) else Cuts()


def is_unfinished(step: Step) -> bool:
    """Whether the history says that an earlier run did a part of the step."""
    return step.row is not None and not step.row.success and step.row.action == step.action.value


class _Digest:
    """SHA-256 of the text of statements and their rows, however the lines end."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, text: str) -> None:
        self._hash.update((text.replace("\r\n", "\n") if "\r" in text else text).encode())

    def now(self) -> str:
        return self._hash.copy().hexdigest()


@dataclass(slots=True)
class _Draft:
    """A segment that is being gathered; one that is `full` takes no further statement, only rows."""

    first: int
    begin: str = ""
    block: bool = False
    full: bool = False
    transactional: bool = True
    statements: int = 0
    patient: bool = True
    pieces: list[Piece] = field(default_factory=list)


class _Reader:
    """Gathers items into pieces and pieces into segments."""

    def __init__(self, path: str, cuts: Cuts, offset: int) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._cuts = cuts
        self._at = offset
        self._number = 0
        self._head = ""
        self._directives: dict[str, int] = {}
        self._draft = _Draft(0)
        self._block_at: Location | None = None
        self._piece: Piece | None = None
        self._segments: list[Segment] = []
        self._session: list[str] = []
        self._sets_session = False
        self._steering: list[str] = []
        self._digest = _Digest()
        self._skipped = self._digest.now()
        self._foreign: Location | None = None
        self._ascii = True

    def take(self, item: Item) -> None:
        size = len(item.text) if item.text.isascii() else len(item.text.encode())
        self._ascii = self._ascii and size == len(item.text)
        start, self._at = self._at, self._at + size
        match item.kind:
            case Kind.STATEMENT:
                self._take_statement(item, start)
            case Kind.SPACE:
                self._take_space(item)
            case Kind.COMMAND:
                self._take_command(item)
            case Kind.DATA:
                self._digest.add(item.text)
                self._take_rows(start)
            case _:  # the end of the data
                self._take_rows(start, end=start)
                self._end_piece()
                if self._number <= self._cuts.skip:
                    self._skipped = self._digest.now()

    def script(self) -> Script:
        self._end_segment()
        if self._block_at is not None:
            self._refuse(
                "open-block", "a transaction block is open at the end of the file", self._block_at, "add COMMIT"
            )
        if self._foreign is not None and not self._ascii:
            self._refuse(
                "encoding", "the file is UTF-8 but says that it is not", self._foreign, "leave the setting out"
            )
        comment = _COMMENT.search(self._head)
        return Script(
            self._path,
            comment[1] if comment else "",
            self._directives,
            self._number,
            tuple(self._segments),
            tuple(self._session),
            self._skipped,
            self._sets_session,
            tuple(self._steering),
            tuple(self.problems),
        )

    def _take_space(self, item: Item) -> None:
        if self._number == 0:
            self._head += item.text
        for match in _DIRECTIVE.finditer(item.text):
            if match[1].lower().partition("=")[0].strip() == "ignore":  # the linter's, and allowed anywhere
                continue
            line = item.line + item.text.count("\n", 0, match.start())
            self._take_directives(match[1], Location(self._path, line, 1, match[0].strip()))

    def _take_directives(self, text: str, place: Location) -> None:
        if self._number:
            self._refuse("directive", "a directive below the first statement", place, "move it to the head of the file")
            return
        for key, value in _settings(text):
            try:
                self._directives[key] = _directive(key, value)
            except ConfigurationError as error:
                self._refuse("directive", error.message, place, error.hint)

    def _take_command(self, item: Item) -> None:
        self._end_piece()
        if only_steers(item.text):
            self._steering.append(f"{self._path}:{item.line}: {item.text.strip()}")
            return
        name = item.text.split()[0]
        self._refuse("psql-command", f"{name} is a command of psql's own", _place(self._path, item), _instead(name))

    def _take_statement(self, item: Item, start: int) -> None:
        sort, reason = sort_of(item.text)
        if sort is Sort.REFUSED:
            self._refuse("refused", REFUSED[reason][0], _place(self._path, item), REFUSED[reason][1])
        elif sort is Sort.BEGIN:
            self._begin(item)
        elif sort is Sort.COMMIT:
            self._commit(item)
        else:
            self._add(item, start, sort)

    def _begin(self, item: Item) -> None:
        if self._block_at is None:  # psql warns of a BEGIN within a block and goes on
            self._end_segment()
            self._draft = _Draft(self._number, item.text.rstrip("; \t\r\n"), block=True)
            self._block_at = _place(self._path, item)
        self._end_piece()

    def _commit(self, item: Item) -> None:
        if self._block_at is None:
            place = _place(self._path, item)
            self._refuse(
                "stray-commit", "COMMIT without its BEGIN", place, "leave it out, or add BEGIN before its statements"
            )
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
        self._digest.add(item.text)
        self._sets_session = self._sets_session or sort is Sort.SESSION
        if number < self._cuts.skip:
            self._skip(item, sort)
            return
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
        sets = item.text[:3].lower() == "set" and "client_encoding" in item.text.lower()
        if sets and not re.search(r"utf-?8|unicode|sql_ascii", item.text, re.IGNORECASE):
            self._foreign = _place(self._path, item)

    def _grow(self, item: Item, start: int) -> None:
        """Adds the statement to the piece, whatever white space and comments lie between."""
        if self._piece is None:
            self._piece = Piece(start, self._at, item.line, item.column, 1)
        else:
            self._piece = replace(self._piece, end=self._at, statements=self._piece.statements + 1)
        self._draft.statements += 1
        setting = item.text[:3].lower() == "set" and "standard_conforming_strings" in item.text.lower()
        if setting:
            self._piece = replace(self._piece, ends_message=True)
        large = self._piece.end - self._piece.start >= PIECE_SIZE
        if setting or (large and not copies_from_stdin(item.text)):
            self._end_piece()

    def _take_rows(self, start: int, end: int | None = None) -> None:
        if self._piece is not None:
            first = self._piece.rows[0] if self._piece.rows else start
            self._piece = replace(self._piece, rows=(first, self._at if end is None else end))

    def _end_piece(self) -> None:
        if self._piece is not None:
            self._draft.pieces.append(self._piece)
            self._piece = None

    def _end_segment(self) -> None:
        self._end_piece()
        draft, self._draft = self._draft, _Draft(self._number)
        if draft.statements:
            self._segments.append(
                Segment(
                    draft.first,
                    draft.statements,
                    draft.transactional,
                    draft.begin,
                    draft.patient,
                    tuple(draft.pieces),
                    self._digest.now(),
                )
            )

    def _refuse(self, code: str, message: str, place: Location, hint: str) -> None:
        self.problems.append(Problem(code, message, place, hint))


def _directive(key: str, value: str) -> int:
    """A directive's value: milliseconds, a number, or 1 and 0 for on and off."""
    if key not in DIRECTIVES:
        raise ConfigurationError(f"no such directive: {key}", hint=f"known are {', '.join(DIRECTIVES)}")
    if key == "lock-retries" and value.isdecimal() and len(value) < 10:
        return int(value)
    if key != "transaction":
        return milliseconds(value)
    if value not in ("on", "off"):
        raise ConfigurationError(f"transaction={value} means nothing", hint="write transaction=off")
    return int(value == "on")


def _settings(line: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in line.split())
    return [(key.strip().lower(), value.strip().lower()) for key, _, value in pairs]


def _place(path: str, item: Item) -> Location:
    return Location(path, item.line, item.column, item.text.partition("\n")[0])


def _instead(command: str) -> str:
    """What to write instead of a psql command."""
    known = {
        "\\i": "put the included SQL into this file, or into a migration of its own",
        "\\ir": "put the included SQL into this file, or into a migration of its own",
        "\\c": "a migration runs on one database; migrate the other with its own run",
        "\\connect": "a migration runs on one database; migrate the other with its own run",
        "\\copy": "use COPY … FROM stdin with the rows behind it, ended by \\.",
        "\\gexec": "use a DO block with EXECUTE",
        "\\g": "end the statement with a semicolon",
        "\\set": "write the value where it is used",
        "\\encoding": "save the file as UTF-8",
    }
    return known.get(command, "write plain SQL")
