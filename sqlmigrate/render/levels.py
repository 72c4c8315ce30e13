"""How the levels of findings are shown: their colours, and how many findings there are of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.render.phrases import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlmigrate.lint import Finding

COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTICE: "cyan", Level.INFO: "bright_black"}


def totals(findings: Iterable[Finding]) -> str:
    """Returns the number of findings of each level: `1 error, 2 warnings`."""
    numbers = Counter(finding.level for finding in findings)
    return ", ".join(_total(numbers[level], level) for level in Level if numbers[level])


def _total(number: int, level: Level) -> str:
    return f"{number} info" if level is Level.INFO else count(range(number), level.value)
