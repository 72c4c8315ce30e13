"""The command that keeps an embedded server running, and its psql."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sqlmigrate.cli.app import command
from sqlmigrate.cli.headings import Choice, Command
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlmigrate.cli.app import App

_SCHEME = "embedded:"


class _WithArguments(Command):
    """A command that passes everything after the word `psql` on, also options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Separates the arguments of psql."""
        at = args.index("psql") + 1 if "psql" in args else len(args)
        own, passed_on = args[:at], args[at:]
        return super().parse_args(ctx, [*own, *["--"] * (passed_on[:1] != ["--"]), *passed_on])


@command("embedded", cls=_WithArguments)
@click.argument("action", type=Choice(["start", "stop", "status", "psql"]))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PSQL ARGUMENTS]...")
def embedded(app: App, action: str, arguments: tuple[str, ...]) -> None:
    """Start the server of embedded:PATH and keep it running, stop it, show its status, or run its psql."""
    from sqlmigrate.server import embedded as server  # only for this command

    path = _path(app.settings.database)
    if arguments and action != "psql":
        raise ConfigurationError(f"{action} takes no arguments: {' '.join(arguments)}")
    match action:
        case "start":
            state = server.keep(path)
            app.show(lambda to: to.embedded(state), is_answer=False)
        case "stop":
            stopped = server.halt(path)
            app.show(lambda to: to.embedded_stopped(stopped), is_answer=False)
        case "status":
            state = server.state(path)
            app.show(lambda to: to.embedded(state))
        case _:
            sys.exit(server.psql(path, arguments))


def _path(database: str) -> str:
    path = database.removeprefix(_SCHEME)
    if path == database or not path:
        raise ConfigurationError(
            "no embedded server is configured", hint="set DATABASE_URL=embedded:PATH, such as embedded:.postgres"
        )
    return path


COMMANDS = (embedded,)
