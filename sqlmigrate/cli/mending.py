"""The commands that put the history, the log and the lock in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sqlmigrate.cli.app import command, dry_run_option, version_option, yes_option
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlmigrate.cli.app import App
    from sqlmigrate.model import Version


@command("baseline")
@version_option(required=True, help="The last version that the database already has.")
def baseline(app: App, version: Version) -> None:
    """Mark a version and all before it as applied, without running them."""
    app.show("baseline", app.migrator.baseline(version))


@command("repair")
@version_option(help="Only this one.")
@yes_option
def repair(app: App, version: Version | None, yes: bool) -> None:
    """Take checksums from disk, remove failed rows, let go of files that are gone. Shows it, and asks."""
    mends = app.migrator.plan_repair(version)
    app.show("mends", mends)
    if mends:
        if not yes:
            app.agree("Do this?")
        app.migrator.repair(version)


@command("cleanup")
@click.option(
    "--keep-days", type=click.IntRange(1, 36500), required=True, metavar="N", help="How much of the log is kept."
)
@dry_run_option(help="Only say how much would go.")
def cleanup(app: App, keep_days: int, dry_run: bool) -> None:
    """Prune the log. What is applied stays known, and the metrics go on."""
    pruned = app.migrator.plan_cleanup(keep_days) if dry_run else app.migrator.cleanup(keep_days)
    app.show("pruned", pruned)


@command("force-unlock")
@yes_option
def force_unlock(app: App, yes: bool) -> None:
    """End the backend that holds the migration lock, after asking."""
    holder = app.migrator.lock_holder()
    app.show("holder", holder)
    if holder is not None:
        if not yes:
            app.agree(f"End the backend with pid {holder.pid}?")
        if not app.migrator.unlock(holder.pid):
            raise ConfigurationError(f"pid {holder.pid} does not hold the lock any more", hint="nothing was done")


COMMANDS = (baseline, repair, cleanup, force_unlock)
