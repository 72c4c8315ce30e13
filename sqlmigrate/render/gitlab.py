"""Findings as a Code Quality report of GitLab."""

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
    """Returns the report, a list of issues."""
    issues = [_issue(finding, fingerprint) for finding, fingerprint in zip(found, fingerprints(found), strict=True)]
    return json.dumps(issues, ensure_ascii=False, indent=2)


def _issue(finding: Finding, fingerprint: str) -> dict[str, object]:
    location = finding.location
    begin = {"line": location.line or 1, "column": location.column or 1}
    return {
        "type": "issue",
        "check_name": finding.rule,
        "description": finding.message,
        "content": {"body": str(finding.safer)},
        "categories": ["Bug Risk"],
        "severity": _SEVERITIES[finding.level],
        "fingerprint": fingerprint,
        "location": {
            "path": location.path.removeprefix("./"),
            "lines": {"begin": begin["line"]},
            "positions": {"begin": begin, "end": begin},
        },
    }
