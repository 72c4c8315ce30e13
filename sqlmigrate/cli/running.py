"""The commands that decide on what runs, and run it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sqlmigrate.cli.app import VersionType, command, dry_run_option, version_option, yes_option
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlmigrate.cli.app import App
    from sqlmigrate.model import PlanRequest, Version
    from sqlmigrate.planning.plan_file import PlanFile

_COMMANDS = {"apply": "migrate", "rollback": "rollback"}
_target = click.option("--target", type=VersionType(), metavar="V", help="The last version to apply.")
_out_of_order = click.option("--out-of-order", is_flag=True, help="Also apply what is older than the newest applied.")
_back_to = version_option(help="The version to go back to; it stays applied.")
_steps = click.option("--steps", type=click.IntRange(min=1), metavar="N", help="How many to take back.")
_planned = click.option(
    "--plan", "path", metavar="FILE", type=click.Path(), help="Run exactly this plan; see `sqlmigrate plan --out`."
)


@command("migrate")
@_target
@dry_run_option(help="Show the plan and the SQL; change nothing.")
@_out_of_order
@_planned
def migrate(app: App, target: Version | None, dry_run: bool, out_of_order: bool, path: str | None) -> None:
    """Apply what is pending."""
    file = _plan_in(path, "apply", target, out_of_order, dry_run)
    asked = file.request if file else _forward(target, out_of_order)
    if dry_run:
        _preview(app, asked)
    app.show("run", app.migrator.run(asked, file))


@command("rollback")
@_back_to
@_steps
@dry_run_option(help="Show the plan and the SQL; change nothing.")
@_planned
@yes_option
def rollback(app: App, version: Version | None, steps: int | None, dry_run: bool, path: str | None, yes: bool) -> None:
    """Take back what is newer than a version, or the last so many."""
    file = _plan_in(path, "rollback", version, steps, dry_run)
    asked = file.request if file else _back(version, steps)
    if dry_run:
        _preview(app, asked)
    app.confirm(app.migrator.planned(asked), "Roll back?", yes=yes)
    app.show("run", app.migrator.run(asked, file))


def _plan_in(path: str | None, action: str, *others: object) -> PlanFile | None:
    """The plan file, where one is given, which leaves nothing else to choose."""
    if path is None:
        return None
    from sqlmigrate.planning import plan_file  # few runs have one

    _alone("--plan", *others)
    file = plan_file.read(path)
    found = file.request.action.value
    if found != action:
        hint = f"sqlmigrate {_COMMANDS[found]} --plan {path}"
        raise ConfigurationError(f"{path} is a plan for `{_COMMANDS[found]}`", hint=hint)
    return file


def _alone(what: str, *others: object) -> None:
    if any(others):
        raise ConfigurationError(f"{what} goes with no other choice of what to run")


def _preview(app: App, asked: PlanRequest) -> None:
    plan = app.migrator.planned(asked)
    found = app.migrator.findings(plan)
    app.show("plan", plan, app.migrator.preview(plan), found)
    app.migrator.enforce_lint_level(found or ())
    sys.exit(1 if plan.errors else 0)


@command("plan", ("text", "json", "markdown"))
@_target
@_out_of_order
@click.option("--rollback", "back", is_flag=True, help="Plan a rollback, with --version or --steps.")
@_back_to
@_steps
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(),
    help="Also write the plan file that `approve` and `migrate --plan` take.",
)
@click.option("--html", metavar="FILE", type=click.Path(), help="Also write a page to review it by.")
def plan(
    app: App,
    target: Version | None,
    out_of_order: bool,
    back: bool,
    version: Version | None,
    steps: int | None,
    out: str | None,
    html: str | None,
) -> None:
    """Show what would run, statement by statement, with its locks."""
    if back:
        _alone("--rollback", target, out_of_order)
    elif version or steps:
        raise ConfigurationError("--version and --steps are for --rollback", hint="sqlmigrate plan --rollback …")
    asked = _back(version, steps) if back else _forward(target, out_of_order)
    review = app.migrator.review(asked)
    if out:
        app.save(out, "json", "review", review)
    if html:
        app.save(html, "html", "review", review)
    app.show("review", review)
    app.migrator.enforce_lint_level(review.findings)
    sys.exit(1 if review.plan.errors else 0)


# What is asked for is imported there: `--help` asks for nothing.


def _forward(target: Version | None, out_of_order: bool) -> PlanRequest:
    from sqlmigrate.model import Action, PlanRequest

    return PlanRequest(Action.APPLY, target, out_of_order=out_of_order)


def _back(version: Version | None, steps: int | None) -> PlanRequest:
    from sqlmigrate.model import Action, PlanRequest

    if (version is None) == (steps is None):
        raise ConfigurationError("give --version or --steps", hint="sqlmigrate rollback --steps 1")
    return PlanRequest(Action.ROLL_BACK, version, steps)


@command("approve")
@click.argument("file", type=click.Path())
@yes_option
def approve(app: App, file: str, yes: bool) -> None:
    """Approve the plan in FILE: the log says who, when, and of which digest."""
    from sqlmigrate.execution.runner import checked
    from sqlmigrate.planning import plan_file

    planned = plan_file.read(file)
    app.show("plan", checked(app.migrator.planned(planned.request)))
    if not yes:
        app.agree(f"Approve this plan ({planned.digest[:12]})?")
    app.migrator.approve(planned)
    app.show("approved", planned)


COMMANDS = (migrate, rollback, plan, approve)
