"""The result of a rehearsal: each statement with what it did, or why it was left out, or how it failed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.errors import ScriptError
    from sqlmigrate.locks.effects import Effects
    from sqlmigrate.model import Location, Problem, Step


class Estimate(NamedTuple):
    """How long something will take elsewhere, at least and at most in milliseconds, or None; and the reason."""

    low_ms: float | None
    high_ms: float | None
    ground: str

    @property
    def is_known(self) -> bool:
        """Whether there is a range."""
        return self.low_ms is not None


@dataclass(frozen=True, slots=True)
class RehearsedStatement:
    """A statement; `sql` is its beginning on one line.

    `effects` is None if it did not succeed: `skipped` is why it was left out, or `failed` the error. `estimate` is how
    long it will take elsewhere, `wait` how long the locks that it takes will be held.
    """

    location: Location
    sql: str
    effects: Effects | None = None
    skipped: str = ""
    failed: str = ""
    estimate: Estimate | None = None
    wait: Estimate | None = None


@dataclass(frozen=True, slots=True)
class RehearsedTransaction:
    """The statements that commit together in a run. One that runs outside a transaction is alone."""

    statements: tuple[RehearsedStatement, ...]
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class RehearsedStep:
    """A migration with its transactions, up to the statement that failed."""

    step: Step
    transactions: tuple[RehearsedTransaction, ...]

    @property
    def statements(self) -> Iterator[RehearsedStatement]:
        """The statements of all transactions."""
        return (statement for transaction in self.transactions for statement in transaction.statements)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rehearsal found.

    `on` is where it ran: `target`, `url` or `embedded`; `place` names that database. `failure` is the error of the
    statement that failed; the statements after it did not run.
    """

    on: str
    place: str
    server_version: int
    steps: tuple[RehearsedStep, ...]
    warnings: tuple[Problem, ...] = ()
    failure: ScriptError | None = None

    @property
    def statements(self) -> Iterator[RehearsedStatement]:
        """The statements of all steps."""
        return (statement for step in self.steps for statement in step.statements)

    @property
    def left_out(self) -> list[RehearsedStatement]:
        """The statements that were not run, although nothing failed before them."""
        return [statement for statement in self.statements if statement.skipped]
