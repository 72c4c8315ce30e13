"""The environment variables of the options: `SQLMIGRATE_DRY_RUN` is `--dry-run`."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import click

from sqlmigrate.config.options import OPTIONS
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PREFIX = "SQLMIGRATE_"
_META = "sqlmigrate.variables"
# `--push` of `metrics` has a name of its own: the setting `push` is for runs.
_NAMES = {
    ("metrics", "gateway"): "SQLMIGRATE_METRICS_PUSH",
    **{
        ("validate", name): f"SQLMIGRATE_LINT_{variable}"
        for name, variable in {
            "preset": "PRESET",
            "postgres_version": "POSTGRES_VERSION",
            "changed_since": "CHANGED_SINCE",
            "fail_on": "FAIL_ON",
            "replay": "REPLAY",
            "fix": "FIX",
            "files": "FILE",
        }.items()
    },
}
# `config.settings` and `lint.settings` read these.
_SETTINGS = {option.name for option in OPTIONS if option.metavar} | {"config", "env", "env_file"}
_LINT_SETTINGS = ("preset", "postgres_version", "changed_since", "fail_on")
_WITHOUT_OPTION = (
    *("SQLMIGRATE_LINT", "SQLMIGRATE_LINT_HISTORY", "SQLMIGRATE_LINT_MEMORY", "SQLMIGRATE_LINT_SINCE"),
    "SQLMIGRATE_IMAGE",
)
# These do not change what a command does to the database.
_HARMLESS = ("output_format", "log_level", "quiet", "verbose", "keep_running")
_FILE_ONLY = {f"{PREFIX}{option.name.upper()}": option.name for option in OPTIONS if not option.metavar}
# Kubernetes sets them in each pod for a Service whose name starts with sqlmigrate.
_KUBERNETES = r"SQLMIGRATE_(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
_TESTS = "SQLMIGRATE_TEST_"
# An option on the command line makes the variables of the others ineffective.
_ALTERNATIVES = (
    {"version", "steps"},
    {"version", "bump"},
    {"textfile", "gateway", "serve"},
    {"path", "target", "out_of_order", "version", "steps"},
    {"argument", "name"},
    {"files", "paths"},
    {"quiet", "verbose", "log_level"},
)
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def variable_of(command: str, option: click.Option) -> str:
    """Returns the name of an option's variable."""
    long = next(name for name in option.opts if name.startswith("--"))
    return _NAMES.get((command, option.name or "")) or PREFIX + long[2:].upper().replace("-", "_")


def arguments(command: click.Command, context: click.Context, given: Sequence[str]) -> list[str]:
    """Returns the options that the environment sets, as arguments, and notes their variables for `used`.

    The settings are not among them, because `config.settings` reads them for every command.
    """
    parser = command.make_parser(context)
    _read_env_file(command, parser.parse_args(list(given))[0])
    opts = parser.parse_args(list(given))[0]
    on_command_line = {name for name, value in opts.items() if value and isinstance(value, str | bool | list | tuple)}
    words: list[str] = []
    names: dict[str, str] = {}
    for option in command.params:
        if isinstance(option, click.Option) and not _is_elsewhere(command, option, on_command_line):
            variable = variable_of(command.name or "", option)
            if value := os.environ.get(variable, ""):
                added = list(_words(option, variable, value))
                words += added
                names |= {str(option.name): variable} if added else {}
    context.meta[_META] = names
    return words


def _read_env_file(command: click.Command, opts: Mapping[str, object]) -> None:
    """Adds the variables of the file of `--env-file` to the environment, whose own variables have priority."""
    option = next((option for option in command.params if option.name == "env_file"), None)
    path = opts.get("env_file") or os.environ.get("SQLMIGRATE_ENV_FILE", "")
    if option is not None and isinstance(path, str) and path:
        from sqlmigrate.config import env_file  # most projects have none

        try:
            values = env_file.read(path)
        except ConfigurationError as error:
            raise click.UsageError("; ".join(filter(None, [error.message, error.hint]))) from None
        os.environ.update({name: value for name, value in values.items() if not os.environ.get(name)})


def used(context: click.Context) -> Mapping[str, str]:
    """Returns the variables that set options of the command, by the parameter's name."""
    names: Mapping[str, str] = context.meta.get(_META, {})
    return names


def notice(context: click.Context) -> str:
    """Returns a sentence with the variables that decide what a command does; empty without them."""
    names = [variable for name, variable in used(context).items() if name not in _HARMLESS]
    return f"set by the environment: {', '.join(names)}" if names else ""


def check(environ: Mapping[str, str], root: click.Group) -> None:
    """Checks that each variable of sqlmigrate is one that it reads.

    Raises:
        ConfigurationError: a variable is misspelt, or has no effect.
    """
    known = {*_WITHOUT_OPTION, *(f"{PREFIX}{option.name.upper()}" for option in OPTIONS if option.metavar)}
    if not (names := [name for name in environ if name.startswith(PREFIX) and environ[name] and name not in known]):
        return
    for command in root.commands.values():
        options = (option for option in command.params if isinstance(option, click.Option))
        known |= {variable_of(command.name or "", option) for option in options}
    for name in names:
        is_foreign = name.startswith(_TESTS) or re.fullmatch(_KUBERNETES, name) or environ[name].startswith("tcp://")
        if name not in known and not is_foreign:
            raise ConfigurationError(f"unknown variable {name}", hint=_hint(name, known))


def _hint(name: str, known: set[str]) -> str:
    if name in _FILE_ONLY:
        return f"only the configuration file can contain {_FILE_ONLY[name]}"
    from sqlmigrate.config.suggestion import closest  # only for an error

    names = {variable.removeprefix(PREFIX): variable for variable in sorted(known)}
    names = {short.removeprefix("LINT_"): variable for short, variable in names.items()} | names
    close = closest(name.removeprefix(PREFIX), names)
    return f"did you mean {names[close]}?" if close else "docs/configuration.md lists the variables"


def _is_elsewhere(command: click.Command, option: click.Option, on_command_line: set[str]) -> bool:
    """Returns whether another module reads the option's variable, or the command line makes it ineffective."""
    name = option.name or ""
    is_setting = name in _SETTINGS or (command.name == "validate" and name in _LINT_SETTINGS)
    excluding = {other for group in _ALTERNATIVES if name in group for other in group} | {name}
    # A person can be asked; a variable that was left from another task must not answer.
    is_prompt = name == "yes" and sys.stdin is not None and sys.stdin.isatty()
    return is_setting or is_prompt or bool(excluding & on_command_line)


def _words(option: click.Option, variable: str, value: str) -> Iterator[str]:
    long = next(name for name in option.opts if name.startswith("--"))
    if option.is_flag:
        if _is_true(variable, value):
            yield long
    elif option.multiple:
        separator = os.pathsep if isinstance(option.type, click.Path) else "\n"
        yield from (f"{long}={part.strip()}" for part in value.split(separator) if part.strip())
    else:
        yield f"{long}={value}"


def _is_true(variable: str, value: str) -> bool:
    if value.lower() not in (*_TRUE, *_FALSE):
        raise click.UsageError(f"{variable}: {value!r} is not a Boolean; write true or false")
    return value.lower() in _TRUE
