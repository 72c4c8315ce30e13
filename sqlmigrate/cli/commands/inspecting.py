"""The commands that report on migrations, the history, the lock and the metrics, and change no database."""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sqlmigrate.cli.app import MomentType, VersionType, command, dry_run_option, version_option
from sqlmigrate.cli.commands import linting
from sqlmigrate.cli.headings import Count
from sqlmigrate.errors import ConfigurationError, SignalReceived

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmigrate.cli.app import App
    from sqlmigrate.metrics.exporter import Exporter
    from sqlmigrate.model import Version
    from sqlmigrate.render.timeline import Place


_html = functools.partial(click.option, "--html", metavar="FILE", type=click.Path())


@command("status")
@_html(help="Also write an HTML page with the states and a timeline.")
def status(app: App, html: str | None) -> None:
    """Show the state of each migration.

    TOOK is the duration of the attempt that succeeded, without earlier attempts and the wait for the migration lock.
    """
    statuses = app.migrator.status()
    if html:
        from sqlmigrate.render import timeline  # loads jinja2

        app.save(html, timeline.status(statuses, app.migrator.history(), _place(app)))
    app.show(lambda to: to.status(statuses, app.settings.dir))


@command("info")
@click.argument("version", required=False, type=VersionType())
def info(app: App, version: Version | None) -> None:
    """Show all details of VERSION, or of all versions."""
    details = app.migrator.info(version)
    app.show(lambda to: to.info(details, app.settings.dir))


@command("check")
def check(app: App) -> None:
    """Exit 0 if the database is up to date, 3 if migrations are pending or invalid, for use at container start."""
    health = app.migrator.check()
    app.show(lambda to: to.health(health), is_answer=not health.up_to_date)
    sys.exit(0 if health.up_to_date else 3)


@command("drift")
@click.option(
    "--ignore",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Ignore differences whose kind and name match, such as 'index public.tmp_*'; may be repeated.",
)
@click.option("--sql", is_flag=True, help="Print the SQL that brings the database back to the files.")
def drift(app: App, patterns: tuple[str, ...], sql: bool) -> None:
    """Compare the database with what the applied migrations make; exit 3 on differences."""
    found = app.migrator.drift(patterns)
    if sql:
        app.show(lambda to: to.drift_sql(found), is_answer=bool(found.differences), escape_in_files=False)
    else:
        app.show(lambda to: to.drift(found), is_answer=bool(found.differences))
    sys.exit(3 if found.differences else 0)


@command("validate", linting.FORMATS)
@dry_run_option(help="Also run the pending migrations, and roll them back.")
@click.option("--roundtrip", is_flag=True, help="Only prove the down files, on an embedded server.")
@linting.options
def validate(app: App, dry_run: bool, roundtrip: bool, **linter_options: Any) -> None:
    """Check files and history for problems; with PATHS, lint these files without a database."""
    request = linting.Request(**linter_options)
    if roundtrip:
        _round_trip(app, request, dry_run=dry_run)
    if request.names_files:
        linting.lint(app, request, dry_run=dry_run)
    request.require_no_options(app.output_format)
    problems = app.migrator.validate()
    scope = "files and history: " if dry_run else ""  # the verdict on the rehearsal follows
    app.show(lambda to: to.problems(problems, scope), is_answer=bool(problems))
    if any(problem.level.value == "error" for problem in problems):
        sys.exit(1)
    if dry_run:
        rehearsal = app.migrator.rehearse()
        if rehearsal.failure:
            raise rehearsal.failure
        app.show(lambda to: to.dry_run(rehearsal), is_answer=False)


def _round_trip(app: App, request: linting.Request, *, dry_run: bool) -> NoReturn:
    if dry_run or request.names_files:
        raise ConfigurationError("--roundtrip cannot be combined with --dry-run or files", hint="omit one of them")
    version = request.postgres_version
    request._replace(postgres_version=None).require_no_options(app.output_format)
    if version is not None and not version.isdecimal():
        raise ConfigurationError(f"{version!r} is not a PostgreSQL version")
    result = app.offline_migrator.round_trip(*([int(version)] if version else []))
    app.show(lambda to: to.round_trip(result), is_answer=bool(result.findings))
    sys.exit(1 if result.faults else 0)


@command("history")
@version_option(help="Show only this version.")
@click.option(
    "--since", type=MomentType(), metavar="WHEN", help="Show entries since a date, a time, or an age such as 7d or 12h."
)
@click.option("--limit", type=Count(min=1), metavar="N", help="Show only the last N entries.")
@_html(help="Also write an HTML page with a timeline.")
def history(app: App, version: Version | None, since: datetime | None, limit: int | None, html: str | None) -> None:
    """Show the log table: each action with its user, time, duration and outcome.

    TOOK is the duration of the attempt that succeeded, without earlier attempts and the wait for the migration lock.
    """
    entries = app.migrator.history(version, since, limit)
    if html:
        from sqlmigrate.render import timeline

        app.save(html, timeline.history(entries, _place(app)))
    app.show(lambda to: to.history(entries))


def _place(app: App) -> Place:
    from datetime import datetime

    from sqlmigrate.render.timeline import Place

    return Place(*app.migrator.place, app.settings.history_table, datetime.now().astimezone())


@command("lock-status")
def lock_status(app: App) -> None:
    """Show the holder of the migration lock.

    For a run, it shows the migration, the statement, what that waits for, who blocks it, and who started the run.
    """
    activity = app.migrator.activity()
    app.show(lambda to: to.activity(activity))


@command("metrics")
@click.option("--textfile", metavar="FILE", type=click.Path(), help="Write the metrics to a file, for node_exporter.")
@click.option("--push", "gateway", metavar="URL", help="Push the metrics to a Pushgateway.")
@click.option("--serve", metavar="[HOST]:PORT", help="Serve the metrics to Prometheus until a signal arrives.")
def metrics(app: App, textfile: str | None, gateway: str | None, serve: str | None) -> None:
    """Show the metrics in Prometheus' text format; or write, push or serve them."""
    if sum(destination is not None for destination in (textfile, gateway, serve)) > 1:
        raise ConfigurationError("--textfile, --push and --serve cannot be combined", hint="give one of them")
    with contextlib.closing(app.migrator.exporter()) as exporter:
        if textfile is not None:
            exporter.write(textfile)
        elif gateway is not None:
            exporter.push(gateway)
        elif serve is not None:
            _serve(app, exporter, serve)
        else:
            samples = exporter.read()
            app.show(lambda to: to.metrics(samples), escape_in_files=False)


def _serve(app: App, exporter: Exporter, address: str) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)  # `--timeout` limits runs, not servers
    try:
        exporter.serve(address, lambda url: app.show(lambda to: to.serving(url), is_answer=False))
    except SignalReceived as received:  # the normal way to stop a server
        sys.exit(received.error.exit_code)


COMMANDS = (status, info, check, drift, validate, history, lock_status, metrics)
