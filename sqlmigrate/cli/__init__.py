"""The command line: arguments in, one call, render, exit code."""

from __future__ import annotations

import click

from sqlmigrate.cli import authoring, linting, looking, mending, running, shell
from sqlmigrate.cli.headings import Group
from sqlmigrate.version import __version__

_EPILOG = """\b
Exit codes: 0 done · 1 failed · 2 usage or configuration · 3 pending or out of date (check)
            4 the lock was not had in time · 130/143 interrupted
Every option is also SQLMIGRATE_… in the environment, and a key of sqlmigrate.toml or [tool.sqlmigrate]."""


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=_EPILOG,
)
@click.version_option(__version__, "-V", "--version", message="sqlmigrate %(version)s")
def main() -> None:
    """Applies plain SQL files to PostgreSQL: in order, once, under a lock; and takes them back."""


main.add("Writing", authoring.COMMANDS)
main.add("Running", running.COMMANDS)
main.add("Looking", looking.COMMANDS)
main.add("Mending", mending.COMMANDS)
main.add("Helping", (*linting.COMMANDS, *shell.COMMANDS))
