"""The frame of every command: shared options, an `App`, exit codes for errors, errors for signals."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from sqlmigrate.cli import alertagent, completion, variables
from sqlmigrate.cli.console import Console
from sqlmigrate.cli.headings import Choice, Command, Titled
from sqlmigrate.cli.signals import Signals
from sqlmigrate.config.options import CONNECTION, LOG_LEVELS, OPTIONS, OUTPUT, PROJECT, RUN, RUNS
from sqlmigrate.errors import ConfigurationError, SignalReceived, SqlMigrateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from click.shell_completion import CompletionItem

    from sqlmigrate.cli.renderer import Result
    from sqlmigrate.config.options import Option
    from sqlmigrate.config.settings import Settings
    from sqlmigrate.migrator import Migrator
    from sqlmigrate.model import Run, Version


class App:
    """The environment of a command: the settings, a migrator, and the console."""

    def __init__(self, console: Console, settings: Settings) -> None:
        self.settings = settings
        self.output_format = console.output_format
        self.show = console.show
        self.save = console.save
        self.warn = console.warning
        self._console = console

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

        gc.freeze()  # the modules live as long as the process: no collection goes through them, not even the last
        gc.set_threshold(COLLECTION)
        return Migrator(self.settings, self._console.event)

    def show_run(self, run: Run, result: Result | None = None) -> None:
        """Shows the result of a run, which is also sent to webhooks and commands; `result` renders it otherwise."""
        self._console.outcome = run
        empty = () if run.steps else self.empty_directories
        self.show(result or (lambda to: to.run(run, empty)), is_answer=False)

    @property
    def empty_directories(self) -> Sequence[str]:
        """The migrations directories, if they contain no migration."""
        from sqlmigrate.files import listing, naming

        names = (name for _, name in listing.files_in(self.settings.dir))
        return () if any(map(naming.is_migration, names)) else self.settings.dir

    def warn_of_unread_files(self, directories: Sequence[str] | None = None, reported: Collection[str] = ()) -> None:
        """Warns of files in the migrations directories that are probably meant as migrations, but are not read.

        Args:
            directories: the directories to search, instead of all.
            reported: files that the command reports itself.
        """
        from sqlmigrate.files import listing

        with contextlib.suppress(SqlMigrateError):  # the command reports it
            for problem in listing.unread(self.settings.dir if directories is None else directories):
                if problem.location is None or problem.location.path not in reported:
                    self.warn(f"{problem.location}: {problem.message}")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Prompts the user, unless `yes` is given.

        Raises:
            ConfigurationError: the answer is no, or there is no terminal.
        """
        if not yes and not self._console.ask(question):
            raise ConfigurationError(
                "not confirmed, nothing was changed", hint="answer y, or give --yes if there is no terminal"
            )


def command(
    name: str, formats: tuple[str, ...] = (), cls: type[click.Command] = Command
) -> Callable[[Callable[..., None]], click.Command]:
    """Returns a decorator that makes a command of a function, which receives an `App` and the command's own options.

    Args:
        name: the command's name.
        formats: the values of `--format`, if they are not only text and json.
        cls: the class of the command.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(**arguments: Any) -> None:
            options = {option.name: arguments.pop(option.name) for option in OPTIONS if option.name in arguments}
            is_quiet, is_verbose = arguments.pop("quiet"), arguments.pop("verbose")
            options["log_level"] = "debug" if is_verbose else options["log_level"]
            console = Console(arguments.pop("output_format"), options["log_level"], is_quiet=is_quiet)
            file, environment = arguments.pop("config", None), arguments.pop("env", None)
            arguments.pop("env_file", None)  # it was read before the options
            is_required = name in _READING or bool(arguments.get("dry_run")) or arguments.get("action") == "status"
            with result_required(console, is_required=is_required), errors_shown(console):
                _require_one(quiet=is_quiet, verbose=is_verbose)
                check_variables(console)
                settings = _settings(console, options, file, environment)
                app = _app(console, settings, "" if arguments.get("dry_run") else name)
                for warning in alertagent.ignored_variables(os.environ, options, settings):
                    app.warn(warning)
                if name in _SILENT_ON_FILES:
                    app.warn_of_unread_files()
                function(app, **arguments)

        made = click.command(name, cls=cls)(run)
        shared = [_format(formats) if option.name == "output_format" and formats else option for option in _SHARED]
        made.params += [option for option in shared if _has_option(name, option)]
        return made

    return decorate


@contextlib.contextmanager
def result_required(console: Console, *, is_required: bool) -> Iterator[None]:
    """Exits with the code of an error if a required result was lost, and the command exits with 0."""
    console.requires_result = is_required
    try:
        yield
    except SystemExit as end:
        if end.code or not console.has_lost_result:
            raise
    if is_required and console.has_lost_result:
        sys.exit(SqlMigrateError.exit_code)


@contextlib.contextmanager
def errors_shown(console: Console) -> Iterator[None]:
    """Shows an error, and exits with its code; closes the console."""
    try:
        yield
    except (SqlMigrateError, SignalReceived) as caught:
        error = caught.error if isinstance(caught, SignalReceived) else caught
        console.error(error)
        sys.exit(error.exit_code)
    except Exception as fault:  # an internal error is also logged and notified
        console.error(SqlMigrateError(f"internal error: {type(fault).__name__}", hint=_REPORT))
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)  # `--timeout` limits the run, not the report on it
        console.close()


def _require_one(**flags: bool) -> None:
    if all(flags.values()):
        raise ConfigurationError(f"{' and '.join(f'--{name}' for name in flags)} cannot be combined", hint="omit one")


def check_variables(console: Console) -> None:
    """Shows which variables set options of the command, and checks that sqlmigrate reads all of its variables.

    Raises:
        ConfigurationError: a variable is unknown.
    """
    context = click.get_current_context()
    root = context.find_root().command
    if notice := variables.notice(context):
        console.note(notice)
    if isinstance(root, click.Group):
        variables.check(os.environ, root)


def _settings(console: Console, options: dict[str, Any], file: str | None, environment: str | None) -> Settings:
    from sqlmigrate.config.settings import load_for_files  # `--help` needs no settings

    # Errors in the settings are logged, too.
    early = [options[name] or os.environ.get(f"SQLMIGRATE_{name.upper()}", "") for name in ("log_format", "log_file")]
    console.log_to(*early)
    settings = load_for_files(options, os.environ, file, environment)
    if options.get("backup_keep") and not settings.backup:
        raise ConfigurationError("--backup-keep requires --backup", hint="name the directory of the backups")
    console.set_defaults(settings.format, settings.log_level)
    console.log_to(settings.log_format, settings.log_file)
    return settings


def _app(console: Console, settings: Settings, command: str) -> App:
    app = App(console, settings)
    if command in RUNS and (settings.notify_url or settings.notify_command):
        from sqlmigrate.cli.notify import Notifier  # most projects configure no notification

        console.on_end.append(Notifier(settings, command, console.warning))
    if command in RUNS and settings.push:
        console.on_end.append(_pusher(app.migrator, settings.push, console.warning))
    if (signals := click.get_current_context().find_object(Signals)) is not None:
        signals.limit(settings.timeout)
    return app


def _pusher(migrator: Migrator, url: str, on_failure: Callable[[str], None]) -> Callable[[object], None]:
    """Returns a function that pushes the metrics after a run; a failure does not change the run's outcome."""

    def push(outcome: object) -> None:
        if isinstance(outcome, SqlMigrateError) and outcome.exit_code > 128:
            return  # a user who interrupts does not want to wait
        try:
            with contextlib.closing(migrator.exporter()) as exporter:
                # The connection, which is about to close, still holds the lock; the gateway would keep "held".
                exporter.push(url, omitted=["migration_lock_held"])
        except (SqlMigrateError, SignalReceived) as caught:
            on_failure(caught.error.message if isinstance(caught, SignalReceived) else caught.message)

    return push


def _shared_options() -> list[Titled]:
    """Returns the options that several commands share; sharing the objects keeps `--help` fast."""
    return [
        *(_setting(option) for option in OPTIONS if option.metavar),
        _KEEP_RUNNING,
        Titled(
            ["--config"],
            metavar="FILE",
            type=click.Path(),
            help="The configuration file.  [default: sqlmigrate.toml, pyproject.toml]",
            heading=PROJECT,
        ),
        Titled(
            ["--env"],
            metavar="NAME",
            help="An environment in the configuration file.",
            heading=PROJECT,
            shell_complete=completion.offer(completion.environments),
        ),
        Titled(
            ["--env-file"],
            metavar="FILE",
            type=click.Path(),
            help="Read variables from this file, such as .env; those of the environment override them.",
            heading=PROJECT,
        ),
        _format(("text", "json")),
        Titled(
            ["--log-level"],
            type=Choice(LOG_LEVELS),
            help="The lowest level of the progress on stderr.  [default: info]",
            heading=OUTPUT,
        ),
        *verbosity_options(),
    ]


def verbosity_options() -> tuple[Titled, Titled]:
    """Returns `--quiet` and `--verbose`."""
    quiet = "Print only errors, and the answer of a command that only reports."
    verbose = "Show each statement and its duration, and other details: --log-level debug."
    return (
        Titled(["--quiet", "-q"], is_flag=True, help=quiet, heading=OUTPUT),
        Titled(["--verbose", "-v"], is_flag=True, help=verbose, heading=OUTPUT),
    )


def _format(formats: tuple[str, ...]) -> Titled:
    return Titled(
        ["--format", "output_format"],
        type=Choice(formats),
        help="The output format.  [default: text]",
        heading=OUTPUT,
    )


def _setting(option: Option) -> Titled:
    names = [option.flag or f"--{option.name.replace('_', '-')}", option.name]
    is_multiple = option.name == "dir"
    path = click.Path() if option.metavar in ("FILE", "DIR") else None  # a shell completes paths
    return Titled(
        names, help=option.help, metavar=option.metavar, multiple=is_multiple, heading=option.heading, type=path
    )


COLLECTION = 10_000  # new objects; nearly all of a command live until its end
_REPORT = "report it with the traceback; the history table shows what was committed"
_KEEP_RUNNING = Titled(
    ["--keep-running"],
    is_flag=True,
    default=None,  # leaves it to the configuration file
    help="Leave the server of embedded:PATH running.",
    heading=CONNECTION,
)
_SHARED = _shared_options()
_COMMANDS = {option.name: option.commands for option in OPTIONS if option.commands}
# Commands whose result does not contain the problems of the files, and whose migrator does not warn of them.
_SILENT_ON_FILES = ("baseline", "repair", "renumber", "generate")
# Commands whose only effect is their result: they fail if it cannot be written.
_READING = (
    "rehearse",
    "stats",
    "status",
    "info",
    "check",
    "drift",
    "validate",
    "plan",
    "history",
    "lock-status",
    "metrics",
)
# Commands that do not connect to a database.
_ON_FILES = ("generate", "init")


def _has_option(command: str, option: Titled) -> bool:
    if command in _ON_FILES and option.heading in (CONNECTION, RUN):
        return False
    if command == "init" and option.heading == PROJECT:
        return False  # it creates the project
    return command in _COMMANDS.get(option.name or "", (command,))


class VersionType(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """A version, with or without `v`."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Version:
        """Returns the version, or raises click's usage error."""
        from sqlmigrate.files.naming import parse_version

        try:
            return parse_version(value)
        except ConfigurationError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Returns the versions of the migration files; with `v`, until the user types a digit."""
        from click.shell_completion import CompletionItem

        names = completion.offer(completion.versions)(ctx, param, incomplete)
        return [CompletionItem(version) for version in names if incomplete or version.startswith("v")]


class MomentType(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """A point in time, given as a date, a time, or an age."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Returns the point in time, or raises click's usage error."""
        from sqlmigrate.config.duration import moment

        try:
            return moment(value)
        except ConfigurationError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


version_option = functools.partial(click.option, "--version", type=VersionType(), metavar="V")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
dry_run_option = functools.partial(click.option, "--dry-run", is_flag=True)
