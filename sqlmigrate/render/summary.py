"""What all formats of a review show: the effects of the plan, and excerpts of its SQL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlmigrate.model import Action
from sqlmigrate.render import levels
from sqlmigrate.render.escape import visible
from sqlmigrate.render.phrases import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.locks import Mode
    from sqlmigrate.model import PlanRequest, Step
    from sqlmigrate.planning.review import Review, ReviewedStatement, ReviewedStep, ReviewedTransaction

# An excerpt has at most this many characters per line, on average.
_WIDTH = 200


@dataclass(frozen=True, slots=True)
class BlockedTable:
    """A table on which the plan blocks others: the strongest lock, and the lines of the statements that block."""

    relation: str
    mode: Mode
    lines: dict[Step, list[int]]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A statement and the first lines of its SQL; `more` states how much is omitted."""

    statement: ReviewedStatement
    sql: str
    more: str


@dataclass(frozen=True, slots=True)
class TransactionExcerpt:
    """Excerpts of the statements of a transaction; `more` states how many statements are omitted."""

    begin: str
    excerpts: tuple[Excerpt, ...]
    more: str


def excerpts(step: ReviewedStep, lines: int, lines_of_step: int) -> Iterator[TransactionExcerpt]:
    """Yields excerpts of the transactions of a step.

    Args:
        step: the step.
        lines: how many lines of each statement to show.
        lines_of_step: how many lines of the step to show; after them, only statements that block others, lose data, may
            take further locks, or have findings are shown.
    """
    left = lines_of_step
    for transaction in step.transactions:
        kept = []
        for statement in transaction.statements:
            if left > 0 or _is_remarkable(statement):
                kept.append(excerpt(statement, min(lines, max(left, 3))))
                left -= kept[-1].sql.count("\n") + 1
        yield TransactionExcerpt(transaction.begin, tuple(kept), _omitted(transaction, len(kept)))


def _omitted(transaction: ReviewedTransaction, kept: int) -> str:
    omitted = range(len(transaction.statements) - kept)
    return f"… {count(omitted, 'more statement')}, without blocking locks or data loss" if omitted else ""


def excerpt(statement: ReviewedStatement, lines: int) -> Excerpt:
    """Returns the first lines of a statement."""
    sql = visible(statement.sql)
    kept = "\n".join(sql.split("\n", lines)[:lines])[: lines * _WIDTH]
    rest = sql[len(kept) :].removeprefix("\n")
    omitted = count(rest.split("\n"), "more line") if "\n" in rest or kept.count("\n") + 1 == lines else ""
    return Excerpt(statement, kept, f"… {omitted or count(rest, 'more character')}" if rest else "")


def all_steps(made: Review) -> tuple[ReviewedStep, ...]:
    """Returns the steps, and the hooks that run around each migration or after an error."""
    return (*made.steps, *made.hooks)


def irreversible(made: Review) -> list[ReviewedStep]:
    """Returns the steps that cannot be undone."""
    return [step for step in all_steps(made) if step.irreversible]


def statements(step: ReviewedStep) -> list[ReviewedStatement]:
    """Returns the statements of all transactions of a step."""
    return [statement for transaction in step.transactions for statement in transaction.statements]


def undone(step: ReviewedStep) -> str:
    """Returns whether a step can be undone: `yes`, `no`, or `–` for a repeatable migration or a hook."""
    if step.irreversible:
        return "no"
    return "yes" if step.step.migration.version else "–"


def strongest(step: ReviewedStep) -> Mode | None:
    """Returns the strongest lock mode of a step."""
    return max((lock.mode for statement in statements(step) for lock in statement.locks), default=None)


def blocked(made: Review) -> list[BlockedTable]:
    """Returns the tables on which the plan blocks others, the strongest lock first."""
    tables: dict[str, BlockedTable] = {}
    for step in all_steps(made):
        for statement in statements(step):
            for lock in statement.locks:
                if lock.mode.blocks_writes:
                    table = tables.get(lock.relation, BlockedTable(lock.relation, lock.mode, {}))
                    table.lines.setdefault(step.step, []).append(statement.line)
                    tables[lock.relation] = replace(table, mode=max(table.mode, lock.mode))
    return sorted(tables.values(), key=lambda table: (-table.mode.number, table.relation))


def sentence(made: Review) -> str:
    """Returns the effects of the plan in one line."""
    if not made.steps:
        return f"nothing can run: {count(made.plan.errors, 'problem')}" if made.plan.errors else "nothing to do"
    every_statement = [statement for step in all_steps(made) for statement in statements(step)]
    hooks = range(len(all_steps(made)) - len(made.plan.migrations))
    size = [count(made.plan.migrations, "migration"), *([count(hooks, "hook")] if hooks else [])]
    effects = [", ".join([*size, count(every_statement, "statement")]), _blocks(blocked(made))]
    final = irreversible(made)
    effects += [f"{count(final, 'step')} cannot be undone"] if final else []
    hidden = [statement for statement in every_statement if statement.hidden]
    effects += [f"{count(hidden, 'statement')} may take further locks"] if hidden else []
    effects += [f"lint: {levels.totals(made.findings)}"] if made.findings else []
    return "; ".join(effects)


def _blocks(tables: list[BlockedTable]) -> str:
    reads = [table for table in tables if table.mode.blocks_reads]
    if not tables:
        return "blocks neither reads nor writes"
    writes = f"writes of {count(tables, 'table')}"
    return f"blocks reads of {count(reads, 'table')}, {writes}" if reads else f"blocks {writes}"


def title(request: PlanRequest) -> str:
    """Returns the kind of the plan and its target: `migration to v1.0.0-002`."""
    if request.action is Action.ROLL_BACK:
        return (
            f"rollback to {request.version}"
            if request.version
            else f"rollback of {count(range(request.steps or 0), 'step')}"
        )
    to = f" to {request.version}" if request.version else ""
    return f"migration{to}{', out of order' if request.out_of_order else ''}"


def _is_remarkable(statement: ReviewedStatement) -> bool:
    return bool(
        statement.lost
        or statement.hidden
        or statement.findings
        or any(lock.mode.blocks_writes for lock in statement.locks)
    )
