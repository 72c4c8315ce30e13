"""Findings: what the linter reports about a statement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.model import Location


class Level(Enum):
    """The severity of a finding, the worst first; `info` always means "cannot tell"."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"


class Decider(Enum):
    """The source of a finding."""

    FILE = "file"
    EARLIER = "earlier files"
    SERVER = "server"


class Safer(NamedTuple):
    """What to write instead of a statement: complete SQL, advice in prose, or both.

    `sql` replaces the statement, and each text of `later` is the SQL of a later file; then the schema is the same as
    after the statement. With `adds`, `sql` follows the statement. A statement that must move has no `sql`.
    """

    sql: str = ""
    later: tuple[str, ...] = ()
    advice: str = ""
    adds: bool = False

    def __bool__(self) -> bool:
        return bool(self.script or self.advice)

    @property
    def script(self) -> str:
        """The SQL of all files, with a comment before that of each later file."""
        head = (self.sql,) if self.sql else ()
        return "\n".join([*head, *(f"-- in a later file:\n{text}" for text in self.later)])

    @property
    def label(self) -> str:
        """The heading of the SQL."""
        return "add" if self.adds else "safer"

    def __str__(self) -> str:
        script = f"{self.label.capitalize()}:\n{self.script}" if self.script else ""
        return "\n".join(filter(None, (script, self.advice and f"Advice: {self.advice}")))


_NOTHING = Safer()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule reports about a statement."""

    rule: str
    level: Level
    location: Location
    message: str
    safer: Safer = _NOTHING
    decided_by: Decider = Decider.FILE


def at_least(findings: Iterable[Finding], level: Level | None) -> list[Finding]:
    """Returns the findings of a level or worse; None is worse than every level."""
    order = list(Level)
    return [finding for finding in findings if level is not None and order.index(finding.level) <= order.index(level)]
