"""What every command is made of: the options that all have, an `App`, errors to exit codes, signals to errors."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from sqlmigrate.cli import completing
from sqlmigrate.cli.console import Console
from sqlmigrate.cli.headings import Command, Titled
from sqlmigrate.config.options import CONNECTION, OPTIONS, OUTPUT, PROJECT, RUN, RUNS
from sqlmigrate.errors import ConfigurationError, Interrupted, SqlMigrateError, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from click.shell_completion import CompletionItem

    from sqlmigrate.config.options import Option
    from sqlmigrate.config.settings import Settings
    from sqlmigrate.migrator import Migrator
    from sqlmigrate.model import Plan, Version


class App:
    """What a command gets: the settings, a migrator, and a place to show things."""

    def __init__(self, console: Console, settings: Settings) -> None:
        self.output_format = console.output_format
        self.show = console.result
        self.warn = console.warning
        self.save = console.save
        self.ask = console.ask
        self.settings = settings
        self._on_event = console.event

    @functools.cached_property
    def migrator(self) -> Migrator:
        """The migrator of the configured database.

        Raises:
            NoDatabaseConfigured
        """
        from sqlmigrate.config.settings import require_database

        require_database(self.settings, os.environ)
        return self.offline_migrator

    @functools.cached_property
    def offline_migrator(self) -> Migrator:
        """A migrator for a command that works on files; it requires no database as long as it does not connect."""
        from sqlmigrate.migrator import Migrator  # loads psycopg, which other commands do not need

        return Migrator(self.settings, self._on_event)

    def confirm(self, plan: Plan, question: str, *, yes: bool) -> None:
        """Shows a plan and asks; without a terminal `--yes` is needed.

        Raises:
            ConfigurationError: the answer is no.
        """
        if plan.steps and not plan.errors and not yes:
            self.show("plan", plan)
            self.agree(question)

    def agree(self, question: str) -> None:
        """Prompts the user.

        Raises:
            ConfigurationError: the answer is no.
        """
        if not self.ask(question):
            raise ConfigurationError(
                "not confirmed, nothing was changed", hint="answer y, or give --yes if there is no terminal"
            )


def command(name: str, formats: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], click.Command]:
    """A command with the options that all have; its function gets an `App` and what is its own."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(**given: Any) -> None:
            shared = {option.name: given.pop(option.name) for option in OPTIONS if option.name in given}
            console = Console(given.pop("output_format"), shared["log_level"])
            file, environment = given.pop("config", None), given.pop("env", None)
            try:
                settings = _settings(console, shared, file, environment)
                function(_app(console, settings, "" if given.get("dry_run") else name), **given)
            except SqlMigrateError as error:
                console.error(error)
                sys.exit(error.exit_code)
            except Exception as error:  # ours to mend; the log, and whoever is notified, hear of it too
                _exit_where_struck(console, error)
                console.error(SqlMigrateError(f"a fault of sqlmigrate's own: {type(error).__name__}", hint=_REPORT))
                raise
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)  # the limit is the run's, not that of telling how it went
                console.close()

        made = click.command(name, cls=Command)(run)
        shared = [_format(formats) if option.name == "output_format" and formats else option for option in _SHARED]
        made.params += [option for option in shared if _has(name, option)]
        return made

    return decorate


def _exit_where_struck(console: Console, error: Exception) -> None:
    """Ends a run by the signal that came within a class statement of an imported module: Python to 3.11 wraps it."""
    struck = error.__cause__
    if isinstance(struck, (Interrupted, TimedOut)):
        console.error(struck)
        sys.exit(struck.exit_code)


def _settings(console: Console, given: dict[str, Any], file: str | None, environment: str | None) -> Settings:
    from sqlmigrate.config.settings import load_for_files  # `--help` needs no settings

    # What is wrong with the settings is to be logged, too.
    early = [given[name] or os.environ.get(f"SQLMIGRATE_{name.upper()}", "") for name in ("log_format", "log_file")]
    console.log_to(*early)
    settings = load_for_files(given, os.environ, file, environment)
    console.fall_back_on(settings.format, settings.log_level)
    console.log_to(settings.log_format, settings.log_file)
    return settings


def _app(console: Console, settings: Settings, command: str) -> App:
    app = App(console, settings)
    if command in RUNS and (settings.notify_url or settings.notify_command):
        from sqlmigrate.cli.notify import Notifier  # most tell nobody

        console.on_end.append(Notifier(settings, command, console.warning))
    if command in RUNS and settings.push:
        console.on_end.append(_pusher(app.migrator, settings.push, console.warning))
    _obey_signals(settings.timeout)
    return app


def _pusher(migrator: Migrator, url: str, on_failure: Callable[[str], None]) -> Callable[[object], None]:
    """Pushes the metrics when a run is over; whatever becomes of it, the run is what it was."""

    def push(end: object) -> None:
        if isinstance(end, SqlMigrateError) and end.exit_code > 128:
            return  # who interrupts does not want to wait
        try:
            with contextlib.closing(migrator.exporter()) as exporter:
                # Ours goes with its connection, in a moment, and would stand there as held until the next run.
                exporter.push(url, left_out=["migration_lock_held"])
        except SqlMigrateError as error:
            on_failure(error.message)

    return push


def _shared_options() -> list[Titled]:
    """The options of several commands; made once, since `--help` would take longer with a hundred of them."""
    settings = [_setting(option) for option in OPTIONS if option.metavar]
    levels = click.Choice(["error", "warning", "info", "debug"])
    return [
        *settings,
        Titled(
            ["--config"],
            metavar="FILE",
            type=click.Path(),
            help="A configuration file.  [default: sqlmigrate.toml, pyproject.toml]",
            heading=PROJECT,
        ),
        Titled(
            ["--env"],
            metavar="NAME",
            help="An environment of the configuration file.",
            heading=PROJECT,
            shell_complete=completing.offer(completing.environments),
        ),
        _format(("text", "json")),
        Titled(
            ["--log-level"],
            type=levels,
            envvar="SQLMIGRATE_LOG_LEVEL",
            help="How much progress is shown on stderr.  [default: info]",
            heading=OUTPUT,
        ),
    ]


def _format(known: tuple[str, ...]) -> Titled:
    return Titled(
        ["--format", "output_format"],
        type=click.Choice(known),
        envvar="SQLMIGRATE_FORMAT",
        help="How results are shown.  [default: text]",
        heading=OUTPUT,
    )


def _setting(option: Option) -> Titled:
    names = [option.flag or f"--{option.name.replace('_', '-')}", option.name]
    several = option.name == "dir"
    kind = click.Path() if option.metavar in ("FILE", "DIR") else None  # which a shell completes
    return Titled(names, help=option.help, metavar=option.metavar, multiple=several, heading=option.heading, type=kind)


_REPORT = "please report it, with the traceback; the history says what was committed"
_SHARED = _shared_options()
_COMMANDS = {option.name: option.commands for option in OPTIONS if option.commands}
# These connect nowhere.
_ON_FILES = ("generate", "init")


def _has(command: str, option: Titled) -> bool:
    if command in _ON_FILES and option.heading in (CONNECTION, RUN):
        return False
    if command == "init" and option.heading == PROJECT:
        return False  # it is about to make one
    return command in _COMMANDS.get(option.name or "", (command,))


def _obey_signals(timeout_ms: int) -> None:
    """SIGINT, SIGTERM and the time limit end the run as errors do: cancel, roll back, unlock. A second is ignored."""

    def stop(number: int, _: object) -> None:
        for one in caught:
            signal.signal(one, signal.SIG_IGN)
        if number == signal.SIGALRM:
            raise TimedOut(f"the run took longer than {timeout_ms / 1000:g} s", hint="raise --timeout, and run again")
        raise Interrupted(number)

    caught = [signal.SIGINT, signal.SIGTERM, signal.SIGALRM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup's word
        caught.append(signal.SIGHUP)
    for one in caught:
        signal.signal(one, stop)
    signal.setitimer(signal.ITIMER_REAL, timeout_ms / 1000)


class VersionType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.2 on only
    """A version as people type it."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Version:
        """The version, or click's own error."""
        from sqlmigrate.files.naming import parse_version

        try:
            return parse_version(value)
        except ConfigurationError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The versions whose files are there."""
        from click.shell_completion import CompletionItem

        found = completing.offer(completing.versions)(ctx, param, incomplete)
        return [CompletionItem(version) for version in found if incomplete or version.startswith("v")]


class MomentType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.2 on only
    """A date, a time, or an age."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, or click's own error."""
        from sqlmigrate.duration import moment

        try:
            return moment(value)
        except ConfigurationError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


version_option = functools.partial(click.option, "--version", type=VersionType(), metavar="V")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
dry_run_option = functools.partial(click.option, "--dry-run", is_flag=True)
