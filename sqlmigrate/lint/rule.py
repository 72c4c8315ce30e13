"""Rules, and the cases that they check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from sqlmigrate.lint.finding import Decider, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.schema.catalog import Catalog, Creation, Name, Table
    from sqlmigrate.lint.schema.state import FileState, Statement
    from sqlmigrate.sql.parser import Node

T = TypeVar("T")
END = "end of file"


class Hit(NamedTuple):
    """What a rule reports about a case; a hit that is not `certain` becomes "cannot tell".

    `safer` is advice in prose, or returns the complete SQL to write instead; it is called only if the hit is reported.

    `unless` is called with the schema after the last statement of the file: where it returns true, a later statement
    has fixed the problem, and the hit is dropped.
    """

    message: str
    safer: str | Callable[[], Safer] = ""
    by: Decider = Decider.FILE
    certain: bool = True
    node: Node | None = None
    unless: Callable[[Catalog], bool] | None = None


@dataclass(slots=True)
class Case:
    """A statement, or one subcommand of an ALTER TABLE, with the schema and the file's state before it.

    `node` is the body of the statement or of the AlterTableCmd. `name` is the resolved name of its table, or ("", "");
    `table` is that table in the catalog. A case of kind END has the schema after the file's last statement, which is
    `statement`.
    """

    kind: str
    node: Node
    statement: Statement
    name: Name
    catalog: Catalog
    state: FileState
    postgres: int = 18
    naming: Mapping[str, str] = field(default_factory=dict)

    @property
    def table(self) -> Table | None:
        """The table of the case in the catalog; None where no file creates it."""
        return self.catalog.tables.get(self.name)

    def decider(self, created: Creation | None) -> Decider:
        """Returns whether this file or an earlier file created an object."""
        return Decider.FILE if created is not None and created.file == self.state.file else Decider.EARLIER


@dataclass(frozen=True, slots=True)
class Example:
    """SQL that shows a rule; `earlier` is the SQL of earlier files.

    A `bad` example has a finding of the rule, a good example has none, and an `unsure` example has one of level info.
    `naming` holds patterns as in the configuration; `complete` is `history = "complete"`.
    `up` is the up file of a down file; `postgres` is the version of
    the server.
    """

    sql: str
    earlier: str = ""
    bad: bool = False
    unsure: bool = False
    name: str = "V1.0.0-002__example.up.sql"
    naming: tuple[tuple[str, str], ...] = ()
    up: str = ""
    postgres: int = 18
    complete: bool = False


def per_case(function: Callable[[Case], T]) -> Callable[[Case], T]:
    """Remembers what a function returned for the last case: a dozen rules ask the same of each."""
    recent: list[tuple[Case, T]] = []

    def remembered(case: Case) -> T:
        if not recent or recent[0][0] is not case:
            recent[:] = [(case, function(case))]
        return recent[0][1]

    return remembered


def _described_only(_: Case) -> Iterable[Hit]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule: what `check` yields becomes findings with the rule's name and level.

    `on` are the kinds of statement and subcommand that it checks, by libpg_query's names, or END. A rule without `on`
    and `check` describes findings that the linter or the server makes. `stake` describes what goes wrong otherwise;
    `safe` is SQL that is safer, or else `advice` says what to do. `since` and `until` are the first and the last major
    version of PostgreSQL that the rule applies to.
    """

    name: str
    level: Level
    on: tuple[str, ...] = ()
    stake: str
    safe: str = ""
    advice: str = ""
    check: Callable[[Case], Iterable[Hit]] = _described_only
    examples: tuple[Example, ...]
    since: int = 0
    until: int = 99


def bad(sql: str, earlier: str = "") -> Example:
    """Returns an example that has a finding."""
    return Example(sql, earlier, bad=True)


def good(sql: str, earlier: str = "") -> Example:
    """Returns an example that has no finding."""
    return Example(sql, earlier)


def down(sql: str, up: str = "", earlier: str = "", *, bad: bool = False) -> Example:
    """Returns an example of a down file, with its up file if it has one."""
    return Example(sql, earlier, bad=bad, name="V1.0.0-002__example.down.sql", up=up)


def unsure(sql: str, earlier: str = "") -> Example:
    """Returns an example for which the files do not contain enough information."""
    return Example(sql, earlier, unsure=True)
