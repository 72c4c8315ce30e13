"""What the forms of a review have in common: what the plan comes to, and how much of its SQL is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.model import Action
from sqlmigrate.render.phrases import count
from sqlmigrate.render.unseen import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlmigrate.lint import Finding
    from sqlmigrate.locks import Mode
    from sqlmigrate.model import Step
    from sqlmigrate.planning.review import Review, ReviewedStatement, ReviewedStep, ReviewedTransaction

# A line of SQL of more characters counts as several.
_WIDTH = 200


@dataclass(frozen=True, slots=True)
class Blocked:
    """A table that others have to wait for: the strongest lock on it, and the lines of the statements that block."""

    relation: str
    mode: Mode
    places: dict[Step, list[int]]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A statement, and so much of its SQL as is shown; `more` says how much is left out."""

    statement: ReviewedStatement
    sql: str
    more: str


@dataclass(frozen=True, slots=True)
class Part:
    """What is shown of a unit; `more` says how many statements are left out."""

    begin: str
    excerpts: tuple[Excerpt, ...]
    more: str


def parts(one: ReviewedStep, lines: int, lines_of_step: int) -> Iterator[Part]:
    """So many lines of each statement, so many of a step; behind them only statements with something said of them."""
    left = lines_of_step
    for unit in one.transactions:
        kept = []
        for statement in unit.statements:
            if left > 0 or _is_remarkable(statement):
                kept.append(excerpt(statement, min(lines, max(left, 3))))
                left -= kept[-1].sql.count("\n") + 1
        yield Part(unit.begin, tuple(kept), _unsaid(unit, len(kept)))


def _unsaid(unit: ReviewedTransaction, kept: int) -> str:
    left_out = range(len(unit.statements) - kept)
    return f"… {count(left_out, 'more statement')} that block nobody and lose nothing" if left_out else ""


def excerpt(statement: ReviewedStatement, lines: int) -> Excerpt:
    """The first lines of a statement."""
    sql = visible(statement.sql)
    kept = "\n".join(sql.split("\n", lines)[:lines])[: lines * _WIDTH]
    rest = sql[len(kept) :].removeprefix("\n")
    what = count(rest.split("\n"), "more line") if "\n" in rest or kept.count("\n") + 1 == lines else ""
    return Excerpt(statement, kept, f"… {what or count(rest, 'more character')}" if rest else "")


def in_line(text: str) -> str:
    """A name with what is unseen in it written out, on one line."""
    return visible(text).replace("\n", "\\n")


def all_steps(made: Review) -> tuple[ReviewedStep, ...]:
    """The steps, and the hooks that run around each or after an error."""
    return (*made.steps, *made.hooks)


def irreversible(made: Review) -> list[ReviewedStep]:
    """The steps that can't be undone."""
    return [one for one in all_steps(made) if one.irreversible]


def statements(one: ReviewedStep) -> list[ReviewedStatement]:
    """Those of all its units."""
    return [statement for unit in one.transactions for statement in unit.statements]


def effect(mode: Mode) -> str:
    """What a lock keeps others from."""
    if mode.blocks_reads:
        return "blocks reads and writes"
    return "blocks writes" if mode.blocks_writes else "blocks neither reads nor writes"


def undone(one: ReviewedStep) -> str:
    """Whether a step can be undone; a repeatable migration and a hook have no way back to speak of."""
    if one.irreversible:
        return "no"
    return "yes" if one.step.migration.version else "–"


def strongest(one: ReviewedStep) -> Mode | None:
    """The strongest lock of a step."""
    return max((lock.mode for statement in statements(one) for lock in statement.locks), default=None)


def blocked(made: Review) -> list[Blocked]:
    """The tables that others have to wait for, the strongest lock first."""
    found: dict[str, Blocked] = {}
    for one in all_steps(made):
        for statement in statements(one):
            for lock in statement.locks:
                if lock.mode.blocks_writes:
                    so_far = found.get(lock.relation, Blocked(lock.relation, lock.mode, {}))
                    so_far.places.setdefault(one.step, []).append(statement.line)
                    found[lock.relation] = replace(so_far, mode=max(so_far.mode, lock.mode))
    return sorted(found.values(), key=lambda table: (-table.mode.number, table.relation))


def sentence(made: Review) -> str:
    """The plan in one line."""
    if not made.steps:
        return "nothing to do"
    every = [statement for one in all_steps(made) for statement in statements(one)]
    hooks = range(len(all_steps(made)) - len(made.plan.migrations))
    size = [count(made.plan.migrations, "migration"), *([count(hooks, "hook")] if hooks else [])]
    said = [", ".join([*size, count(every, "statement")]), _blocks(blocked(made))]
    for_good = irreversible(made)
    said += [f"{count(for_good, 'step')} can't be undone"] if for_good else []
    hidden = [statement for statement in every if statement.hidden]
    said += [f"{count(hidden, 'statement')} may lock more than can be told"] if hidden else []
    said += [f"the linter has {amounts(made.findings)}"] if made.findings else []
    return "; ".join(said)


def amounts(found: Iterable[Finding]) -> str:
    """How many findings there are of each level."""
    levels = Counter(one.level for one in found)
    return ", ".join(_amount(levels[level], level) for level in Level if levels[level])


def _amount(number: int, level: Level) -> str:
    return f"{number} unsure" if level is Level.INFO else count(range(number), level.value)


def _blocks(tables: list[Blocked]) -> str:
    reads = [table for table in tables if table.mode.blocks_reads]
    if not tables:
        return "blocks neither reads nor writes"
    writes = f"writes of {count(tables, 'table')}"
    return f"blocks reads of {count(reads, 'table')}, {writes}" if reads else f"blocks {writes}"


def title(made: Review) -> str:
    """What kind of plan it is, and how far it goes."""
    request = made.request
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
