"""The commands that look, and change nothing that is applied."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from sqlmigrate.cli import linting
from sqlmigrate.cli.app import MomentType, VersionType, command, dry_run_option, version_option
from sqlmigrate.errors import ConfigurationError, Interrupted

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmigrate.cli.app import App
    from sqlmigrate.model import Version


@command("status")
def status(app: App) -> None:
    """Show where each migration stands."""
    app.show("status", app.migrator.status())


@command("info")
@click.argument("version", required=False, type=VersionType())
def info(app: App, version: Version | None) -> None:
    """Show everything known of VERSION, or of all."""
    app.show("info", app.migrator.info(version))


@command("check")
def check(app: App) -> None:
    """Exit 0 when up to date, 3 when pending or invalid. For a container's start."""
    health = app.migrator.check()
    app.show("health", health)
    sys.exit(0 if health.up_to_date else 3)


@command("validate", linting.FORMATS)
@dry_run_option(help="Also run what is pending, in a transaction that is rolled back.")
@linting.options
def validate(app: App, dry_run: bool, **linter_options: Any) -> None:
    """Check files and history for problems; with PATHS, lint these files without a database."""
    request = linting.Request(**linter_options)
    if request.names_files:
        linting.lint(app, request, dry_run=dry_run)
    request.require_no_options(app.output_format)
    problems = app.migrator.validate()
    app.show("problems", problems)
    if any(problem.level.value == "error" for problem in problems):
        sys.exit(1)
    if dry_run:
        app.show("rehearsal", app.migrator.rehearse())


@command("history")
@version_option(help="Only of this one.")
@click.option("--since", type=MomentType(), metavar="WHEN", help="A date, a time, or an age such as 7d or 12h.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the last so many.")
def history(app: App, version: Version | None, since: datetime | None, limit: int | None) -> None:
    """Show the log: who did what, when, how long it took and how it ended."""
    app.show("history", app.migrator.history(version, since, limit))


@command("lock-status")
def lock_status(app: App) -> None:
    """Show who holds the migration lock."""
    app.show("holder", app.migrator.lock_holder())


@command("metrics")
@click.option("--textfile", metavar="FILE", type=click.Path(), help="Write them to a file, for node_exporter.")
@click.option("--push", "gateway", metavar="URL", help="Push them to a Pushgateway.")
@click.option("--serve", metavar="[HOST]:PORT", help="Answer Prometheus until a signal comes.")
def metrics(app: App, textfile: str | None, gateway: str | None, serve: str | None) -> None:
    """Show the metrics in the text that Prometheus reads; or write, push or serve them."""
    if sum(way is not None for way in (textfile, gateway, serve)) > 1:
        raise ConfigurationError("give one of --textfile, --push and --serve")
    with contextlib.closing(app.migrator.exporter()) as exporter:
        if textfile is not None:
            exporter.write(textfile)
        elif gateway is not None:
            exporter.push(gateway)
        elif serve is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)  # the time limit is for runs
            try:
                exporter.serve(serve, lambda url: app.show("serving", url))
            except Interrupted as ended:  # as it is meant to
                sys.exit(ended.exit_code)
        else:
            app.show("metrics", exporter.read())


COMMANDS = (status, info, check, validate, history, lock_status, metrics)
