"""Help whose options stand under headings."""

from __future__ import annotations

from typing import Any

import click


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
