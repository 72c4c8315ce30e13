"""What it means that the server refused a statement: try again, run the script in other parts, or give up."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from sqlmigrate.files import source
from sqlmigrate.sql.script import Cuts
from sqlmigrate.sql.sqlstate import GONE, NOT_IN_A_TRANSACTION, wants_a_commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.errors import StatementFailed
    from sqlmigrate.execution.message import Message
    from sqlmigrate.execution.prepared import Work
    from sqlmigrate.model import ServerReport

_HISTORY_GONE = "the script dropped the history table: keep it in a schema of its own, with --history-table"


@dataclass(frozen=True, slots=True)
class Failure:
    """A statement that failed: whose, and its number within the script, -1 where it is none of the script's.

    The error has its location already.
    """

    error: StatementFailed
    unit: int
    statement: int


def failure_of(error: StatementFailed, message: Message, count: int, batch: Sequence[Work]) -> Failure:
    """Whose an error is that came behind `count` results of a message."""
    blame = message.blame(count, error.report.position)
    work = batch[blame.part.unit]
    error.location = source.with_line_text(blame.place(work.step.path))
    if blame.part.piece is None or blame.number is None or blame.part.hook:
        error.hint = error.hint or (_HISTORY_GONE if error.report.sqlstate in GONE else "")
        return Failure(error, blame.part.unit, -1)
    earlier = takewhile(lambda piece: piece != blame.part.piece, work.segment.pieces)
    statement = work.segment.first + sum(piece.statements for piece in earlier) + blame.number
    return Failure(error, blame.part.unit, statement)


def advice(report: ServerReport) -> str:
    """What to do where it was time that ran out; empty for all else."""
    match report.sqlstate:
        case "55P03":
            return "wait until its holder ends, or give it more time: --lock-timeout, --lock-retries, or the directives"
        case "57014" if "timeout" in report.message:  # and not a person's word
            return "give it more time: --statement-timeout, or the directive at the head of the file"
    return ""


def new_cuts(work: Work, failure: Failure) -> Cuts | None:
    """Where the server wants the script cut; None where that was no reason, or would not help."""
    report, number, segment, cuts = failure.error.report, failure.statement, work.segment, work.cuts
    if number < segment.first or segment.begin or not segment.transactional:
        return None
    if report.sqlstate in NOT_IN_A_TRANSACTION:
        return Cuts(segment.first, cuts.alone | {number}, cuts.before)
    if wants_a_commit(report) and number > segment.first:
        return Cuts(segment.first, cuts.alone, cuts.before | {number})
    return None
