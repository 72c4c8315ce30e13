"""Hints for words that are right elsewhere: commands and options of other tools, options before the command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmigrate.config.suggestion import suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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

# Options of other tools, with those of sqlmigrate that do the same in some command.
_OPTIONS = {
    "--json": ("--format json",),
    "--to": ("--target", "--version"),
    "--url": ("--database-url",),
    "--force": ("--yes",),
}
# What an argument without its option looks like, and the options that take it.
_VALUES = (
    (re.compile(r"v?\d+\.\d+\.\d+-\d+", re.IGNORECASE), ("--target", "--version")),
    (re.compile(r"\d+"), ("--steps",)),
    (re.compile(r".+\.json"), ("--plan",)),
)


def command_hint(name: str, commands: Mapping[str, click.Command]) -> str:
    """Returns the command that does what an unknown command does elsewhere, or the closest name."""
    if meant := _COMMANDS.get(name.lower()):
        return f"did you mean {meant}?"
    return suggestion(name, commands)


def option_hint(name: str, commands: Mapping[str, click.Command]) -> str:
    """Returns where to write an option that stands before the command; empty if no command has it."""
    has_option = any(name in option.opts for command in commands.values() for option in command.params)
    return f"write it after the command: sqlmigrate COMMAND {name}" if has_option else ""


def other_option(name: str, options: Collection[str]) -> str:
    """Returns which of a command's options does what an unknown option does elsewhere; empty if none does."""
    return _first(_OPTIONS.get(name, ()), options)


def missing_option(argument: str, options: Collection[str]) -> str:
    """Returns an argument with the one of a command's options that takes it; empty if none does."""
    names = next((names for pattern, names in _VALUES if pattern.fullmatch(argument)), ())
    return f"{option} {argument}" if (option := _first(names, options)) else ""


def _first(candidates: Iterable[str], options: Collection[str]) -> str:
    return next((candidate for candidate in candidates if candidate.split()[0] in options), "")
