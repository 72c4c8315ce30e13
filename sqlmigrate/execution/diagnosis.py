"""Decides what the failure of a statement means: try again, run the script in other segments, or give up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from sqlmigrate.errors import RecordFailed
from sqlmigrate.files import source
from sqlmigrate.history.records import HISTORY_LOST, RECORD_LOST
from sqlmigrate.history.tables import SUFFIXES
from sqlmigrate.model import Action, Location
from sqlmigrate.sql.scanner import statements
from sqlmigrate.sql.segments import Cuts
from sqlmigrate.sql.sqlstate import (
    CONTAINED,
    DUPLICATE,
    EXHAUSTED,
    GONE,
    NOT_IN_A_TRANSACTION,
    NOT_NULL,
    NOT_PERMITTED,
    SYNTAX,
    TOO_MANY_LOCKS,
    UNENCODABLE,
    needs_commit,
)
from sqlmigrate.sql.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.errors import StatementFailed
    from sqlmigrate.execution.message import Message
    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.history.tables import TableName
    from sqlmigrate.model import Blocker, ServerReport

# The context of an error in COPY data, such as `COPY t, line 3, column a: "x"`, in each language of PostgreSQL.
_COPY_LINE = re.compile(r"(?:COPY .*?, [^\W\d]+ |.*?のCOPY、行 |.*? 복사, )(\d+)")
_BYTE = re.compile("0x([0-9a-f]{2})")
_ON_COMMIT_DROP = re.compile(r"\bon\s+commit\s+drop\b", re.IGNORECASE)
# The first words of the statements that can make the history tables unusable.
_HARMFUL = ("alter", "create", "delete", "drop", "reassign", "revoke", "truncate", "update")


@dataclass(frozen=True, slots=True)
class Failure:
    """A statement that failed. `error` has its location.

    `unit` is the index of the step in the batch, `statement` the number of the statement in the step's script, or -1 if
    it belongs to sqlmigrate or to a hook. `is_unplaced` means that the server rejected a message before it ran any of
    it, and did not report where: any step of the message may be the cause.
    """

    error: StatementFailed
    unit: int
    statement: int
    is_unplaced: bool = False


def failure_of(error: StatementFailed, message: Message, count: int, batch: Sequence[PreparedStep]) -> Failure:
    """Finds the statement that caused an error, from the number of results received before the error."""
    position, character = error.report.position, _unencodable(error.report)
    if character:
        error.hint = f"replace the character U+{ord(character):04X}: the encoding of the database cannot store it"
        position = position or message.text.find(character) + 1 or None
    is_unplaced = position is None and count == 0
    blame = message.blame(count, position)
    step = batch[blame.part.unit]
    row = row_copied(error.report)
    if blame.part.piece and blame.part.piece.rows and row:
        error.location = source.place_of_row(step.step.path, blame.part.piece, row, character)
    else:
        error.location = source.with_line_text(blame.place(step.step.path))
        if _is_cut_off(error.report, error.location):
            error.hint = "the file ends before the statement is complete"
    if blame.part.piece is None:
        return Failure(RecordFailed(error.report, error.location, error.hint), blame.part.unit, -1, is_unplaced)
    if blame.number is None or blame.part.hook:
        return Failure(error, blame.part.unit, -1, is_unplaced)
    earlier = takewhile(lambda piece: piece != blame.part.piece, step.segment.pieces)
    statement = step.segment.first + sum(piece.statements for piece in earlier) + blame.number
    return Failure(error, blame.part.unit, statement, is_unplaced)


def _is_cut_off(report: ServerReport, location: Location) -> bool:
    # The server names the semicolon that the message adds, which is not in the file.
    return (
        report.sqlstate == SYNTAX and location.column is not None and not location.text[location.column - 1 :].strip()
    )


def explain_record_failure(error: RecordFailed, step: PreparedStep, table: TableName) -> None:
    """Adds to an error which statement of the script probably made the history tables unusable, and what to do."""
    if HISTORY_LOST in error.message:
        error.message = "the script deleted or changed rows of the history tables"
        error.hint = "remove that statement; to correct the history, run it with psql while no migration runs"
    elif RECORD_LOST in error.message:
        error.message = "the script prevents sqlmigrate from writing to the history tables"
        error.hint = "remove the trigger or the rule on them"
    elif error.report.sqlstate in GONE:
        error.hint = "the script dropped or altered a history table; --history-table can put it into another schema"
    elif error.report.sqlstate == DUPLICATE:
        error.hint = f"run ALTER TABLE {table}_log ALTER COLUMN id RESTART WITH the next id, as the owner of the table"
        return
    elif error.report.sqlstate == EXHAUSTED:
        error.hint = (
            f"the identity column of {table}_log has reached its maximum: as the owner of the table, run"
            f" ALTER TABLE {table}_log ALTER COLUMN id SET MAXVALUE {2**63 - 1} SET INCREMENT BY 1"
            " (and RESTART WITH a free id, if it is at that maximum)"
        )
        return
    elif error.report.sqlstate == NOT_NULL:
        error.hint = (
            f"column id of {table}_log is no identity column any more: as the owner of the table, run"
            f" ALTER TABLE {table}_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY"
        )
    elif error.report.sqlstate != NOT_PERMITTED:  # whose hint depends on the privileges after the rollback
        return
    error.location = _harmful_statement(step, table) or error.location


def _harmful_statement(step: PreparedStep, table: TableName) -> Location | None:
    names = {f"{table.name}{suffix}" for suffix in SUFFIXES} | {table.schema}
    for piece in step.segment.pieces if step.next < len(step.script.segments) else ():
        for item in statements(step.source.text(piece), piece.line, piece.column, escapes=piece.escapes):
            words = [word.strip('"') if word.startswith('"') else word.lower() for word in tokens(item.text)]
            if words[0] in _HARMFUL and not names.isdisjoint(words):
                return source.with_line_text(Location(step.step.path, item.line, item.column))
    return None


def row_copied(report: ServerReport) -> int:
    """Returns the number of the line of COPY data that caused an error, or 0; the context has it in any language."""
    contexts = (match for line in report.context.splitlines() if (match := _COPY_LINE.match(line)))
    return max((int(match[1]) for match in contexts), default=0)


def _unencodable(report: ServerReport) -> str:
    """Returns the character that the database's encoding lacks. The server reports it in bytes, in any language."""
    if report.sqlstate not in UNENCODABLE:
        return ""
    return bytes.fromhex("".join(_BYTE.findall(report.message))).decode("utf-8", "replace")[:1]


def blocked_by(blockers: Sequence[Blocker]) -> list[str]:
    """Returns the hints that name each blocker; for a session, also how to end it."""
    return [hint for blocker in blockers for hint in (f"blocked by {blocker}", _end(blocker)) if hint]


def _end(blocker: Blocker) -> str:
    query = f"SELECT pg_terminate_backend({blocker.pid})"
    return f"to end it and roll back its transaction, run {query}" if blocker.pid else ""  # its query ends the other


def advice(error: StatementFailed, step: PreparedStep, *, is_overdue: bool) -> str:
    """Returns the hint for a timeout, a missing privilege, an object that exists, or an error that psql avoids; or "".

    `is_overdue` tells the statement timeout from a cancel request, which has the same SQLSTATE.
    """
    match error.report.sqlstate:
        case "42501" if not isinstance(error, RecordFailed):
            return "the role needs this privilege: docs/security.md describes the role that migrates"
        case "55P03":
            return (
                "wait until the other session ends, or increase --lock-timeout or --lock-retries,"
                " or write `-- sqlmigrate: lock-timeout=…` at the head of the file"
            )
        case "57014" if is_overdue:
            return "increase --statement-timeout, or write `-- sqlmigrate: statement-timeout=…` at the head of the file"
        case "42P07" if any(_ON_COMMIT_DROP.search(step.source.text(piece)) for piece in step.segment.pieces):
            return (
                "psql commits after each statement, which drops ON COMMIT DROP tables;"
                " for the same, write `-- sqlmigrate: transaction=off` at the head of the file"
            )
        case state if state in CONTAINED and _begins(step):
            return (
                "if the database already contains everything that this file creates,"
                f" run `sqlmigrate baseline --version {step.step.migration.id}`"
            )
    return ""


def _begins(step: PreparedStep) -> bool:
    """Whether a version is applied of which nothing is committed yet."""
    return step.step.action is Action.APPLY and bool(step.step.migration.version) and step.segment.first == 0


def new_cuts(step: PreparedStep, failure: Failure) -> Cuts | None:
    """Returns the segment boundaries that avoid the failure; None if no other boundaries can avoid it."""
    report, number, segment, cuts = failure.error.report, failure.statement, step.segment, step.cuts
    if number < segment.first or segment.begin or not segment.transactional:
        return None
    if report.sqlstate in NOT_IN_A_TRANSACTION:
        return Cuts(segment.first, cuts.alone | {number}, cuts.before)
    if needs_commit(report) and number > segment.first:
        # With a COMMIT right before the statement that takes one lock too many, the record would lack its own locks.
        at = segment.first + (number - segment.first + 1) // 2 if report.sqlstate == TOO_MANY_LOCKS else number
        return Cuts(segment.first, cuts.alone, cuts.before | {at})
    return None
