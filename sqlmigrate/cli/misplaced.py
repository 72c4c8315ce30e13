"""Hints for words that are right elsewhere: commands of other tools, and options before the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.config.suggestion import suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

# Commands of dbmate, goose, golang-migrate, Flyway, Liquibase, Atlas, Alembic, Django and sqitch.
_COMMANDS = {
    **dict.fromkeys(("up", "up-to", "apply", "upgrade", "update", "deploy", "run"), "migrate"),
    **dict.fromkeys(("down", "down-to", "undo", "downgrade", "revert", "drop", "reset"), "rollback"),
    **dict.fromkeys(("new", "create", "add", "revision", "makemigrations"), "generate"),
    **dict.fromkeys(("list", "ls", "version", "current", "show", "showmigrations"), "status"),
    **dict.fromkeys(("log", "logs"), "history"),
    **dict.fromkeys(("lint", "verify"), "validate"),
    **dict.fromkeys(("stamp", "force", "fake"), "baseline"),
    **dict.fromkeys(("start", "stop", "psql"), "embedded"),
    **dict.fromkeys(("unlock",), "force-unlock"),
    **dict.fromkeys(("help",), "--help"),
}


def command_hint(name: str, commands: Mapping[str, click.Command]) -> str:
    """Returns the command that does what an unknown command does elsewhere, or the closest name."""
    if meant := _COMMANDS.get(name.lower()):
        return f"did you mean {meant}?"
    return suggestion(name, commands)


def option_hint(name: str, commands: Mapping[str, click.Command]) -> str:
    """Returns where to write an option that stands before the command; empty if no command has it."""
    has_option = any(name in option.opts for command in commands.values() for option in command.params)
    return f"write it after the command: sqlmigrate COMMAND {name}" if has_option else ""
