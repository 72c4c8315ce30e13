"""Breaks clients or loses data: what running programs still use, and what cannot be had back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.lint.rule import Rule

RULES: tuple[Rule, ...] = ()
