"""Findings as SARIF 2.1.0, for code scanning."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rules import RULES
from sqlmigrate.render.fingerprint import fingerprints
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.rule import Rule
    from sqlmigrate.model import Location

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# "Cannot tell" is the kind "open", which has no level.
_LEVELS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTICE: "note", Level.INFO: "none"}


def findings(found: Sequence[Finding], paths: Sequence[str]) -> str:
    """The log of one run; every rule is described in it."""
    driver = {"name": "sqlmigrate", "version": __version__, "rules": [_rule(rule) for rule in RULES]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": _artifact(path)} for path in paths],
        "results": [_result(one, print_) for one, print_ in zip(found, fingerprints(found), strict=True)],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.stake},
        "help": {
            "text": f"{rule.stake}\n\nInstead:\n\n{rule.safe}",
            "markdown": f"{rule.stake}\n\nInstead:\n\n```sql\n{rule.safe}\n```",
        },
        "defaultConfiguration": {"level": _LEVELS[rule.level]},
    }


def _result(one: Finding, fingerprint: str) -> dict[str, Any]:
    unsure = one.level is Level.INFO
    return {
        "ruleId": one.rule,
        "kind": "open" if unsure else "fail",
        "level": _LEVELS[one.level],
        "message": {"text": one.message + (f"\nSafer:\n{one.safer}" if one.safer else "")},
        "locations": [{"physicalLocation": _place(one.location)}],
        "partialFingerprints": {"lineOfStatement/v1": fingerprint},
        "properties": {"decidedBy": one.decided_by.value},
    }


def _place(place: Location) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": place.line or 1, "startColumn": place.column or 1}
    if place.text:
        region |= {"endColumn": max(len(place.text), place.column or 1) + 1, "snippet": {"text": place.text}}
    return {"artifactLocation": _artifact(place.path), "region": region}


def _artifact(path: str) -> dict[str, str]:
    """A path below here is meant from here, and any other is absolute."""
    relative = os.path.relpath(path)
    if relative.startswith(os.pardir):
        return {"uri": f"file://{quote(os.fsencode(os.path.abspath(path)))}"}
    return {"uri": quote(os.fsencode(relative))}
