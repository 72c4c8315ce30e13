"""The command line: arguments in, one call, render, exit code."""

from __future__ import annotations

import functools
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from sqlmigrate import __version__
from sqlmigrate.console import Console
from sqlmigrate.errors import ConfigurationError, Interrupted, SqlMigrateError, TimedOut
from sqlmigrate.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.migrator import Migrator
    from sqlmigrate.model import Plan, Version

_EPILOG = """\b
Exit codes: 0 done · 1 failed · 2 usage or configuration · 3 pending or out of date (check)
            4 the lock was not had in time · 130/143 interrupted
Every option is also SQLMIGRATE_… in the environment, and a key of sqlmigrate.toml or [tool.sqlmigrate]."""


class App:
    """What a command gets: a migrator, and a place to show things."""

    def __init__(self, console: Console, migrator: Migrator) -> None:
        self.show = console.result
        self.ask = console.ask
        self.migrator = migrator

    def confirm(self, plan: Plan, question: str, *, yes: bool) -> None:
        """Shows a plan and asks; without a terminal `--yes` is needed.

        Raises:
            ConfigurationError: the answer is no.
        """
        if plan.steps and not plan.errors and not yes:
            self.show("plan", plan)
            self.agree(question)

    def agree(self, question: str) -> None:
        """Asks.

        Raises:
            ConfigurationError: the answer is no.
        """
        if not self.ask(question):
            raise ConfigurationError("nothing was done", hint="say yes, or give --yes where nobody can be asked")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=_EPILOG)
@click.version_option(__version__, "-V", "--version", message="sqlmigrate %(version)s")
def main() -> None:
    """Applies plain SQL files to PostgreSQL: in order, once, under a lock; and takes them back."""


def _command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command with the options that all have; its function gets an `App` and what is its own."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(**given: Any) -> None:
            shared = {option.name: given.pop(option.name) for option in OPTIONS if option.name in given}
            console = Console(given.pop("output_format"), given.pop("log_level"))
            file, environment = given.pop("config"), given.pop("env")
            try:
                app = _app(console, shared, file, environment)
                function(app, **given)
            except SqlMigrateError as error:
                console.error(error)
                sys.exit(error.exit_code)
            finally:
                console.close()

        command = main.command(name)(run)
        command.params += _SHARED
        return command

    return decorate


def _app(console: Console, given: dict[str, Any], file: str | None, environment: str | None) -> App:
    from sqlmigrate.config import load  # `--help` needs neither settings nor psycopg
    from sqlmigrate.migrator import Migrator

    settings = load(given, os.environ, file, environment)
    _obey_signals(settings.timeout)
    return App(console, Migrator(settings, console.event))


def _shared_options() -> list[click.Parameter]:
    """The options of every command; made once, since `--help` would take longer with a hundred of them."""
    settings = [
        click.Option(
            [f"--{option.name.replace('_', '-')}", option.name],
            help=option.help,
            metavar=option.metavar,
            multiple=option.name == "dir",
        )
        for option in OPTIONS
        if option.metavar and option.everywhere
    ]
    levels = click.Choice(["error", "warning", "info", "debug"])
    return [
        *settings,
        click.Option(
            ["--config"], metavar="FILE", help="A configuration file.  [default: sqlmigrate.toml, pyproject.toml]"
        ),
        click.Option(["--env"], metavar="NAME", help="An environment of the configuration file."),
        click.Option(
            ["--format", "output_format"],
            type=click.Choice(["text", "json"]),
            default="text",
            envvar="SQLMIGRATE_FORMAT",
            help="How results are shown.  [default: text]",
        ),
        click.Option(
            ["--log-level"],
            type=levels,
            default="info",
            envvar="SQLMIGRATE_LOG_LEVEL",
            help="How much progress is shown on stderr.  [default: info]",
        ),
    ]


_SHARED = _shared_options()


def _obey_signals(timeout_ms: int) -> None:
    """SIGINT, SIGTERM and the time limit end the run as errors do: cancel, roll back, unlock. A second is ignored."""

    def stop(number: int, _: object) -> None:
        for caught in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(caught, signal.SIG_IGN)
        if number == signal.SIGALRM:
            raise TimedOut(f"the run took longer than {timeout_ms / 1000:g} s", hint="raise --timeout, and run again")
        raise Interrupted(number)

    for caught in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(caught, stop)
    signal.setitimer(signal.ITIMER_REAL, timeout_ms / 1000)


class _VersionType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.2 on only
    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Version:
        from sqlmigrate.naming import parse_version

        try:
            return parse_version(value)
        except ConfigurationError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


_version = functools.partial(click.option, "--version", type=_VersionType(), metavar="V")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_dry_run = functools.partial(click.option, "--dry-run", is_flag=True)


@_command("migrate")
@click.option("--target", type=_VersionType(), metavar="V", help="The last version to apply.")
@_dry_run(help="Show the plan and the SQL; change nothing.")
@click.option("--out-of-order", is_flag=True, help="Also apply what is older than the newest applied.")
def migrate(app: App, target: Version | None, dry_run: bool, out_of_order: bool) -> None:
    """Apply what is pending."""
    if dry_run:
        plan = app.migrator.plan(target, out_of_order=out_of_order)
        app.show("plan", plan, app.migrator.preview(plan))
        sys.exit(1 if plan.errors else 0)
    app.show("run", app.migrator.migrate(target, out_of_order=out_of_order))


@_command("status")
def status(app: App) -> None:
    """Show where each migration stands."""
    app.show("status", app.migrator.status())


@_command("info")
@click.argument("version", required=False, type=_VersionType())
def info(app: App, version: Version | None) -> None:
    """Show everything known of VERSION, or of all."""
    app.show("info", app.migrator.info(version))


@_command("check")
def check(app: App) -> None:
    """Exit 0 when up to date, 3 when pending or invalid. For a container's start."""
    health = app.migrator.check()
    app.show("health", health)
    sys.exit(0 if health.up_to_date else 3)


@_command("validate")
@_dry_run(help="Also run what is pending, in a transaction that is rolled back.")
def validate(app: App, dry_run: bool) -> None:
    """Report every problem of files and history."""
    problems = app.migrator.validate()
    app.show("problems", problems)
    if any(problem.level.value == "error" for problem in problems):
        sys.exit(1)
    if dry_run:
        app.show("rehearsal", app.migrator.rehearse())


@_command("rollback")
@_version(help="The version to go back to; it stays applied.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="How many to take back.")
@_dry_run(help="Show the plan and the SQL; change nothing.")
@_yes
def rollback(app: App, version: Version | None, steps: int | None, dry_run: bool, yes: bool) -> None:
    """Take back what is newer than a version, or the last so many."""
    plan = app.migrator.plan_rollback(version, steps)
    if dry_run:
        app.show("plan", plan, app.migrator.preview(plan))
        sys.exit(1 if plan.errors else 0)
    app.confirm(plan, "Roll back?", yes=yes)
    app.show("run", app.migrator.rollback(version, steps))


@_command("baseline")
@_version(required=True, help="The last version that the database already has.")
def baseline(app: App, version: Version) -> None:
    """Mark a version and all before it as applied, without running them."""
    app.show("baseline", app.migrator.baseline(version))


@_command("repair")
@_version(help="Only this one.")
@_yes
def repair(app: App, version: Version | None, yes: bool) -> None:
    """Take checksums from disk, remove failed rows, let go of files that are gone. Shows it, and asks."""
    mends = app.migrator.plan_repair(version)
    app.show("mends", mends)
    if mends:
        if not yes:
            app.agree("Do this?")
        app.migrator.repair(version)


@_command("lock-status")
def lock_status(app: App) -> None:
    """Show who holds the migration lock."""
    app.show("holder", app.migrator.lock_holder())


@_command("force-unlock")
@_yes
def force_unlock(app: App, yes: bool) -> None:
    """End the backend that holds the migration lock, after asking."""
    holder = app.migrator.lock_holder()
    app.show("holder", holder)
    if holder is not None:
        if not yes:
            app.agree(f"End the backend with pid {holder.pid}?")
        if not app.migrator.unlock(holder.pid):
            raise ConfigurationError(f"pid {holder.pid} does not hold the lock any more", hint="nothing was done")


@main.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands and options: eval "$(sqlmigrate completion bash)"."""
    from click.shell_completion import get_completion_class  # for this command alone

    made = get_completion_class(shell)
    if made is not None:
        Console().text(made(main, {}, "sqlmigrate", "_SQLMIGRATE_COMPLETE").source())
