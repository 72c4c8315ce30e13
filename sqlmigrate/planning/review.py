"""A plan, written out for the people who decide on it: every statement, its locks, what is lost, a digest over all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any

from sqlmigrate.files import source
from sqlmigrate.model import Action, Location, Problem, Step
from sqlmigrate.planning.plan_file import PLAN_AGAIN, VERSION, asked_as_data, checksum_of, digest_of
from sqlmigrate.sql.scanner import statements
from sqlmigrate.sql.script import cuts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.lint import Finding
    from sqlmigrate.locks import TableLock
    from sqlmigrate.model import Plan, PlanRequest
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.sql.scanner import Item
    from sqlmigrate.sql.script import Piece, Segment

# Of a COPY's rows, so many bytes are shown; of more it is said how many they are.
_FEW_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ReviewedStatement:
    """A statement as it will be sent, and its line in the file.

    `locks` are those that its text tells of, on tables that others use; `unseen` those on tables that the plan makes
    itself, which block nobody. `hidden` is why there may be more, `lost` what nothing brings back. `findings` are the
    linter's.
    """

    sql: str
    line: int
    locks: tuple[TableLock, ...] = ()
    unseen: tuple[TableLock, ...] = ()
    hidden: str = ""
    lost: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewedTransaction:
    """Statements that commit together: `begin` opens the transaction, and is empty where the statement runs outside."""

    begin: str
    statements: tuple[ReviewedStatement, ...]


@dataclass(frozen=True, slots=True)
class ReviewedStep:
    """A step, written out as far as it is not done already.

    `checksum` is that of the file it runs; `findings` are those behind its last statement.
    """

    step: Step
    checksum: str
    units: tuple[ReviewedTransaction, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def irreversible(self) -> tuple[str, ...]:
        """Why it can't be undone: each reason once."""
        no_way_back = self.step.action is Action.APPLY and self.step.migration.version and not self.step.migration.down
        lost = [one.lost for unit in self.units for one in unit.statements if one.lost]
        return tuple(dict.fromkeys(["there is no down file", *lost] if no_way_back else lost))


@dataclass(frozen=True, slots=True)
class Review:
    """What would run against one database.

    `asked` are the options that the plan was made with; `essence` is what it depends on: see `plan_file`. `digest` is
    over everything that `document` holds. `findings` are no part of it: another version of the linter has others.
    """

    plan: Plan
    asked: PlanRequest
    essence: dict[str, Any]
    steps: tuple[ReviewedStep, ...]
    hooks: tuple[ReviewedStep, ...]
    digest: str = ""
    findings: tuple[Finding, ...] = ()


def review(plan: Plan, asked: PlanRequest, facts: dict[str, Any], found: Sequence[Finding] = ()) -> Review:
    """The plan, written out. `facts` is its `essence`, `found` what the linter says of its files.

    Raises:
        ScriptError: a file can't be read.
        ConfigurationError: the parser is not installed.
    """
    new: set[str] = set()
    said = _Said(found)
    steps = tuple(_reviewed(step, new, said) for step in plan.steps)
    hooks = tuple(_reviewed(hook, new, said) for hook in _around(plan))
    made = Review(plan, asked, facts, steps, hooks, findings=tuple(said.taken))
    return replace(made, digest=digest_of(document(made)))


def misleading(file: PlanFile, plan: Plan) -> list[Problem]:
    """What is wrong with a plan file that shows other SQL than the files hold, whoever gave it its digest.

    Raises:
        ScriptError: a file can't be read.
    """
    held = [[step.migration.id, step.action.value, _held(step)] for step in (*plan.steps, *_around(plan))]
    if file.shown == held:
        return []
    what = "the plan shows other SQL than the files hold: somebody edited it, or another version of sqlmigrate wrote it"
    return [Problem("plan-misleads", what, Location(file.path), PLAN_AGAIN)]


def _held(step: Step) -> list[Any]:
    """The SQL of a step as `shown_in` has it."""
    script, opened = source.open_script(step.path, cuts_of(step))
    return [
        [_begin(segment), [[item.line, sql] for piece in segment.pieces for item, sql in _shown(opened, piece)]]
        for segment in script.segments
    ]


def _around(plan: Plan) -> list[Step]:
    """The hooks that are no steps."""
    each = (plan.hooks.before_each, plan.hooks.after_each, plan.hooks.after_error)
    return [Step(hook, Action.HOOK) for hook in each if hook]


def document(made: Review) -> dict[str, Any]:
    """The plan file's content, as plain data, without the digest."""
    return {
        "version": VERSION,
        "asked": asked_as_data(made.asked),
        "plan": made.essence,
        "steps": [_step(one) for one in made.steps],
        "hooks": [_step(one) for one in made.hooks],
        "problems": [_problem(one) for one in made.plan.problems],
    }


class _Said:
    """The findings, handed out file by file and statement by statement, in the order of their places."""

    def __init__(self, found: Sequence[Finding]) -> None:
        self._left = list(found)
        self._of_file: list[Finding] = []
        self.taken: list[Finding] = []

    def open(self, path: str, done: tuple[int, int]) -> None:
        """From now on those of a file, as far as they stand behind what is done."""
        own = [one for one in self._left if one.location.path == path and _place(one) >= done]
        self._of_file = sorted(own, key=_place)

    def before(self, end: tuple[float, float] = (inf, inf)) -> tuple[Finding, ...]:
        """Those that stand before a place, and have not been handed out."""
        number = sum(_place(one) < end for one in self._of_file)
        found, self._of_file = self._of_file[:number], self._of_file[number:]
        self.taken += found
        return tuple(found)


def _place(one: Finding) -> tuple[int, int]:
    return one.location.line or 1, one.location.column or 1


def _reviewed(step: Step, new: set[str], said: _Said) -> ReviewedStep:
    """`new` are the relations that the plan has made so far; it grows."""
    cuts = cuts_of(step)
    script, opened = source.open_script(step.path, cuts)
    pieces = [piece for segment in script.segments for piece in segment.pieces] if cuts.skip else []
    said.open(step.path, (pieces[0].line, pieces[0].column) if pieces else (1, 1))
    units = tuple(_unit(opened, segment, new, said) for segment in script.segments)
    return ReviewedStep(step, checksum_of(step), units, said.before())


def _unit(opened: source.Source, segment: Segment, new: set[str], said: _Said) -> ReviewedTransaction:
    shown = (one for piece in segment.pieces for one in _statements(opened, piece, new, said))
    return ReviewedTransaction(_begin(segment), tuple(shown))


def _begin(segment: Segment) -> str:
    return (segment.begin or "begin") if segment.transactional else ""


def _statements(opened: source.Source, piece: Piece, new: set[str], said: _Said) -> Iterator[ReviewedStatement]:
    from sqlmigrate.locks import cannot_be_undone, created_by, hidden_in, locks_of

    for item, sql in _shown(opened, piece):
        locks = locks_of(item.text)
        yield ReviewedStatement(
            sql,
            item.line,
            tuple(lock for lock in locks if _bare(lock.relation) not in new),
            tuple(lock for lock in locks if _bare(lock.relation) in new),
            hidden_in(item.text),
            cannot_be_undone(item.text),
            said.before(item.end),
        )
        new.update(map(_bare, created_by(item.text)))


def _shown(opened: source.Source, piece: Piece) -> Iterator[tuple[Item, str]]:
    """The statements of a piece and how each is shown, the last with its rows."""
    items = statements(opened.text(piece), piece.line, piece.column)
    for item in items:
        yield item, item.text + (_rows(opened, piece) if item is items[-1] else "")


def _bare(relation: str) -> str:
    """Most files name the schema that is searched anyway in some places only."""
    return relation.removeprefix("public.")


def preview(step: Step, history_table: str) -> str:
    """The SQL of a step, as it would be sent, with the place of our own record marked."""
    script, opened = source.open_script(step.path)
    lines = [f"-- {step.migration.id} {step.migration.name} ({step.path})"]
    for segment in script.segments:
        texts = [_closed(opened, piece) for piece in segment.pieces]
        record = f"-- here its row is written to {history_table}"
        begin = f"{segment.begin or 'begin'};"
        lines += [begin, *texts, record, "commit;"] if segment.transactional else [*texts, record]
    return "\n".join(lines) + "\n"


def _closed(opened: source.Source, piece: Piece) -> str:
    text = opened.text(piece)
    closed = text if text.endswith(";") else f"{text}\n;"
    return closed + _rows(opened, piece)


def _rows(opened: source.Source, piece: Piece) -> str:
    """The rows of a piece as the file has them; of many rows only how many bytes they are."""
    if piece.rows is None:
        return ""
    start, end = piece.rows
    if end - start > _FEW_BYTES:
        return f"\n-- here go {end - start} bytes of rows"
    return f"\n{b''.join(opened.blocks(start, end)).decode()}\\."


def _step(one: ReviewedStep) -> dict[str, Any]:
    migration = one.step.migration
    return {
        "version": migration.id,
        "name": migration.name,
        "action": one.step.action.value,
        "path": one.step.path,
        "checksum": one.checksum,
        "irreversible": list(one.irreversible),
        "transactions": [
            {"begin": unit.begin, "statements": [_statement(each) for each in unit.statements]} for unit in one.units
        ],
    }


def _statement(one: ReviewedStatement) -> dict[str, Any]:
    return {
        "line": one.line,
        "sql": one.sql,
        "locks": [_lock(lock, new=False) for lock in one.locks] + [_lock(lock, new=True) for lock in one.unseen],
        "hidden": one.hidden,
        "lost": one.lost,
    }


def _lock(lock: TableLock, *, new: bool) -> dict[str, Any]:
    return {
        "relation": lock.relation,
        "mode": lock.mode.value,
        "blocks_reads": lock.mode.blocks_reads and not new,
        "blocks_writes": lock.mode.blocks_writes and not new,
        "made_by_the_plan": new,
        "work": lock.work,
    }


def _problem(one: Problem) -> dict[str, Any]:
    place = str(one.location) if one.location else ""
    return {"code": one.code, "level": one.level.value, "message": one.message, "hint": one.hint, "location": place}
