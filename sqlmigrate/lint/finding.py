"""Findings: what the linter reports about a statement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule reports about a statement; `safer` is the SQL to write instead, or empty."""

    rule: str
    level: Level
    location: Location
    message: str
    safer: str = ""
    decided_by: Decider = Decider.FILE


def at_least(findings: Iterable[Finding], level: Level | None) -> list[Finding]:
    """Returns the findings of a level or worse; None is worse than every level."""
    order = list(Level)
    return [finding for finding in findings if level is not None and order.index(finding.level) <= order.index(level)]
