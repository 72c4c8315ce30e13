"""Help whose options and commands stand under headings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable


class Titled(click.Option):
    """An option that stands under a heading of its own."""

    def __init__(self, *arguments: Any, heading: str, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.heading = heading


class Command(click.Command):
    """A command whose help has a list of options for each heading, its own options first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Click's own makes one list."""
        lists: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):  # some versions list arguments, too
                lists.setdefault(getattr(parameter, "heading", "Options"), []).append(record)
        for heading, records in lists.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class Group(click.Group):
    """A group whose help has a list of commands for each heading, each with the whole of its first sentence."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._lists: dict[str, list[click.Command]] = {}

    def add(self, heading: str, commands: Iterable[click.Command]) -> None:
        """Adds commands under a heading, in this order."""
        for command in commands:
            self.add_command(command)
            self._lists.setdefault(heading, []).append(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        """Click's own makes one list, and cuts each line off."""
        for heading, commands in self._lists.items():
            with formatter.section(heading):
                formatter.write_dl([(one.name or "", one.get_short_help_str(limit=200)) for one in commands])
