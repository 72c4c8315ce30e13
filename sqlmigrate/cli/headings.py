"""Help texts that list options and commands under headings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from sqlmigrate.cli import misplaced, usage, variables
from sqlmigrate.cli.signals import Signals
from sqlmigrate.config.suggestion import did_you_mean
from sqlmigrate.errors import SignalReceived

if TYPE_CHECKING:
    from collections.abc import Iterable

_ONE_HYPHEN = re.compile(r"-[a-z][a-z-]+(?==|$)")


def _refuse_one_hyphen(command: click.Command, ctx: click.Context, arguments: Iterable[str]) -> None:
    """Names the first option that is written with one hyphen, as in Go; click names only its first unknown letter."""
    names = _names(command, ctx)
    for match in filter(None, map(_ONE_HYPHEN.match, arguments)):
        if f"-{match[0]}" in names:
            raise click.NoSuchOption(match[0], possibilities=[f"-{match[0]}"], ctx=ctx)


def _refuse_arguments(command: click.Command, ctx: click.Context, given: Iterable[str]) -> None:
    """Names the option that the first argument lacks, if the command takes no arguments."""
    if any(isinstance(parameter, click.Argument) for parameter in command.params):
        return
    extra = command.make_parser(ctx).parse_args(args=[*given])[1]
    if extra and (option := misplaced.missing_option(extra[0], _names(command, ctx))):
        ctx.fail(f"Got unexpected extra argument ({extra[0]}): did you mean {option}?")


def _names(command: click.Command, ctx: click.Context) -> set[str]:
    return {name for parameter in command.get_params(ctx) for name in parameter.opts}


class Titled(click.Option):
    """An option that the help lists under a heading."""

    def __init__(self, *arguments: Any, heading: str, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.heading = heading


class Choice(click.Choice):  # type: ignore[type-arg]  # generic only since click 8.2
    """A choice whose error proposes the closest value."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the value, or raises click's usage error."""
        if str(value).lower() == "html" and ctx and "--html" in _names(ctx.command, ctx):
            self.fail(
                f"{value!r} is not one of {', '.join(map(repr, self.choices))}; did you mean --html FILE?", param, ctx
            )
        if value not in self.choices and (hint := did_you_mean(str(value), [str(choice) for choice in self.choices])):
            self.fail(f"{value!r} is not one of {', '.join(map(repr, self.choices))}; {hint}", param, ctx)
        return super().convert(value, param, ctx)


class Count(click.IntRange):
    """A whole number; click's error calls it an integer range."""

    name = "whole number"


class _Reporting(click.Command):
    """A command that reports errors of usage in the form of all other errors."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Reads the arguments; they may ask for the help, which is written here."""
        if extra.get("resilient_parsing"):  # the shell completes a word
            return super().make_context(info_name, args, parent, **extra)
        with usage.errors_reported(f"{parent.command_path} {info_name}" if parent else info_name or ""):
            return super().make_context(info_name, args, parent, **extra)


class Command(_Reporting):
    """A command whose help lists its own options first, then the shared options under their headings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the options of the environment before those of the command line, which override them."""
        if ctx.resilient_parsing:  # the shell completes a word
            return super().parse_args(ctx, args)
        given = [*args]  # click removes what it reads
        try:
            return super().parse_args(ctx, [*variables.arguments(self, ctx, args), *args])
        except click.NoSuchOption as error:
            _refuse_one_hyphen(self, ctx, given)
            if option := misplaced.other_option(error.option_name, _names(self, ctx)):
                ctx.fail(f"No such option {error.option_name!r}: did you mean {option}?")
            raise
        except click.BadParameter as error:
            if isinstance(error, click.MissingParameter):
                _refuse_arguments(self, ctx, given)
            if error.param and (variable := variables.used(ctx).get(error.param.name or "")):
                raise click.BadParameter(f"{variable}: {error.message}", ctx, error.param) from None
            raise
        except click.UsageError:
            _refuse_arguments(self, ctx, given)
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a list for each heading, where click writes one list."""
        lists: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):  # some versions of click list arguments, too
                lists.setdefault(getattr(parameter, "heading", "Options"), []).append(record)
        for heading, records in lists.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class Group(_Reporting, click.Group):
    """A group whose help lists the commands under headings, with the whole first sentence of each."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._lists: dict[str, list[click.Command]] = {}

    def add(self, heading: str, commands: Iterable[click.Command]) -> None:
        """Adds commands under a heading, in this order."""
        for command in commands:
            self.add_command(command)
            self._lists.setdefault(heading, []).append(command)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the options before the command; says where to write those of a command."""
        given = [*args]  # click removes what it reads
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            _refuse_one_hyphen(self, ctx, given)
            if hint := misplaced.option_hint(error.option_name, self.commands):
                ctx.fail(f"No such option {error.option_name!r}; {hint}")
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command, or proposes the closest one."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and not name.startswith("-"):
            with usage.errors_reported(ctx.command_path):
                ctx.fail(f"No such command {name!r}; {misplaced.command_hint(name, self.commands)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; a signal outside its own error handling ends it in the same way."""
        ctx.obj = Signals()
        try:
            ctx.obj.handle()
            return super().invoke(ctx)
        except SignalReceived as received:
            click.echo(f"{click.style('error:', fg='red')} {received.error.message}", err=True)
            ctx.exit(received.error.exit_code)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click passes it
        """Writes a list for each heading, where click writes one list and truncates its lines."""
        for heading, commands in self._lists.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(command.name or "", command.get_short_help_str(limit=200)) for command in commands]
                )
