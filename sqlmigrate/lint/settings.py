"""The linter's settings, from options, the environment and the table `lint` of the configuration file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlmigrate.config import lint_table, settings
from sqlmigrate.files.naming import parse_version
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.linter import Options
from sqlmigrate.lint.rules import REMOVED, RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlmigrate.config.settings import LintTable
    from sqlmigrate.model import Version

_IN_ENVIRON = ("preset", "postgres_version", "since", "changed_since", "fail_on", "history")


@dataclass(frozen=True, slots=True)
class LintSettings:
    """The linter's settings.

    `rules` overrides the level of a rule; None switches the rule off. `files` and `exclude` are globs relative to
    `root`, the directory of the configuration file; empty `files` match every file. Versions up to `since` are read
    only for their schema. A `history` that is "complete" creates the whole schema. `naming` holds regular expressions
    that names must match. With `fail_on` None the linter never fails.
    """

    preset: str = "safety"
    rules: Mapping[str, Level | None] = field(default_factory=dict)
    postgres_version: int = 18
    files: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: Version | None = None
    changed_since: str = ""
    naming: Mapping[str, str] = field(default_factory=dict)
    fail_on: Level | None = Level.WARNING
    root: str = "."
    history: str = "partial"

    def options(self, *, replay: bool = False) -> Options:
        """Returns the options of the linter."""
        complete = self.history == "complete"
        return Options(self.preset, self.rules, self.postgres_version, self.naming, replay=replay, complete=complete)


def load(given: Mapping[str, Any], environ: Mapping[str, str], file: str | None = None) -> LintSettings:
    """Reads the settings.

    Args:
        given: the command-line options, as text, by the names of `LintSettings`.
        environ: the environment variables; `SQLMIGRATE_LINT_PRESET` and so on.
        file: the configuration file; by default the file that `config.settings` finds.

    Raises:
        ConfigurationError: the file, a key or a value is invalid.
    """
    return read(given, settings.lint_table(file, environ))


def read(given: Mapping[str, Any], found: LintTable) -> LintSettings:
    """Combines the command-line options with the configuration file and the environment.

    Raises:
        ConfigurationError: a key or a value is invalid.
    """
    values: dict[str, Any] = {"root": os.path.dirname(found.path) or "."}
    values |= lint_table.read(found.path, found.content, _READERS)
    for name in _IN_ENVIRON:
        variable = f"SQLMIGRATE_LINT_{name.upper()}"
        if value := found.environ.get(variable):
            values[name] = lint_table.read_value(_READERS[name], value, variable)
    for name, value in given.items():
        if value:
            values[name] = lint_table.read_value(_READERS[name], value, f"--{name.replace('_', '-')}")
    return LintSettings(**values)


def _rules(value: object) -> dict[str, Level | None]:
    names = [rule.name for rule in RULES]
    return {
        lint_table.known("rule", name, names): None if level == "off" else Level(level)
        for name, level in lint_table.levels(value).items()
        if name not in REMOVED
    }


def _fail_on(value: object) -> Level | None:
    name = lint_table.READERS["fail_on"](value)
    return None if name == "never" else Level(name)


_READERS = lint_table.READERS | {
    "rules": _rules,
    "since": lambda value: parse_version(str(value)),
    "fail_on": _fail_on,
}
