"""Findings as workflow commands, which GitHub shows as annotations in a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.lint import Finding

_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTICE: "notice", Level.INFO: "notice"}


def findings(found: Sequence[Finding], _: Sequence[str]) -> str:
    """Returns one workflow command per finding."""
    return "\n".join(_command(finding) for finding in found)


def _command(finding: Finding) -> str:
    location = finding.location
    message = finding.message + (f"\n{finding.safer}" if finding.safer else "")
    fields = {
        "file": location.path,
        "line": location.line or 1,
        "col": location.column or 1,
        "title": f"sqlmigrate {finding.rule}",
    }
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in fields.items())
    return f"::{_COMMANDS[finding.level]} {properties}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
