"""What the linter says of a statement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.model import Location


class Level(Enum):
    """How bad a finding is, the worst first; `info` is only ever "cannot tell"."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"


class Decider(Enum):
    """What a finding was told from."""

    FILE = "file"
    EARLIER = "earlier files"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule says of one statement; `safer` is the SQL to write instead, or empty."""

    rule: str
    level: Level
    location: Location
    message: str
    safer: str = ""
    decided_by: Decider = Decider.FILE


def at_least(found: Iterable[Finding], level: Level | None) -> list[Finding]:
    """The findings that are as bad as that, or worse; None is worse than all."""
    order = list(Level)
    return [finding for finding in found if level is not None and order.index(finding.level) <= order.index(level)]
