"""The linter: checks from the files alone whether a migration is correct and safe on a live database."""

from sqlmigrate.lint.finding import Decider, Finding, Level, at_least
from sqlmigrate.lint.linter import Options, lint

__all__ = ["Decider", "Finding", "Level", "Options", "at_least", "lint"]
