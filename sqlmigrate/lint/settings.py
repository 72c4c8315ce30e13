"""The linter's settings, from options, the environment and the table `lint` of the configuration file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlmigrate.config import settings
from sqlmigrate.config.suggestion import did_you_mean, suggestion
from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files.naming import parse_version
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.linter import Options
from sqlmigrate.lint.rules import REMOVED, RULES
from sqlmigrate.model import OLDEST_POSTGRES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sqlmigrate.config.settings import LintTable
    from sqlmigrate.model import Version

PRESETS = ("safety", "all")
FAIL_ON = (*(level.value for level in Level), "never")
NAMED = ("table", "column", "index", "constraint")
_LEVELS = (*(level.value for level in Level), "off")
_IN_ENVIRON = ("preset", "postgres_version", "since", "changed_since", "fail_on")


@dataclass(frozen=True, slots=True)
class LintSettings:
    """The linter's settings.

    `rules` overrides the level of a rule; None switches the rule off. `files` and `exclude` are globs relative to
    `root`, the directory of the configuration file; empty `files` match every file. Versions up to `since` are read
    only for their schema. `naming` holds regular expressions that names must match. With `fail_on` None the linter
    never fails.
    """

    preset: str = "safety"
    rules: Mapping[str, Level | None] = field(default_factory=dict)
    postgres_version: int = 18
    files: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: Version | None = None
    changed_since: str = ""
    naming: Mapping[str, str] = field(default_factory=dict)
    fail_on: Level | None = Level.WARNING
    root: str = "."

    def options(self, *, replay: bool = False) -> Options:
        """Returns the options of the linter."""
        return Options(self.preset, self.rules, self.postgres_version, self.naming, replay=replay)


def load(given: Mapping[str, Any], environ: Mapping[str, str], file: str | None = None) -> LintSettings:
    """Reads the settings.

    Args:
        given: the command-line options, as text, by the names of `LintSettings`.
        environ: the environment variables; `SQLMIGRATE_LINT_PRESET` and so on.
        file: the configuration file; by default the file that `config.settings` finds.

    Raises:
        ConfigurationError: the file, a key or a value is invalid.
    """
    return read(given, settings.lint_table(file, environ))


def read(given: Mapping[str, Any], found: LintTable) -> LintSettings:
    """Combines the command-line options with the configuration file and the environment.

    Raises:
        ConfigurationError: a key or a value is invalid.
    """
    values: dict[str, Any] = {"root": os.path.dirname(found.path) or "."}
    values |= {name: _read(name, value, f"{found.path}: lint.{name}") for name, value in _in_file(found).items()}
    for name in _IN_ENVIRON:
        variable = f"SQLMIGRATE_LINT_{name.upper()}"
        if value := found.environ.get(variable):
            values[name] = _read(name, value, variable)
    for name, value in given.items():
        if value:
            values[name] = _read(name, value, f"--{name.replace('_', '-')}")
    return LintSettings(**values)


def _in_file(found: LintTable) -> dict[str, Any]:
    place = f"{found.path}: "
    return {
        _known("lint setting", key.replace("-", "_"), _READERS, place): value for key, value in found.content.items()
    }


def _read(name: str, value: object, place: str) -> Any:
    try:
        return _READERS[name](value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error.message}", hint=error.hint) from None


def _known(what: str, name: str, known: Collection[str], place: str = "") -> str:
    if name in known:
        return name
    raise ConfigurationError(f"{place}unknown {what} {name!r}", hint=suggestion(name, known))


def _one_of(*known: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in known:
            hints = (did_you_mean(str(value), known), f"write one of {', '.join(known)}")
            raise ConfigurationError(f"invalid value {value!r}", hint="\n".join(filter(None, hints)))
        return str(value)

    return read


def _rules(value: object) -> dict[str, Level | None]:
    names = [rule.name for rule in RULES]
    return {
        _known("rule", name, names): None if level == "off" else Level(_one_of(*_LEVELS)(level))
        for name, level in _table(value).items()
        if name not in REMOVED
    }


def _naming(value: object) -> dict[str, str]:
    patterns = {_known("kind of name", kind, NAMED): str(pattern) for kind, pattern in _table(value).items()}
    for kind, pattern in patterns.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ConfigurationError(f"{kind} = {pattern!r} is not a valid regular expression: {error}") from None
    return patterns


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{value!r} is not a table", hint='write {name = "value", …}')
    return value


def _globs(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(glob, str) for glob in value):
        raise ConfigurationError(f"{value!r} is not a list of globs", hint='write ["migrations/**", …]')
    return tuple(value)


def _postgres(value: object) -> int:
    """Returns the major version of `16`, `16.4` or `160004`."""
    match = re.fullmatch(r"(\d{2})(?:\d{4}|(?:\.\d+)*)", str(value).strip())
    if match is None:
        raise ConfigurationError(f"{value!r} is not a PostgreSQL version", hint="write a major version, such as 16")
    major = int(match[1])
    if major < OLDEST_POSTGRES:
        raise ConfigurationError(f"PostgreSQL {major} is not supported", hint=f"write {OLDEST_POSTGRES} or newer")
    return major


def _fail_on(value: object) -> Level | None:
    name = _one_of(*FAIL_ON)(value)
    return None if name == "never" else Level(name)


_READERS: dict[str, Callable[[object], Any]] = {
    "preset": _one_of(*PRESETS),
    "rules": _rules,
    "postgres_version": _postgres,
    "files": _globs,
    "exclude": _globs,
    "since": lambda value: parse_version(str(value)),
    "changed_since": str,
    "naming": _naming,
    "fail_on": _fail_on,
}
