"""Command lines of AlertAgent's earlier migration tool, with flags of Go: `-action=rollback -version=v2.0.0-001`."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from sqlmigrate.cli.headings import Group
from sqlmigrate.config.suggestion import suggestion
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import click

    from sqlmigrate.config.settings import Settings

_FLAG = re.compile(r"--?([a-z][a-z-]*)(?:=(.*))?", re.DOTALL)
_SWITCHES = ("dry-run", "help")
_LEVELS = {"warn": "warning", "fatal": "error", "panic": "error"}
_CONNECTION = ("db-host", "db-port", "db-user", "db-name")
_ON_FILES = ("log-level", "help")
_RUN = (*_CONNECTION, "timeout", *_ON_FILES)
# The flags that each action took, with ours; an empty string is an argument without an option.
_ACTIONS: Mapping[str, Mapping[str, str]] = {
    "migrate": {"version": "--target", "dry-run": "--dry-run"},
    "rollback": {"version": "--version", "dry-run": "--dry-run"},
    "status": {},
    "validate": {"file": "", "dry-run": "--dry-run"},
    "repair": {"version": "--version", "dry-run": "--dry-run"},
    "info": {"version": ""},
    "cleanup": {"keep-days": "--keep-days", "dry-run": "--dry-run"},
    "check": {},
    "lock-status": {},
    "force-unlock": {},
    "generate": {"name": "", "description": "--description", "dry-run": "--dry-run"},
}
# The flags without which the new command line would be refused.
_REQUIRED = {"rollback": "version", "generate": "name"}
# The variables that only the earlier tool read, with our setting.
_VARIABLES = {"MIGRATION_TIMEOUT": "timeout"}
_PASSWORD = "set DB_PASSWORD instead of -db-password, which `ps` shows to all users of the host"  # noqa: S105  # no password
_PAGE = "docs/alertagent.md lists all commands"


class Main(Group):
    """The group of all commands, which explains the command lines of the earlier tool."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Ends with a usage error if these are arguments of the earlier tool."""
        if error := refusal(args):
            from sqlmigrate.cli.console import Console  # other command lines need it later

            Console().error(error)
            ctx.exit(error.exit_code)
        return super().parse_args(ctx, args)


def refusal(arguments: Sequence[str]) -> ConfigurationError | None:
    """Returns an error with our command line, if the arguments are those of the earlier tool."""
    flags = _flags(arguments)
    if not (arguments and arguments[0].startswith("-") and "action" in flags):
        return None
    action = flags["action"]
    if action not in _ACTIONS:
        hint = f"{suggestion(action, _ACTIONS)}\n{_PAGE}"
        return ConfigurationError(f"AlertAgent's earlier tool has no -action={action}", hint=hint)
    options = _options(action, flags)
    hints = [f"run {command_line(action, flags)}"]
    answered = {"action", "db-password", *options, *(name for name in _SWITCHES if flags.get(name) == "false")}
    if left_out := [f"-{name}" for name in flags if name not in answered]:
        hints.append(f"it leaves out {', '.join(left_out)}, which the new command does not have")
    hints += [*([_PASSWORD] if "db-password" in flags else []), _PAGE]
    return ConfigurationError(f"-action={action} is a command line of AlertAgent's earlier tool", hint="\n".join(hints))


def ignored_variables(environ: Mapping[str, str], options: Collection[str], settings: Settings) -> Iterator[str]:
    """Yields a warning for each variable of the earlier tool whose setting the command has, and nobody has set."""
    for variable, setting in _VARIABLES.items():
        if environ.get(variable) and setting in options and not getattr(settings, setting):
            yield f"{variable} has no effect: set SQLMIGRATE_{setting.upper()}"


def command_line(action: str, flags: Mapping[str, str]) -> str:
    """Returns our command line for an action and its flags."""
    given = {"keep-days": "30", **flags} if action == "cleanup" else dict(flags)
    if required := _REQUIRED.get(action):
        given[required] = given.get(required) or required.upper()
    words = ["sqlmigrate", action]
    for name, option in _options(action, flags).items():
        value = given.get(name, "")
        if name in _SWITCHES:
            words += [option] if value == "true" else []
        elif value:
            words += [*([option] if option else []), _value(name, value)]
    return shlex.join(words)


def _options(action: str, flags: Mapping[str, str]) -> dict[str, str]:
    options = {**_ACTIONS[action], **{name: f"--{name}" for name in (_ON_FILES if action == "generate" else _RUN)}}
    if action == "validate" and flags.get("file"):  # the linter has no rehearsal
        del options["dry-run"]
    return options


def _value(name: str, value: str) -> str:
    if name == "timeout" and value.isdecimal():
        return f"{value}s"
    return _LEVELS.get(value, value) if name == "log-level" else value


def _flags(arguments: Sequence[str]) -> dict[str, str]:
    """Reads Go's flags: `-name=value`, `-name value`, with one or two hyphens."""
    flags: dict[str, str] = {}
    remaining = list(arguments)
    while remaining and (match := _FLAG.fullmatch(remaining.pop(0))):
        name, value = match[1], match[2]
        if value is None:
            value = "true" if name in _SWITCHES else (remaining.pop(0) if remaining else "")
        flags[name] = value
    return flags
