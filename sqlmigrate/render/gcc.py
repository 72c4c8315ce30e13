"""Findings as compilers write them, for editors and whatever else reads `file:line:column: warning: …`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.render.escape import in_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.lint import Finding

_KINDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTICE: "note", Level.INFO: "note"}


def findings(found: Sequence[Finding], _: Sequence[str]) -> str:
    """A line a finding."""
    return "\n".join(_line(one) for one in found)


def _line(one: Finding) -> str:
    place = one.location
    at = f"{in_line(place.path)}:{place.line or 1}:{place.column or 1}"
    return f"{at}: {_KINDS[one.level]}: {in_line(one.message)} [{one.rule}]"
