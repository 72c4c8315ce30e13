"""Findings as SARIF 2.1.0, the format of code scanning."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rules import RULES
from sqlmigrate.render.fingerprint import fingerprints
from sqlmigrate.render.pages import page
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.rule import Rule
    from sqlmigrate.model import Location

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# A finding that the linter is unsure of has the kind "open"; SARIF requires the level "none" for it.
_LEVELS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTICE: "note", Level.INFO: "none"}


def findings(found: Sequence[Finding], paths: Sequence[str]) -> str:
    """Returns the log of one run, which also describes every rule."""
    driver = {"name": "sqlmigrate", "version": __version__, "rules": [_rule(rule) for rule in RULES]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": _artifact(path)} for path in paths],
        "results": [
            _result(finding, fingerprint) for finding, fingerprint in zip(found, fingerprints(found), strict=True)
        ],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2)


def _rule(rule: Rule) -> dict[str, object]:
    code = f"```sql\n{rule.safe}\n```" if rule.safe else rule.advice
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.stake},
        "helpUri": page(rule.name),
        "help": {
            "text": f"{rule.stake}\n\nInstead:\n\n{rule.safe or rule.advice}",
            "markdown": f"{rule.stake}\n\nInstead:\n\n{code}",
        },
        "defaultConfiguration": {"level": _LEVELS[rule.level]},
    }


def _result(finding: Finding, fingerprint: str) -> dict[str, object]:
    unsure = finding.level is Level.INFO
    return {
        "ruleId": finding.rule,
        "kind": "open" if unsure else "fail",
        "level": _LEVELS[finding.level],
        "message": {"text": finding.message + (f"\n{finding.safer}" if finding.safer else "")},
        "locations": [{"physicalLocation": _physical_location(finding.location)}],
        "partialFingerprints": {"lineOfStatement/v1": fingerprint},
        "properties": {"decidedBy": finding.decided_by.value},
    }


def _physical_location(location: Location) -> dict[str, object]:
    region: dict[str, object] = {"startLine": location.line or 1, "startColumn": location.column or 1}
    if location.text:
        region |= {"endColumn": max(len(location.text), location.column or 1) + 1, "snippet": {"text": location.text}}
    return {"artifactLocation": _artifact(location.path), "region": region}


def _artifact(path: str) -> dict[str, str]:
    """Returns a relative URI for a file below the current directory, and an absolute URI for any other file."""
    relative = os.path.relpath(path)
    if relative.startswith(os.pardir):
        return {"uri": f"file://{quote(os.fsencode(os.path.abspath(path)))}"}
    return {"uri": quote(os.fsencode(relative))}
