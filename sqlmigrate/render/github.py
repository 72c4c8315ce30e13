"""Findings as GitHub's workflow commands, which it shows beside the lines of a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.lint import Finding

_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTICE: "notice", Level.INFO: "notice"}


def findings(found: Sequence[Finding], _: Sequence[str]) -> str:
    """A command a finding."""
    return "\n".join(_command(one) for one in found)


def _command(one: Finding) -> str:
    place = one.location
    said = one.message + (f"\nSafer:\n{one.safer}" if one.safer else "")
    fields = {"file": place.path, "line": place.line or 1, "col": place.column or 1, "title": f"sqlmigrate {one.rule}"}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in fields.items())
    return f"::{_COMMANDS[one.level]} {properties}::{_escaped(said)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
