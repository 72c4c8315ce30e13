"""The command line: each command reads its arguments, calls a use case, renders the result and sets the exit code."""

from __future__ import annotations

import click

from sqlmigrate.cli.alertagent import Main
from sqlmigrate.cli.commands import embedded, inspecting, linting, rehearsing, repairing, running, shell, writing
from sqlmigrate.version import __version__

_EPILOG = """\b
Exit codes: 0 success · 1 failure · 2 usage or configuration error · 3 pending migrations or problems (check)
            4 could not obtain the migration lock · 130/143 interrupted
Every option is also a variable: --dry-run is SQLMIGRATE_DRY_RUN. Settings can also be in sqlmigrate.toml or
[tool.sqlmigrate]."""


@click.group(
    cls=Main,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=_EPILOG,
)
@click.version_option(__version__, "-V", "--version", message="sqlmigrate %(version)s")
def main() -> None:
    """Apply plain SQL files to PostgreSQL in order, once, under a lock; and roll them back."""


main.add("Writing", writing.COMMANDS)
main.add("Running", running.COMMANDS)
main.add("Inspecting", (*rehearsing.COMMANDS, *inspecting.COMMANDS))
main.add("Repairing", repairing.COMMANDS)
main.add("Other", (*linting.COMMANDS, *embedded.COMMANDS, *shell.COMMANDS))
