"""What a script consists of: pieces, segments, and the changes of their boundaries. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlmigrate.model import ProblemLevel

if TYPE_CHECKING:
    from sqlmigrate.model import Problem, Step
    from sqlmigrate.sql.psql import Swap
    from sqlmigrate.sql.session_objects import SessionObject

# Long scripts are sent in pieces of this size, in bytes, for which the time of a round trip is negligible.
PIECE_SIZE = 256 * 1024
# The longest statement, in bytes. PostgreSQL closes a connection that sends a message of 1 GiB (MaxAllocSize).
STATEMENT_SIZE = 1_000_000_000
# In a script of more statements, a mark before each of them would take noticeable time.
MOST_MARKED = 1000


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of the file, by byte offsets, and the line and column of its start.

    `rows` are the byte offsets of the COPY data, if its last statement is `COPY … FROM stdin`. `ends_message` means
    that the next piece needs another message: the server parses a message with the settings at its arrival. `digest`
    and `rows_digest` are the SHA-256 of the bytes in the two ranges.
    With `escapes`, the server has to parse this piece with standard_conforming_strings = off. `swaps` are the
    differences between the text that is sent and the file. `starts` are the offsets of the first statements in it.
    """

    start: int
    end: int
    line: int
    column: int
    statements: int
    rows: tuple[int, int] | None = None
    ends_message: bool = False
    escapes: bool = False
    swaps: tuple[Swap, ...] = ()
    digest: bytes = field(default=b"", compare=False, repr=False)
    rows_digest: bytes = field(default=b"", compare=False, repr=False)
    starts: tuple[int, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Segment:
    """Statements that commit together, numbered from 0 within the script.

    `begin` is the script's own BEGIN with its options, or empty. One that is not `transactional` has one statement.
    `patient` means that it blocks no other session while it waits for its locks, so it needs no lock_timeout.
    `done_checksum` is the checksum of the text of every statement up to the end of the segment.
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
        """The number of the statement after the last one."""
        return self.first + self.statements

    @property
    def size(self) -> int:
        """The size of its text and its COPY data in bytes."""
        return sum((piece.rows[1] if piece.rows else piece.end) - piece.start for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Cuts:
    """Changes to the segments that the keywords of the statements imply.

    `skip` is the number of statements that are already done; `alone` are the numbers of statements that the server did
    not run inside a transaction block; `before` are those that need a COMMIT before them.
    """

    skip: int = 0
    alone: frozenset[int] = frozenset()
    before: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Script:
    """A parsed file: its directives, its segments and its problems.

    The values of `directives` are milliseconds, a number of retries, or 1 and 0 for on and off. `session` contains the
    SET statements among the skipped statements, on which the rest of the script may depend, `objects` the temporary
    objects that they created; `hides_session` is true if one may have changed the session otherwise. `carried` are the
    objects that a segment needs from the session of an earlier segment, among the others. `sets_session` is
    true if the text of any statement shows a change of the session, `may_change_session` if any may change it;
    `is_plain` if no statement can change it, unless an event trigger runs code; `only_drops` if each drops something,
    in a time that does not depend on the rows.
    `skipped_checksum` is the checksum of the skipped statements. `steering` lists the ignored psql meta-commands.
    `names_itself` is true if a statement may set application_name.
    """

    path: str
    description: str
    directives: dict[str, int]
    statements: int
    segments: tuple[Segment, ...]
    session: tuple[str, ...]
    objects: tuple[SessionObject, ...]
    carried: tuple[SessionObject, ...]
    skipped_checksum: str
    sets_session: bool
    hides_session: bool
    may_change_session: bool
    is_plain: bool
    only_drops: bool
    steering: tuple[str, ...]
    problems: tuple[Problem, ...]
    names_itself: bool = False

    @property
    def is_counted(self) -> bool:
        """Whether application_name shows which statement runs."""
        return 1 < self.statements <= MOST_MARKED and not self.names_itself

    @property
    def errors(self) -> list[Problem]:
        """The problems that prevent the script from running."""
        return [problem for problem in self.problems if problem.level is ProblemLevel.ERROR]


def cuts_of(step: Step) -> Cuts:
    """Returns the cuts with which a partly applied script continues."""
    return Cuts(step.row.statements_done) if step.row is not None and is_unfinished(step) else Cuts()


def is_unfinished(step: Step) -> bool:
    """Whether the history shows that an earlier run did a part of the step."""
    return step.row is not None and not step.row.success and step.row.action == step.action.value
