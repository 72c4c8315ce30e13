"""Style: what works, and what one would write otherwise; every rule is of level notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.lint.rule import Rule

RULES: tuple[Rule, ...] = ()
