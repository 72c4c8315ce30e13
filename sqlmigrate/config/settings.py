"""Reads the settings from options, the environment and a file, in this order of precedence."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from sqlmigrate.config.duration import milliseconds
from sqlmigrate.config.options import LINT_LEVELS, LOG_LEVELS, OPTIONS
from sqlmigrate.config.paths import beside, confine
from sqlmigrate.config.suggestion import did_you_mean, suggestion
from sqlmigrate.errors import ConfigurationError, NoDatabaseConfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlmigrate.config.options import Option

FILES = ("sqlmigrate.toml", "pyproject.toml")
_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")
_PARTS = {"db_host": "host", "db_port": "port", "db_user": "user", "db_name": "dbname"}
_PASSWORDS = ("db_password", "db_password_file", "database_url")


@dataclass(frozen=True, slots=True)
class LintTable:
    """The linter's settings in the configuration file at `path` and in the environment; `lint.settings` reads them."""

    path: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a `Migrator`.

    `database` is a libpq connection string, a URL, or `embedded:PATH`; `connection_parts` override its parts.
    `passwords` are the settings that can contain the password, with their values, in order of precedence;
    `password_command` follows them. `dir` lists the directories of the migrations. `history_table` is `schema.name`.
    Durations are in milliseconds; 0 means no limit, or no wait. `backup` is a directory or empty; `backup_keep` 0
    keeps all. Commands are lists of arguments, run without a shell. Findings at `lint_level` or above refuse a run,
    unless it is "off". `parallel` is how many migrations `migrate` may run side by side.
    """

    database: str = field(default="", repr=False)  # may contain a password
    connection_parts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    passwords: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    dir: tuple[str, ...] = ("migrations",)
    history_table: str = "public.migrations"
    connect_wait: int = 0
    lock_wait: int = 300_000
    lock_timeout: int = 5_000
    lock_retries: int = 10
    parallel: int = 1
    statement_timeout: int = 0
    timeout: int = 0
    log_format: str = "text"
    log_file: str = ""
    log_level: str = "info"
    format: str = "text"
    backup: str = ""
    backup_keep: int = 0
    notify_url: str = field(default="", repr=False)  # may contain a token
    push: str = field(default="", repr=False)
    notify_command: tuple[str, ...] = ()
    password_command: tuple[str, ...] = ()
    require_approval: bool = False
    drift_ignore: tuple[str, ...] = ()
    keep_running: bool = False
    lint_level: str = "off"
    lint: LintTable = LintTable()


def _directories(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(os.pathsep) if part)


def _count(text: str) -> int:
    if not text.strip().isdecimal():
        raise ConfigurationError(f"{text!r} is not a number")
    if len(text.strip()) > 9:
        raise ConfigurationError("the number is too large")
    return int(text)


def _positive(text: str) -> int:
    if (count := _count(text)) < 1:
        raise ConfigurationError("the number must be at least 1")
    return count


def _arguments(text: str) -> tuple[str, ...]:
    raise ConfigurationError(f"{text!r} is not a list", hint='write ["program", "argument", …]; no shell runs it')


def _patterns(text: str) -> tuple[str, ...]:
    raise ConfigurationError(
        f"{text!r} is not a list", hint='write ["KIND IDENTITY", …], such as ["table public.tmp_*"]'
    )


def _flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise ConfigurationError(f"{text!r} is not a Boolean", hint="write true or false")
    return text == "True"


def _one_of(*values: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in values:
            raise ConfigurationError(f"{text!r} is not one of {', '.join(values)}", hint=did_you_mean(text, values))
        return text

    return read


_DURATIONS = ("connect_wait", "lock_wait", "lock_timeout", "statement_timeout", "timeout")
_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(_DURATIONS, milliseconds),
    **dict.fromkeys(("notify_command", "password_command"), _arguments),
    "drift_ignore": _patterns,
    "dir": _directories,
    "lock_retries": _count,
    "parallel": _positive,
    "backup_keep": _count,
    **dict.fromkeys(("require_approval", "keep_running"), _flag),
    "log_level": _one_of(*LOG_LEVELS),
    "lint_level": _one_of("off", *LINT_LEVELS),
    "format": _one_of("text", "json"),
}
_LISTS = ("dir", "drift_ignore", "notify_command", "password_command", "allow_paths")
_NAMES = tuple(option.name for option in OPTIONS)


def load(
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    file: str | None = None,
    environment: str | None = None,
) -> Settings:
    """Returns the settings in force.

    Args:
        given: the options of the command line, as text, under their names in `OPTIONS`; `dir` may be a sequence.
        environ: the environment of the process.
        file: the configuration file; by default `sqlmigrate.toml` or `pyproject.toml` in the current directory.
        environment: the name of an `[environments.…]` table in the file.

    Raises:
        ConfigurationError: the file, a key or a value cannot be used.
        NoDatabaseConfigured: no source names a database.
    """
    settings = load_for_files(given, environ, file, environment)
    require_database(settings, environ)
    return settings


def require_database(settings: Settings, environ: Mapping[str, str]) -> None:
    """Checks that the settings, or libpq's own variables, name a database.

    Raises:
        NoDatabaseConfigured: they do not.
    """
    if not settings.database and not settings.connection_parts and not any(environ.get(name) for name in _LIBPQ):
        raise NoDatabaseConfigured(
            "no database is configured",
            hint="set DATABASE_URL, or DB_HOST and DB_NAME, or give --database-url;"
            " DATABASE_URL=embedded:PATH starts an embedded PostgreSQL server in that directory",
        )


def load_for_files(
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    file: str | None = None,
    environment: str | None = None,
) -> Settings:
    """Returns the settings in force for a command that works on files; the arguments are those of `load`.

    Raises:
        ConfigurationError: the file, a key or a value cannot be used.
    """
    found = _file(file, environ)
    sources = _sources(given, environ, found, environment)
    return Settings(
        **_merged(sources, environ, found[0]),
        **_database(sources),
        passwords=_passwords(sources),
        lint=_lint_table(found, environ),
    )


def environments(file: str | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the names of the environments, without checking their content.

    Raises:
        ConfigurationError: the configuration file cannot be read.
    """
    return tuple(_file(file, environ)[1].get("environments", {}))


def lint_table(file: str | None, environ: Mapping[str, str]) -> LintTable:
    """Returns the linter's settings, as they are written.

    Raises:
        ConfigurationError: the configuration file cannot be read, or a mistake in its table `lint` is obvious.
    """
    return _lint_table(_file(file, environ), environ)


def _lint_table(found: tuple[str, dict[str, Any]], environ: Mapping[str, str]) -> LintTable:
    path, content = found
    lint = content.get("lint", {})
    if not isinstance(lint, dict):
        raise ConfigurationError(f"{path}: lint is not a table", hint="write [tool.sqlmigrate.lint] or [lint]")
    if lint:
        from sqlmigrate.config.lint_table import read

        read(path, lint)  # reports mistakes early; `lint.settings` also knows the rules
    return LintTable(path, lint, {name: text for name, text in environ.items() if name.startswith("SQLMIGRATE_LINT_")})


def _file(file: str | None, environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Returns the path and the content of the configuration file; both are empty if there is no file."""
    path = file or environ.get("SQLMIGRATE_CONFIG") or find_file("")
    return path, table(path) if path else {}


def _sources(
    given: Mapping[str, Any], environ: Mapping[str, str], found: tuple[str, dict[str, Any]], environment: str | None
) -> tuple[Mapping[str, Any], ...]:
    """Returns the settings of options, environment and file, in this order of precedence."""
    for name in given.keys() - set(_NAMES):
        raise ConfigurationError(f"unknown setting {name!r}", hint=suggestion(name, _NAMES))
    from_file = _from_file(*found, environment or environ.get("SQLMIGRATE_ENV"))
    from_environ = {option.name: environ[name] for option in OPTIONS if (name := _variable(option, environ))}
    return {name: value for name, value in given.items() if value not in (None, ())}, from_environ, from_file


def _merged(sources: Sequence[Mapping[str, Any]], environ: Mapping[str, str], path: str) -> dict[str, Any]:
    """Returns the value of each setting; an error names the option, the variable, or the file and its key."""
    names = {setting.name for setting in fields(Settings)}
    variables = {option.name: _variable(option, environ) for option in OPTIONS}
    places: tuple[Callable[[str], str], ...] = (
        lambda name: name.replace("_", "-"),
        lambda name: variables[name],
        lambda name: f"{path}: {name}",
    )
    values: dict[str, tuple[object, Callable[[str], str]]] = {}
    for source, place in zip(sources, places, strict=True):
        values = {name: (value, place) for name, value in source.items()} | values
    return {name: _read(name, value, place) for name, (value, place) in values.items() if name in names}


def _variable(option: Option, environ: Mapping[str, str]) -> str:
    """Returns the name of the variable that sets an option; empty if the environment does not set it."""
    names = [f"SQLMIGRATE_{option.name.upper()}", option.env] if option.metavar else []
    return next((name for name in names if name and environ.get(name)), "")


def _read(name: str, value: object, place: Callable[[str], str]) -> object:
    try:
        if name in _LISTS and isinstance(value, list | tuple):
            return _not_empty(name, tuple(map(str, value)))
        return _not_empty(name, _READERS.get(name, str)(str(value)))
    except ConfigurationError as error:
        raise ConfigurationError(f"{place(name)}: {error.message}", hint=error.hint) from None


def _not_empty(name: str, value: object) -> object:
    """Requires a directory: without migrations, every database would be up to date."""
    if name == "dir" and not value:
        raise ConfigurationError("no directory is given")
    return value


def _database(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the URL, and the parts that override it: those of the same source or of one with higher precedence."""
    parts: dict[str, str] = {}
    for source in sources:
        parts = {name: str(source[key]) for key, name in _PARTS.items() if key in source} | parts
        if "database_url" in source:
            return {"database": str(source["database_url"]), "connection_parts": tuple(parts.items())}
    return {"connection_parts": tuple(parts.items())}


def _passwords(sources: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Returns the passwords; one of lower precedence than the URL applies if the URL has none, as PGPASSWORD does."""
    passwords: list[tuple[str, str]] = []
    for name, source in ((name, source) for source in sources for name in _PASSWORDS if name in source):
        passwords.append((name, str(source[name])))
        if name != "database_url":
            return tuple(passwords)
    return ()


def _from_file(path: str, content: dict[str, Any], environment: str | None) -> dict[str, Any]:
    if not path:
        if environment:
            raise ConfigurationError(f"environment {environment!r} requires a configuration file")
        return {}
    top_level = {key: value for key, value in content.items() if key not in ("environments", "lint")}
    tables = content.get("environments", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigurationError(f"{path}: environments must be tables", hint="write [environments.NAME]")
    environments = {name: _values(path, table) for name, table in tables.items()}
    if environment and environment not in environments:
        raise ConfigurationError(
            f"environment {environment!r} does not exist in {path}",
            hint=did_you_mean(environment, environments) or f"its environments: {', '.join(environments) or 'none'}",
        )
    values = _values(path, top_level) | (environments[environment] if environment else {})
    confine(path, values)
    return values


def _values(path: str, table: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a table; tables of other environments are checked, too, to report typing errors early."""
    values = {_setting_name(path, key, value): value for key, value in table.items()}
    for name, value in values.items():
        if any("\0" in str(item) for item in (value if isinstance(value, list) else [value])):
            raise ConfigurationError(f"{path}: {name} contains a NUL character")
    return {name: beside(path, name, value) for name, value in values.items()}


def find_file(directory: str) -> str:
    """Returns the path of the configuration file in a directory, or an empty string."""
    return next((path for name in FILES if _has_settings(path := os.path.join(directory, name))), "")


def _has_settings(path: str) -> bool:
    """Returns whether a file may contain settings; a pyproject.toml without the name sqlmigrate is not parsed."""
    if not os.path.isfile(path):
        return False
    return os.path.basename(path) != "pyproject.toml" or b"sqlmigrate" in _content(path)


def table(path: str) -> dict[str, Any]:
    """Returns the content of a configuration file, or of the table tool.sqlmigrate of a pyproject.toml, unchecked.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    import tomllib  # many projects have no configuration file

    try:
        content = tomllib.loads(_content(path).decode())
    except (ValueError, RecursionError) as error:  # also for text that is not UTF-8, and numbers of 5000 digits
        raise ConfigurationError(f"{path}: {error}") from error
    for name in ("tool", "sqlmigrate") if os.path.basename(path) == "pyproject.toml" else ():
        content = content.get(name, {})
        if not isinstance(content, dict):
            raise ConfigurationError(f"{path}: {name} is not a table", hint="write [tool.sqlmigrate]")
    return content


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigurationError(f'could not read file "{path}": {error.strerror}') from error


def _setting_name(path: str, key: str, value: object) -> str:
    name = key.replace("-", "_")
    if name in _NAMES:
        return name
    if isinstance(value, dict):
        raise ConfigurationError(f"{path}: unknown table {key!r}", hint=_table_hint(path, key, value))
    raise ConfigurationError(f"{path}: unknown setting {key!r}", hint=suggestion(name, _NAMES))


def _table_hint(path: str, key: str, content: Mapping[str, object]) -> str:
    """Returns the table that was probably meant: that of the linter, or that of an environment."""
    above = "tool.sqlmigrate." if os.path.basename(path) == "pyproject.toml" else ""
    if key in ("tool", "sqlmigrate"):
        return (
            f"write its settings {'directly in [tool.sqlmigrate]' if above else 'at the top of the file, in no table'}"
        )
    if key.startswith("lint") or did_you_mean(key, ["lint"]):
        return f"did you mean [{above}lint]?"
    environment = next((name for name, value in content.items() if isinstance(value, dict)), key)
    return f"did you mean [{above}environments.{environment}]?"
