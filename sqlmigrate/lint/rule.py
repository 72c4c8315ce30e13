"""What a rule is, and what it is asked about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.finding import Decider, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlmigrate.lint.schema.catalog import Birth, Catalog, Name, Table
    from sqlmigrate.lint.schema.state import FileState, Statement
    from sqlmigrate.sql.parser import Node

END = "end of file"


class Hit(NamedTuple):
    """What a rule says of a case; without an answer it is "cannot tell".

    `unless` is asked of the schema behind the file's last statement: where it is true, the file has made good what the
    rule had to say.
    """

    message: str
    safer: str = ""
    by: Decider = Decider.FILE
    certain: bool = True
    node: Node | None = None
    unless: Callable[[Catalog], bool] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A statement, or one subcommand of an ALTER TABLE, with the schema and the file's state before it.

    `node` is the body of the statement or of the AlterTableCmd. `name` is the table that it is about, resolved, or
    ("", ""); `table` is what is known of it. In a case of kind END there is the schema behind the file's last
    statement, which is `statement`.
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
        """What is known of the table that the case is about."""
        return self.catalog.tables.get(self.name)

    def told_by(self, born: Birth | None) -> Decider:
        """Which files tell of something that was made there."""
        return Decider.FILE if born is not None and born.file == self.state.file else Decider.EARLIER


@dataclass(frozen=True, slots=True)
class Example:
    """SQL that shows a rule; `earlier` is what earlier files did.

    A `bad` one has a finding of the rule, a good one none; `unsure` has one of level info. `naming` are patterns as the
    configuration sets them. `up` is the up file of one that is a down file; `postgres` is the version of the server.
    """

    sql: str
    earlier: str = ""
    bad: bool = False
    unsure: bool = False
    name: str = "V1.0.0-002__example.up.sql"
    naming: tuple[tuple[str, str], ...] = ()
    up: str = ""
    postgres: int = 18


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to look for: what `check` yields becomes findings of this name and level.

    `on` are the kinds of statement and subcommand that it looks at, as libpg_query names them, or END. `stake` says
    what happens otherwise, `safe` how to do it as SQL. `since` and `until` bound PostgreSQL's major versions.
    """

    name: str
    level: Level
    on: tuple[str, ...]
    stake: str
    safe: str
    check: Callable[[Case], Iterable[Hit]]
    examples: tuple[Example, ...]
    since: int = 0
    until: int = 99


def bad(sql: str, earlier: str = "") -> Example:
    """An example that has a finding."""
    return Example(sql, earlier, bad=True)


def good(sql: str, earlier: str = "") -> Example:
    """An example that has none."""
    return Example(sql, earlier)


def down(sql: str, up: str = "", earlier: str = "", *, bad: bool = False) -> Example:
    """An example of a down file, with its up file where it has one."""
    return Example(sql, earlier, bad=bad, name="V1.0.0-002__example.down.sql", up=up)


def unsure(sql: str, earlier: str = "") -> Example:
    """An example of which the files do not tell enough."""
    return Example(sql, earlier, unsure=True)
