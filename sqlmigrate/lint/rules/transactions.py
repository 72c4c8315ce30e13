"""Transactions and locks: what shares a transaction, and how long its locks are held."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.lint.rule import Rule

RULES: tuple[Rule, ...] = ()
