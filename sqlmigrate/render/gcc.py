"""Findings in GCC's format, `file:line:column: warning: …`, which editors read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.render.escape import in_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.lint import Finding

_KINDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTICE: "note", Level.INFO: "note"}


def findings(found: Sequence[Finding], _: Sequence[str]) -> str:
    """Returns one line per finding."""
    return "\n".join(_line(finding) for finding in found)


def _line(finding: Finding) -> str:
    location = finding.location
    at = f"{in_line(location.path)}:{location.line or 1}:{location.column or 1}"
    return f"{at}: {_KINDS[finding.level]}: {in_line(finding.message)} [{finding.rule}]"
