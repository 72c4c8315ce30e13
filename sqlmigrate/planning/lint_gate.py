"""Lints the files that a plan would run, and refuses the plan because of findings of the configured level."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmigrate.errors import PlanRefused
from sqlmigrate.model import Problem
from sqlmigrate.sql import parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.model import Plan

# The rules are imported lazily, since most runs have nothing to lint.

_OFF = "off"
_HINT = """\
use the safer way, or add a comment above the statement: -- sqlmigrate: ignore=RULE (reason)
or run with --lint off"""


def lint_plan(plan: Plan, settings: Settings) -> list[Finding] | None:
    """Returns the findings of `validate` in the files that the plan runs; None if the parser is not installed.

    Raises:
        ConfigurationError: the parser is not installed, but findings are to refuse the run; or the linter's settings
            are invalid.
    """
    paths = [*(step.path for step in plan.steps), *(hook.up for hook in plan.hooks.around)]
    if settings.lint_level == _OFF and not parser.is_installed():
        return None
    return _lint(paths, settings) if paths else []


def _lint(paths: Sequence[str], settings: Settings) -> list[Finding]:
    from sqlmigrate.lint import lint
    from sqlmigrate.lint.selection import select
    from sqlmigrate.lint.settings import read

    configured = read({}, settings.lint)
    # The plan itself determines which files are pending, and reports duplicate versions as problems.
    selection = replace(configured, changed_since="", rules={**configured.rules, "duplicate-version": None})
    return lint(select(paths, selection), settings.dir, replace(selection.options(), pending=paths))


def lint_and_enforce(plan: Plan, settings: Settings) -> None:
    """Lints a plan that is about to be run, and refuses it because of its findings.

    Raises:
        PlanRefused: the plan has findings of the configured level or above; contains all of them.
        ConfigurationError: see `lint_plan`.
    """
    if settings.lint_level != _OFF:
        refused = _at_least(lint_plan(plan, settings) or (), settings.lint_level)
        problems = [
            Problem(finding.rule, finding.message, finding.location, _hint(finding.safer)) for finding in refused
        ]
        if problems:
            raise PlanRefused(problems, _HINT)


def _hint(safer: Safer) -> str:
    return safer.script or safer.advice


def enforce_lint_level(findings: Sequence[Finding], level: str) -> None:
    """Refuses a plan because of findings that were already shown.

    Raises:
        PlanRefused: there are findings of this level or above.
    """
    if refused := _at_least(findings, level):
        number = "1 finding" if len(refused) == 1 else f"{len(refused)} findings"
        raise PlanRefused([Problem("lint", f"{number} of level {level} or above")], _HINT, prevents_run=False)


def _at_least(findings: Sequence[Finding], level: str) -> list[Finding]:
    if level == _OFF or not findings:
        return []
    from sqlmigrate.lint import Level, at_least

    return at_least(findings, Level(level))
