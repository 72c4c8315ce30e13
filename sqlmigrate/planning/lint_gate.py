"""What the linter says of the files that a plan would run, and what a run that heeds it refuses."""

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
    from sqlmigrate.model import Plan

# The rules are imported where there is something to lint.

_OFF = "off"
_HOW = """\
write it the safer way, or say above the statement why it may stay: -- sqlmigrate: ignore=RULE (reason)
or run with --lint off"""


def inspect(plan: Plan, settings: Settings) -> list[Finding] | None:
    """What `validate` would say of the files that the plan runs; None where no grammar is installed.

    Raises:
        ConfigurationError: none is, and findings are to refuse the run; or the linter's settings can't be used.
    """
    hooks = (plan.hooks.before_each, plan.hooks.after_each, plan.hooks.after_error)
    paths = [*(step.path for step in plan.steps), *(hook.up for hook in hooks if hook)]
    if settings.lint_level == _OFF and not parser.is_installed():
        return None
    return _linted(paths, settings) if paths else []


def _linted(paths: Sequence[str], settings: Settings) -> list[Finding]:
    from sqlmigrate.lint import lint
    from sqlmigrate.lint.selection import select
    from sqlmigrate.lint.settings import read

    asked = read({}, settings.lint)
    # Which files are new the plan knows, and of two with one version its problems tell.
    chosen = replace(asked, changed_since="", rules={**asked.rules, "duplicate-version": None})
    return lint(select(paths, chosen), settings.dir, replace(chosen.options(), pending=paths))


def refuse(plan: Plan, settings: Settings) -> None:
    """Inspects a plan that is about to be run.

    Raises:
        PlanRefused: there are findings that the settings do not let pass; all of them.
        ConfigurationError: see `inspect`.
    """
    if settings.lint_level != _OFF:
        bad = _refused(inspect(plan, settings) or (), settings.lint_level)
        problems = [Problem(one.rule, one.message, one.location, one.safer) for one in bad]
        if problems:
            raise PlanRefused(problems, _HOW)


def heed(found: Sequence[Finding], level: str) -> None:
    """Refuses a plan whose findings have been shown already.

    Raises:
        PlanRefused: some are of that level, or worse.
    """
    if bad := _refused(found, level):
        amount = "1 finding is" if len(bad) == 1 else f"{len(bad)} findings are"
        raise PlanRefused([Problem("lint", f"{amount} of level {level} or worse")], _HOW)


def _refused(found: Sequence[Finding], level: str) -> list[Finding]:
    if level == _OFF or not found:
        return []
    from sqlmigrate.lint import Level, at_least

    return at_least(found, Level(level))
