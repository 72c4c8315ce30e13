"""Correctness: what fails, or does something else than it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.lint.rule import Rule

RULES: tuple[Rule, ...] = ()
