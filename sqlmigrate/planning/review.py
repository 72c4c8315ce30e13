"""A plan written out for its reviewers: every statement, its locks, what it loses for good, and a digest of it all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

from sqlmigrate.files import source
from sqlmigrate.model import Action, Location, Problem, Step
from sqlmigrate.planning import variables
from sqlmigrate.planning.plan_file import (
    PLAN_AGAIN,
    VERSION,
    ShownStep,
    ShownTransaction,
    checksum_of,
    digest_of,
    request_as_json,
)
from sqlmigrate.server.session import client_state
from sqlmigrate.sql.psql import UNCONNECTED
from sqlmigrate.sql.scanner import statements
from sqlmigrate.sql.segments import cuts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.lint import Finding
    from sqlmigrate.locks import TableLock
    from sqlmigrate.model import Plan, PlanRequest
    from sqlmigrate.planning.plan_file import Origin, PlanFile, PlanInputs
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.sql.item import Item
    from sqlmigrate.sql.psql import ClientState
    from sqlmigrate.sql.segments import Piece, Segment

# COPY data of more bytes is replaced by its size.
_COPY_DATA_SHOWN = 64 * 1024


@dataclass(frozen=True, slots=True)
class ReviewedStatement:
    """A statement as it will be sent, and its line in the file.

    Attributes:
        sql: the text of the statement, with its COPY data.
        line: the line in the file.
        locks: the table locks that the statement's text shows, on tables that exist already.
        new_table_locks: the locks on tables that the plan itself creates; they block nobody.
        hidden: why the statement may take more locks.
        lost: what the statement destroys for good.
        findings: the linter's.
    """

    sql: str
    line: int
    locks: tuple[TableLock, ...] = ()
    new_table_locks: tuple[TableLock, ...] = ()
    hidden: str = ""
    lost: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewedTransaction:
    """Statements that commit together. `begin` starts the transaction; it is empty if the statement runs outside."""

    begin: str
    statements: tuple[ReviewedStatement, ...]


@dataclass(frozen=True, slots=True)
class ReviewedStep:
    """A step with every statement that has not been run yet.

    `checksum` is that of the file that it runs; `findings` are those behind its last statement.
    """

    step: Step
    checksum: str
    transactions: tuple[ReviewedTransaction, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def irreversible(self) -> tuple[str, ...]:
        """Why the step cannot be undone: each reason once."""
        migration = self.step.migration
        no_way_back = self.step.action is Action.APPLY and migration.version and not migration.down
        lost = [
            statement.lost
            for transaction in self.transactions
            for statement in transaction.statements
            if statement.lost
        ]
        return tuple(dict.fromkeys(["there is no down file", *lost] if no_way_back else lost))


@dataclass(frozen=True, slots=True)
class Review:
    """A plan for one database, written out.

    `digest` covers everything that `document` returns. It does not cover `findings`, since another version of the
    linter may have other findings, and `origin`, so that the same plan always has the same digest.
    """

    plan: Plan
    request: PlanRequest
    inputs: PlanInputs
    steps: tuple[ReviewedStep, ...]
    hooks: tuple[ReviewedStep, ...]
    digest: str = ""
    findings: tuple[Finding, ...] = ()
    origin: Origin | None = None


def review(
    plan: Plan,
    request: PlanRequest,
    inputs: PlanInputs,
    findings: Sequence[Finding] = (),
    client: ClientState = UNCONNECTED,
    origin: Origin | None = None,
) -> Review:
    """Writes out a plan for a session that starts as `client`; `findings` are those of the files that it runs.

    Raises:
        ScriptError: a file cannot be read.
        ConfigurationError: the parser is not installed.
    """
    new_tables: set[str] = set()
    queue = _FindingQueue(findings)
    steps = tuple(_reviewed(step, client, new_tables, queue) for step in plan.steps)
    hooks = tuple(_reviewed(hook, client, new_tables, queue) for hook in _hook_steps(plan))
    reviewed = Review(plan, request, inputs, steps, hooks, findings=tuple(queue.taken), origin=origin)
    return replace(reviewed, digest=digest_of(document(reviewed)))


def differences(
    file: PlanFile, plan: Plan, connection: Connection, may_differ: frozenset[str] = frozenset()
) -> list[Problem]:
    """Returns a problem if a plan file shows other SQL than the files contain, even if its digest is right.

    The psql variables that `may_differ` can have other values in the session that made the plan.

    Raises:
        ScriptError: a file cannot be read.
    """
    client = client_state(connection)

    def render(client: ClientState) -> list[ShownStep]:
        return [_shown_step(step, client) for step in (*plan.steps, *_hook_steps(plan))]

    if file.shown == render(client):
        return []
    if values := variables.planned_values(file.shown, render, client):
        return variables.problems(file, {name: values[name] for name in values.keys() - may_differ}, client)
    message = (
        "the plan shows other SQL than the files contain: it was edited, or written by another version of sqlmigrate"
    )
    return [Problem("plan-misleads", message, Location(file.path), PLAN_AGAIN)]


def _shown_step(step: Step, client: ClientState) -> ShownStep:
    script, opened = source.open_script(step.path, cuts_of(step), client)
    transactions = [
        ShownTransaction(
            _begin(segment),
            [(item.line, sql) for piece in segment.pieces for item, sql in _shown_statements(opened, piece)],
        )
        for segment in script.segments
    ]
    return ShownStep(step.migration.id, step.action.value, transactions)


def _hook_steps(plan: Plan) -> list[Step]:
    return [Step(hook, Action.HOOK) for hook in plan.hooks.around]


def document(reviewed: Review) -> dict[str, object]:
    """Returns the content of the plan file, as plain data, without the digest."""
    return {
        "version": VERSION,
        "asked": request_as_json(reviewed.request),
        "plan": reviewed.inputs,
        "steps": [_step(step) for step in reviewed.steps],
        "hooks": [_step(hook) for hook in reviewed.hooks],
        "problems": [_problem(problem) for problem in reviewed.plan.problems],
    }


class _FindingQueue:
    """The findings, dealt out file by file and statement by statement, in the order of their locations."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._findings = list(findings)
        self._of_file: list[Finding] = []
        self.taken: list[Finding] = []

    def open(self, path: str, start: tuple[int, int]) -> None:
        """Continues with the findings of a file, from a line and column on."""
        of_file = (finding for finding in self._findings if finding.location.path == path)
        self._of_file = sorted((finding for finding in of_file if _position(finding) >= start), key=_position)

    def take_before(self, end: tuple[float, float] = (inf, inf)) -> tuple[Finding, ...]:
        """Removes and returns the findings before a line and column."""
        number = sum(_position(finding) < end for finding in self._of_file)
        taken, self._of_file = self._of_file[:number], self._of_file[number:]
        self.taken += taken
        return tuple(taken)


def _position(finding: Finding) -> tuple[int, int]:
    return finding.location.line or 1, finding.location.column or 1


def _reviewed(step: Step, client: ClientState, new_tables: set[str], queue: _FindingQueue) -> ReviewedStep:
    """Adds to `new_tables` the tables that the step creates."""
    cuts = cuts_of(step)
    script, opened = source.open_script(step.path, cuts, client)
    pieces = [piece for segment in script.segments for piece in segment.pieces] if cuts.skip else []
    queue.open(step.path, (pieces[0].line, pieces[0].column) if pieces else (1, 1))
    transactions = tuple(_transaction(opened, segment, new_tables, queue) for segment in script.segments)
    return ReviewedStep(step, checksum_of(step), transactions, queue.take_before())


def _transaction(
    opened: source.Source, segment: Segment, new_tables: set[str], queue: _FindingQueue
) -> ReviewedTransaction:
    reviewed = (statement for piece in segment.pieces for statement in _statements(opened, piece, new_tables, queue))
    return ReviewedTransaction(_begin(segment), tuple(reviewed))


def _begin(segment: Segment) -> str:
    return (segment.begin or "begin") if segment.transactional else ""


def _statements(
    opened: source.Source, piece: Piece, new_tables: set[str], queue: _FindingQueue
) -> Iterator[ReviewedStatement]:
    from sqlmigrate.locks import cannot_be_undone, created_by, hidden_in, locks_of

    for item, sql in _shown_statements(opened, piece):
        locks = locks_of(item.text)
        yield ReviewedStatement(
            sql,
            item.line,
            tuple(lock for lock in locks if _without_public(lock.relation) not in new_tables),
            tuple(lock for lock in locks if _without_public(lock.relation) in new_tables),
            hidden_in(item.text),
            cannot_be_undone(item.text),
            queue.take_before(item.end),
        )
        new_tables.update(map(_without_public, created_by(item.text)))


def _shown_statements(opened: source.Source, piece: Piece) -> Iterator[tuple[Item, str]]:
    """Yields each statement of a piece and its SQL as shown, with the COPY data behind the last statement."""
    items = statements(opened.text(piece), piece.line, piece.column, escapes=piece.escapes)
    for item in items:
        yield item, item.text + (_copy_data(opened, piece) if item is items[-1] else "")


def _without_public(relation: str) -> str:
    """Most files qualify names with the default schema only here and there."""
    return relation.removeprefix("public.")


def preview(step: Step, history_table: str) -> str:
    """Returns the SQL that is left of a step, with psql variables as written; comments mark where it is recorded."""
    cuts = cuts_of(step)
    script, opened = source.open_script(step.path, cuts)
    lines = [f"-- {step.migration.id} {step.migration.name} ({step.path})"]
    if cuts.skip:
        lines.append(f"-- ({cuts.skip} of {script.statements} statements are committed; the run continues after them)")
    for segment in script.segments:
        texts = [_with_semicolon(opened, replace(piece, swaps=())) for piece in segment.pieces]
        recorded = "rollback" if step.action is Action.ROLL_BACK else "migration"
        record = f"-- (sqlmigrate records the {recorded} in {history_table} here)"
        begin = f"{segment.begin or 'begin'};"
        lines += [begin, *texts, record, "commit;"] if segment.transactional else [*texts, record]
    return "\n".join(lines) + "\n"


def _with_semicolon(opened: source.Source, piece: Piece) -> str:
    text = opened.text(piece)
    return (text if text.endswith(";") else f"{text}\n;") + _copy_data(opened, piece)


def _copy_data(opened: source.Source, piece: Piece) -> str:
    """Returns the COPY data of a piece as the file contains it, or a comment with its size."""
    if piece.rows is None:
        return ""
    start, end = piece.rows
    if end - start > _COPY_DATA_SHOWN:
        return f"\n-- here go {end - start} bytes of rows"  # part of the plan file's format: the digest covers it
    return f"\n{b''.join(opened.rows(piece)).decode()}\\."


def _step(reviewed: ReviewedStep) -> dict[str, object]:
    step = reviewed.step
    return {
        "version": step.migration.id,
        "name": step.migration.name,
        "action": step.action.value,
        "path": step.path,
        "checksum": reviewed.checksum,
        "irreversible": list(reviewed.irreversible),
        "transactions": [
            {
                "begin": transaction.begin,
                "statements": [_statement(statement) for statement in transaction.statements],
            }
            for transaction in reviewed.transactions
        ],
    }


def _statement(statement: ReviewedStatement) -> dict[str, object]:
    return {
        "line": statement.line,
        "sql": statement.sql,
        "locks": [
            *(_lock(lock, is_new=False) for lock in statement.locks),
            *(_lock(lock, is_new=True) for lock in statement.new_table_locks),
        ],
        "hidden": statement.hidden,
        "lost": statement.lost,
    }


def _lock(lock: TableLock, *, is_new: bool) -> dict[str, object]:
    return {
        "relation": lock.relation,
        "mode": lock.mode.value,
        "blocks_reads": lock.mode.blocks_reads and not is_new,
        "blocks_writes": lock.mode.blocks_writes and not is_new,
        "made_by_the_plan": is_new,
        "work": lock.work,
    }


def _problem(problem: Problem) -> dict[str, str]:
    return {
        "code": problem.code,
        "level": problem.level.value,
        "message": problem.message,
        "hint": problem.hint,
        "location": str(problem.location) if problem.location else "",
    }
