"""The commands that repair the history table, prune the log table and release the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sqlmigrate.cli.app import command, dry_run_option, version_option, yes_option
from sqlmigrate.cli.headings import Count
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlmigrate.cli.app import App
    from sqlmigrate.model import Version


@command("baseline")
@version_option(required=True, help="The last version that the database already contains.")
def baseline(app: App, version: Version) -> None:
    """Mark a version and all versions before it as applied, without running them."""
    run = app.migrator.baseline(version)
    app.show(lambda to: to.baseline(run), is_answer=False)


@command("repair")
@version_option(help="Repair only this version.")
@dry_run_option(help="Show the repairs; change nothing.")
@yes_option
def repair(app: App, version: Version | None, dry_run: bool, yes: bool) -> None:
    """Accept changed files, delete failed rows, and forget missing files; list the repairs and ask first."""
    repairs = app.migrator.plan_repair(version)
    app.show(lambda to: to.repairs(repairs), is_answer=dry_run or not yes)
    if repairs and not dry_run:
        app.confirm("Apply these repairs?", yes=yes)
        app.migrator.repair(version)


@command("cleanup")
@click.option(
    "--keep-days",
    type=Count(1, 36500),
    required=True,
    metavar="N",
    help="Keep the log entries of the last N days.",
)
@dry_run_option(help="Show how many rows would be deleted; delete nothing.")
def cleanup(app: App, keep_days: int, dry_run: bool) -> None:
    """Delete old entries from the log table; the history table and the metrics do not change."""
    if dry_run:
        prunable = app.migrator.plan_cleanup(keep_days)
        app.show(lambda to: to.prunable(prunable))
    else:
        pruned = app.migrator.cleanup(keep_days)
        app.show(lambda to: to.pruned(pruned), is_answer=False)


@command("force-unlock")
@yes_option
def force_unlock(app: App, yes: bool) -> None:
    """Terminate the backend that holds the migration lock; ask first."""
    activity = app.migrator.activity()
    app.show(lambda to: to.activity(activity), is_answer=not yes)
    if activity is not None:
        holder = activity.holder
        app.confirm(f"Terminate the backend with pid {holder.pid}?", yes=yes)
        if not app.migrator.unlock(holder.pid):
            raise ConfigurationError(f"pid {holder.pid} no longer holds the migration lock", hint="nothing was changed")
        app.show(lambda to: to.terminated(holder), is_answer=False)


COMMANDS = (baseline, repair, cleanup, force_unlock)
