"""The commands that plan, approve, apply and roll back migrations."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

import click

from sqlmigrate.cli.app import VersionType, command, dry_run_option, version_option, yes_option
from sqlmigrate.cli.console import as_json
from sqlmigrate.cli.headings import Count
from sqlmigrate.errors import ConfigurationError, PlanRefused

if TYPE_CHECKING:
    from sqlmigrate.cli.app import App
    from sqlmigrate.model import Plan, PlanRequest, Version
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.planning.review import Review

_COMMANDS = {"apply": "migrate", "rollback": "rollback"}
_target = click.option("--target", type=VersionType(), metavar="V", help="The last version to apply.")
_out_of_order = click.option(
    "--out-of-order", is_flag=True, help="Also apply pending migrations older than the newest applied one."
)
_back_to = version_option(help="Roll back all newer versions; this version stays applied.")
_steps = click.option("--steps", type=Count(min=1), metavar="N", help="Roll back the last N migrations.")
_planned = click.option(
    "--plan", "path", metavar="FILE", type=click.Path(), help="Run exactly this plan file; see `sqlmigrate plan --out`."
)


@command("migrate")
@_target
@dry_run_option(help="Show the plan and the SQL; change nothing.")
@_out_of_order
@_planned
@click.option(
    "--expect-no-drift", "exact", is_flag=True, help="Refuse to run if the schema is not what the migrations made."
)
@click.option("--create-database", "create", is_flag=True, help="First create the database if it does not exist.")
def migrate(
    app: App, target: Version | None, dry_run: bool, out_of_order: bool, path: str | None, exact: bool, create: bool
) -> None:
    """Apply the pending migrations."""
    file = _plan_file(path, "apply", target, out_of_order, dry_run)
    if create:
        _create_database(app, dry_run)
    if exact:
        app.migrator.require_no_drift()
    request = file.request if file else _apply_request(target, out_of_order)
    if dry_run:
        _preview(app, request)
    app.show_run(app.migrator.run(request, file))


@command("rollback")
@_back_to
@_steps
@dry_run_option(help="Show the plan and the SQL; change nothing.")
@_planned
@yes_option
def rollback(app: App, version: Version | None, steps: int | None, dry_run: bool, path: str | None, yes: bool) -> None:
    """Roll back all migrations newer than a version, or the last N migrations; ask first."""
    file = _plan_file(path, "rollback", version, steps, dry_run)
    request = file.request if file else _rollback_request(version, steps)
    if dry_run:
        _preview(app, request)
    if not yes:
        _ask(app, app.migrator.runnable(request, file), "Roll back?")
    app.show_run(app.migrator.run(request, file))


@command("redo")
@click.option("--steps", type=Count(min=1), default=1, metavar="N", help="How many migrations.  [default: 1]")
@dry_run_option(help="Show the plan and the SQL; change nothing.")
@yes_option
def redo(app: App, steps: int, dry_run: bool, yes: bool) -> None:
    """Roll back the last migration and apply it again, as its file is now, under one lock; ask first."""
    if dry_run:
        _show_preview(app, app.migrator.plan_redo(steps))
    if not yes:
        _ask(app, app.migrator.plan_redo(steps), "Roll back and apply again?")
    run = app.migrator.redo(steps)
    app.show_run(run, lambda to: to.redone(run))


def _ask(app: App, plan: Plan, question: str) -> None:
    """Shows a plan and asks, unless it is empty.

    Raises:
        PlanRefused: the plan has errors. They are not left to the run: it could be accepted then, and nobody was asked.
    """
    if plan.errors:
        raise PlanRefused(plan.errors)
    if plan.steps:
        app.show(lambda to: to.plan(plan), escape_in_files=False)
        app.confirm(question, yes=False)


def _create_database(app: App, dry_run: bool) -> None:
    if dry_run:
        raise ConfigurationError("--create-database and --dry-run cannot be combined", hint="omit one of them")
    app.migrator.create_database()


def _plan_file(path: str | None, action: str, *conflicting: object) -> PlanFile | None:
    """Reads the plan file, if one is given; it excludes every option that chooses migrations."""
    if path is None:
        return None
    from sqlmigrate.planning import plan_file  # most runs have no plan file

    _require_alone("--plan", *conflicting)
    file = plan_file.read(path)
    planned_action = file.request.action.value
    if planned_action != action:
        name = _COMMANDS[planned_action]
        raise ConfigurationError(f"{path} is a plan for `{name}`", hint=f"run `sqlmigrate {name} --plan {path}`")
    return file


def _require_alone(option: str, *conflicting: object) -> None:
    if any(conflicting):
        raise ConfigurationError(f"{option} cannot be combined with other options that choose migrations")


def _preview(app: App, request: PlanRequest) -> None:
    _show_preview(app, app.migrator.planned(request))


def _show_preview(app: App, plan: Plan) -> NoReturn:
    found = app.migrator.findings(plan)
    sql = app.migrator.preview(plan)
    empty = () if plan.steps else app.empty_directories
    app.show(lambda to: to.plan(plan, sql, found, empty), escape_in_files=False)
    app.migrator.enforce_lint_level(found or ())
    sys.exit(1 if plan.errors else 0)


@command("plan", ("text", "json", "markdown"))
@_target
@_out_of_order
@click.option("--rollback", "back", is_flag=True, help="Plan a rollback; requires --version or --steps.")
@_back_to
@_steps
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(),
    help="Also write a plan file for `approve` and `migrate --plan`.",
)
@click.option("--html", metavar="FILE", type=click.Path(), help="Also write an HTML page for the review.")
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
    """Show the statements that would run, with their locks."""
    if back:
        _require_alone("--rollback", target, out_of_order)
    elif version or steps:
        raise ConfigurationError("--version and --steps require --rollback", hint="run `sqlmigrate plan --rollback …`")
    request = _rollback_request(version, steps) if back else _apply_request(target, out_of_order)
    review = app.migrator.review(request)
    if out:
        app.save(out, as_json(lambda to: to.review(review)))
    if html:
        app.save(html, _as_html(review))
    app.show(lambda to: to.review(review), lambda _: _as_markdown(review))
    app.migrator.enforce_lint_level(review.findings)
    sys.exit(1 if review.plan.errors else 0)


def _as_html(review: Review) -> str:
    from sqlmigrate.render import html  # loads jinja2

    return html.review(review)


def _as_markdown(review: Review) -> str:
    from sqlmigrate.render import markdown

    return markdown.review(review)


def _apply_request(target: Version | None, out_of_order: bool) -> PlanRequest:
    from sqlmigrate.model import Action, PlanRequest

    return PlanRequest(Action.APPLY, target, out_of_order=out_of_order)


def _rollback_request(version: Version | None, steps: int | None) -> PlanRequest:
    from sqlmigrate.model import Action, PlanRequest

    if (version is None) == (steps is None):
        raise ConfigurationError(
            "exactly one of --version and --steps is required", hint="for the last migration, write --steps 1"
        )
    return PlanRequest(Action.ROLL_BACK, version, steps)


@command("approve")
@click.argument("file", type=click.Path())
@yes_option
def approve(app: App, file: str, yes: bool) -> None:
    """Approve the plan in FILE; the log table records who approved which digest, and when."""
    from sqlmigrate.planning import plan_file

    planned = plan_file.read(file)
    approvable = app.migrator.approvable(planned)
    app.show(lambda to: to.approvable(approvable), escape_in_files=False, is_answer=not yes)
    app.confirm(f"Approve this plan ({planned.digest[:12]})?", yes=yes)
    app.migrator.approve(planned)
    app.show(lambda to: to.approved(planned), is_answer=False)


COMMANDS = (migrate, rollback, redo, plan, approve)
