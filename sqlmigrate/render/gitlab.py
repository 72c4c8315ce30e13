"""Findings as GitLab's Code Quality report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.render.fingerprint import fingerprints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.lint import Finding

_SEVERITIES = {Level.ERROR: "critical", Level.WARNING: "major", Level.NOTICE: "minor", Level.INFO: "info"}


def findings(found: Sequence[Finding], _: Sequence[str]) -> str:
    """The report: a list of issues."""
    issues = [_issue(one, print_) for one, print_ in zip(found, fingerprints(found), strict=True)]
    return json.dumps(issues, ensure_ascii=False, indent=2)


def _issue(one: Finding, fingerprint: str) -> dict[str, object]:
    place = one.location
    begin = {"line": place.line or 1, "column": place.column or 1}
    return {
        "type": "issue",
        "check_name": one.rule,
        "description": one.message,
        "content": {"body": one.safer},
        "categories": ["Bug Risk"],
        "severity": _SEVERITIES[one.level],
        "fingerprint": fingerprint,
        "location": {
            "path": place.path.removeprefix("./"),
            "lines": {"begin": begin["line"]},
            "positions": {"begin": begin, "end": begin},
        },
    }
