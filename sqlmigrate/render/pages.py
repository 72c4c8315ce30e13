"""Addresses of the documentation."""

from __future__ import annotations

from sqlmigrate.version import DOCUMENTATION

_RULES = f"{DOCUMENTATION}/rules.md"


def page(rule: str) -> str:
    """Returns the address of the section about a rule, whose anchor is the rule's name."""
    return f"{_RULES}#{rule}"
