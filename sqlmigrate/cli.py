"""The command line: arguments in, one call, render, exit code."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from sqlmigrate import __version__, cli_lint
from sqlmigrate.console import Console
from sqlmigrate.errors import ConfigurationError, Interrupted, SqlMigrateError, TimedOut
from sqlmigrate.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlmigrate.migrator import Migrator
    from sqlmigrate.model import Asked, Plan, Version
    from sqlmigrate.options import Option
    from sqlmigrate.plan_file import PlanFile

_EPILOG = """\b
Exit codes: 0 done · 1 failed · 2 usage or configuration · 3 pending or out of date (check)
            4 the lock was not had in time · 130/143 interrupted
Every option is also SQLMIGRATE_… in the environment, and a key of sqlmigrate.toml or [tool.sqlmigrate]."""


class App:
    """What a command gets: a migrator, and a place to show things."""

    def __init__(self, console: Console, migrator: Migrator) -> None:
        self.show = console.result
        self.save = console.save
        self.ask = console.ask
        self.migrator = migrator

    def planned(self, path: str, action: str) -> PlanFile:
        """A plan file for one of the two ways.

        Raises:
            ConfigurationError: it is none, or for the other way.
        """
        from sqlmigrate import plan_file

        file = plan_file.read(path)
        if file.asked.action.value != action:
            command = "rollback" if action == "apply" else "migrate"
            raise ConfigurationError(f"{path} is for the other way", hint=f"sqlmigrate {command} --plan {path}")
        return file

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


def _command(name: str, formats: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], click.Command]:
    """A command with the options that all have; its function gets an `App` and what is its own."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(**given: Any) -> None:
            shared = {option.name: given.pop(option.name) for option in OPTIONS if option.name in given}
            output_format = given.pop("output_format")
            console = Console(output_format, given.pop("log_level"))
            file, environment = given.pop("config"), given.pop("env")
            try:
                if cli_lint.is_asked(given, output_format):
                    cli_lint.validate(console, shared, given, file, environment)
                app = _app(console, shared, file, environment, "" if given.get("dry_run") else name)
                function(app, **given)
            except SqlMigrateError as error:
                console.error(error)
                sys.exit(error.exit_code)
            finally:
                console.close()

        command = main.command(name)(run)
        shared = [_format(formats) if option.name == "output_format" and formats else option for option in _SHARED]
        command.params += [*shared, *(_OF_RUNS if name in _RUNS else ())]
        return command

    return decorate


def _app(console: Console, given: dict[str, Any], file: str | None, environment: str | None, command: str) -> App:
    from sqlmigrate.config import load  # `--help` needs neither settings nor psycopg
    from sqlmigrate.migrator import Migrator

    # What is wrong with the settings is to be logged, too.
    early = [given[name] or os.environ.get(f"SQLMIGRATE_{name.upper()}", "") for name in ("log_format", "log_file")]
    console.log_to(*early)
    settings = load(given, os.environ, file, environment)
    console.log_to(settings.log_format, settings.log_file)
    if command in _RUNS and (settings.notify_url or settings.notify_command):
        from sqlmigrate.notify import Notifier  # most tell nobody

        console.on_end = Notifier(settings, command, console.warning)
    _obey_signals(settings.timeout)
    return App(console, Migrator(settings, console.event))


def _shared_options() -> list[click.Parameter]:
    """The options of every command; made once, since `--help` would take longer with a hundred of them."""
    settings = [_setting(option) for option in OPTIONS if option.metavar and option.everywhere]
    levels = click.Choice(["error", "warning", "info", "debug"])
    return [
        *settings,
        click.Option(
            ["--config"], metavar="FILE", help="A configuration file.  [default: sqlmigrate.toml, pyproject.toml]"
        ),
        click.Option(["--env"], metavar="NAME", help="An environment of the configuration file."),
        _format(("text", "json")),
        click.Option(
            ["--log-level"],
            type=levels,
            default="info",
            envvar="SQLMIGRATE_LOG_LEVEL",
            help="How much progress is shown on stderr.  [default: info]",
        ),
    ]


def _format(known: tuple[str, ...]) -> click.Option:
    return click.Option(
        ["--format", "output_format"],
        type=click.Choice(known),
        default="text",
        envvar="SQLMIGRATE_FORMAT",
        help="How results are shown.  [default: text]",
    )


def _setting(option: Option) -> click.Option:
    names = [f"--{option.name.replace('_', '-')}", option.name]
    return click.Option(names, help=option.help, metavar=option.metavar, multiple=option.name == "dir")


_SHARED = _shared_options()
_RUNS = ("migrate", "rollback")
_OF_RUNS = [_setting(option) for option in OPTIONS if option.metavar and not option.everywhere]


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


def _alone(what: str, *others: object) -> None:
    """Refuses options that a plan file has its own word on.

    Raises:
        ConfigurationError
    """
    if any(others):
        raise ConfigurationError(f"{what} goes with no other choice of what to run")


_version = functools.partial(click.option, "--version", type=_VersionType(), metavar="V")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_dry_run = functools.partial(click.option, "--dry-run", is_flag=True)


_target = click.option("--target", type=_VersionType(), metavar="V", help="The last version to apply.")
_out_of_order = click.option("--out-of-order", is_flag=True, help="Also apply what is older than the newest applied.")
_plan = click.option("--plan", "plan_path", metavar="FILE", help="Run exactly this plan; see `sqlmigrate plan --out`.")


@_command("migrate")
@_target
@_dry_run(help="Show the plan and the SQL; change nothing.")
@_out_of_order
@_plan
def migrate(app: App, target: Version | None, dry_run: bool, out_of_order: bool, plan_path: str | None) -> None:
    """Apply what is pending."""
    if plan_path:
        _alone("--plan", target, out_of_order, dry_run)
        file = app.planned(plan_path, "apply")
        app.show("run", app.migrator.run(file.asked, file))
        return
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


@_command("validate", cli_lint.FORMATS)
@_dry_run(help="Also run what is pending, in a transaction that is rolled back.")
@cli_lint.options
def validate(app: App, dry_run: bool, **_: Any) -> None:
    """Report every problem of files and history; of PATHS, without a database, what is wrong or unsafe in them."""
    problems = app.migrator.validate()
    app.show("problems", problems)
    if any(problem.level.value == "error" for problem in problems):
        sys.exit(1)
    if dry_run:
        app.show("rehearsal", app.migrator.rehearse())


main.add_command(cli_lint.rules)


@_command("rollback")
@_version(help="The version to go back to; it stays applied.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="How many to take back.")
@_dry_run(help="Show the plan and the SQL; change nothing.")
@_plan
@_yes
def rollback(
    app: App, version: Version | None, steps: int | None, dry_run: bool, plan_path: str | None, yes: bool
) -> None:
    """Take back what is newer than a version, or the last so many."""
    if plan_path:
        _alone("--plan", version, steps, dry_run)
        file = app.planned(plan_path, "rollback")
        app.confirm(app.migrator.planned(file.asked), "Roll back?", yes=yes)
        app.show("run", app.migrator.run(file.asked, file))
        return
    plan = app.migrator.plan_rollback(version, steps)
    if dry_run:
        app.show("plan", plan, app.migrator.preview(plan))
        sys.exit(1 if plan.errors else 0)
    app.confirm(plan, "Roll back?", yes=yes)
    app.show("run", app.migrator.rollback(version, steps))


@_command("plan", ("text", "json", "markdown"))
@_target
@_out_of_order
@click.option("--rollback", "back", is_flag=True, help="Plan a rollback, with --version or --steps.")
@_version(help="The version to go back to; it stays applied.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="How many to take back.")
@click.option("--out", metavar="FILE", help="Also write the plan file that `approve` and `migrate --plan` take.")
@click.option("--html", metavar="FILE", help="Also write a page to review it by.")
def plan(app: App, back: bool, out: str | None, html: str | None, **asked: Any) -> None:
    """Show what would run, statement by statement, with its locks."""
    review = app.migrator.review(_asked(back, **asked))
    if out:
        app.save(out, "json", "review", review)
    if html:
        app.save(html, "html", "review", review)
    app.show("review", review)
    sys.exit(1 if review.plan.errors else 0)


def _asked(back: bool, target: Version | None, out_of_order: bool, version: Version | None, steps: int | None) -> Asked:
    from sqlmigrate.model import Action, Asked

    if not back:
        if version or steps:
            raise ConfigurationError("--version and --steps are for --rollback", hint="sqlmigrate plan --rollback …")
        return Asked(Action.APPLY, target, out_of_order=out_of_order)
    _alone("--rollback", target, out_of_order)
    if (version is None) == (steps is None):
        raise ConfigurationError("give --version or --steps", hint="sqlmigrate plan --rollback --steps 1")
    return Asked(Action.ROLL_BACK, version, steps)


@_command("approve")
@click.argument("file")
@_yes
def approve(app: App, file: str, yes: bool) -> None:
    """Approve the plan in FILE: the log says who, when, and of which digest."""
    from sqlmigrate import plan_file

    planned = plan_file.read(file)
    app.show("plan", app.migrator.planned(planned.asked))
    if not yes:
        app.agree(f"Approve this plan ({planned.digest[:12]})?")
    app.migrator.approve(planned)
    app.show("approved", planned)


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


class _MomentType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.2 on only
    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        from sqlmigrate.duration import moment

        try:
            return moment(value)
        except ConfigurationError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


@_command("history")
@_version(help="Only of this one.")
@click.option("--since", type=_MomentType(), metavar="WHEN", help="A date, a time, or an age such as 7d or 12h.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the last so many.")
def history(app: App, version: Version | None, since: datetime | None, limit: int | None) -> None:
    """Show the log: who did what, when, how long it took and how it ended."""
    app.show("history", app.migrator.history(version, since, limit))


@_command("cleanup")
@click.option(
    "--keep-days", type=click.IntRange(1, 36500), required=True, metavar="N", help="How much of the log is kept."
)
@_dry_run(help="Only say how much would go.")
def cleanup(app: App, keep_days: int, dry_run: bool) -> None:
    """Prune the log. What is applied stays known, and the metrics go on."""
    pruned = app.migrator.plan_cleanup(keep_days) if dry_run else app.migrator.cleanup(keep_days)
    app.show("pruned", pruned)


@_command("metrics")
@click.option("--textfile", metavar="FILE", help="Write them to a file, for node_exporter.")
@click.option("--push", metavar="URL", help="Push them to a Pushgateway.")
@click.option("--serve", metavar="[HOST]:PORT", help="Answer Prometheus until a signal comes.")
def metrics(app: App, textfile: str | None, push: str | None, serve: str | None) -> None:
    """Show the metrics in the text that Prometheus reads; or write, push or serve them."""
    if sum(way is not None for way in (textfile, push, serve)) > 1:
        raise ConfigurationError("give one of --textfile, --push and --serve")
    with contextlib.closing(app.migrator.exporter()) as exporter:
        if textfile is not None:
            exporter.write(textfile)
        elif push is not None:
            exporter.push(push)
        elif serve is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)  # the time limit is for runs
            exporter.serve(serve, lambda url: app.show("serving", url))
        else:
            app.show("metrics", exporter.read())
