"""Settings in: from options, the environment and a file, in this order of precedence."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from sqlmigrate.config.options import OPTIONS
from sqlmigrate.config.paths import beside, confine
from sqlmigrate.duration import milliseconds
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
    """What the configuration file at `path` and the environment say to the linter; `lint.settings` reads it."""

    path: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a `Migrator` works with.

    `database` is libpq's connection string, a URL, or `embedded:PATH`; `connection_parts` go before what it says.
    `passwords` are the settings that may give it, nearest first, with their values; behind them is `password_command`.
    `dir` are the migrations' directories. `history_table` is `schema.name`. Durations are in milliseconds, 0 is none.
    `backup` is a directory or empty; `backup_keep` 0 keeps all. Commands are lists of words, run without a shell.
    `lint_level` is the level from which on findings refuse a run, or "off".
    """

    database: str = field(default="", repr=False)  # a password may be in it
    connection_parts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    passwords: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    dir: tuple[str, ...] = ("migrations",)
    history_table: str = "public.migrations"
    lock_wait: int = 300_000
    lock_timeout: int = 5_000
    lock_retries: int = 10
    statement_timeout: int = 0
    timeout: int = 0
    log_format: str = "text"
    log_file: str = ""
    log_level: str = "info"
    format: str = "text"
    backup: str = ""
    backup_keep: int = 0
    notify_url: str = field(default="", repr=False)  # a token may be in it
    push: str = field(default="", repr=False)
    notify_command: tuple[str, ...] = ()
    password_command: tuple[str, ...] = ()
    require_approval: bool = False
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


def _words(text: str) -> tuple[str, ...]:
    raise ConfigurationError(f"{text!r} is not a list", hint='write ["program", "argument", …]: no shell reads it')


def _flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise ConfigurationError(f"{text!r} is neither true nor false")
    return text == "True"


def _one_of(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ConfigurationError(f"{text!r} is none of {', '.join(known)}")
        return text

    return read


_DURATIONS = ("lock_wait", "lock_timeout", "statement_timeout", "timeout")
_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(_DURATIONS, milliseconds),
    **dict.fromkeys(("notify_command", "password_command"), _words),
    "dir": _directories,
    "lock_retries": _count,
    "backup_keep": _count,
    "require_approval": _flag,
    "log_level": _one_of("error", "warning", "info", "debug"),
    "lint_level": _one_of("off", "error", "warning", "notice", "info"),
    "format": _one_of("text", "json"),
}
_LISTS = ("dir", "notify_command", "password_command", "allow_paths")
_NAMES = tuple(option.name for option in OPTIONS)


def load(
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    file: str | None = None,
    environment: str | None = None,
) -> Settings:
    """The settings in force.

    Args:
        given: options that were given, as text, under their names in `OPTIONS`; `dir` may be a sequence.
        environ: the process's environment.
        file: a configuration file; without one `sqlmigrate.toml` or `pyproject.toml` here, where they are.
        environment: the name of an `[environments.…]` table of the file.

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
        **_merged(sources),
        **_database(sources),
        passwords=_passwords(sources),
        lint=_lint_table(found, environ),
    )


def environments(file: str | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the environments, not looked at.

    Raises:
        ConfigurationError: the configuration file can't be read.
    """
    return tuple(_file(file, environ)[1].get("environments", {}))


def lint_table(file: str | None, environ: Mapping[str, str]) -> LintTable:
    """What is said to the linter, not looked at.

    Raises:
        ConfigurationError: the configuration file can't be read, or what it says to the linter is no table.
    """
    return _lint_table(_file(file, environ), environ)


def _lint_table(found: tuple[str, dict[str, Any]], environ: Mapping[str, str]) -> LintTable:
    path, content = found
    said = content.get("lint", {})
    if not isinstance(said, dict):
        raise ConfigurationError(f"{path}: lint is not a table", hint="write [tool.sqlmigrate.lint] or [lint]")
    return LintTable(path, said, {name: text for name, text in environ.items() if name.startswith("SQLMIGRATE_LINT_")})


def _file(file: str | None, environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The configuration file in force and what it says; both are empty where there is none."""
    path = file or environ.get("SQLMIGRATE_CONFIG") or found_in("")
    return path, table(path) if path else {}


def _sources(
    given: Mapping[str, Any], environ: Mapping[str, str], found: tuple[str, dict[str, Any]], environment: str | None
) -> tuple[Mapping[str, Any], ...]:
    """Options, environment and file, in this order of precedence."""
    from_file = _from_file(*found, environment or environ.get("SQLMIGRATE_ENV"))
    from_environ = {option.name: text for option in OPTIONS if (text := _in_environ(option, environ))}
    return {name: value for name, value in given.items() if value not in (None, ())}, from_environ, from_file


def _merged(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = {one.name for one in fields(Settings)}
    values = {name: value for source in reversed(sources) for name, value in source.items()}
    return {name: _read(name, value) for name, value in values.items() if name in names}


def _in_environ(option: Option, environ: Mapping[str, str]) -> str:
    if not option.metavar:
        return ""
    own = environ.get(f"SQLMIGRATE_{option.name.upper()}", "")
    return own or (environ.get(option.env, "") if option.env else "")


def _read(name: str, value: object) -> object:
    try:
        if name in _LISTS and isinstance(value, list | tuple):
            return _some(name, tuple(map(str, value)))
        return _some(name, _READERS.get(name, str)(str(value)))
    except ConfigurationError as error:
        raise ConfigurationError(f"{name.replace('_', '-')}: {error.message}", hint=error.hint) from None


def _some(name: str, value: object) -> object:
    """Without a directory everything would be up to date."""
    if name == "dir" and not value:
        raise ConfigurationError("no directory is named")
    return value


def _database(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A URL and what goes before it: parts go before a URL of the same source or of one below, never of one above."""
    parts: dict[str, str] = {}
    for source in sources:
        parts = {name: str(source[key]) for key, name in _PARTS.items() if key in source} | parts
        if "database_url" in source:
            return {"database": str(source["database_url"]), "connection_parts": tuple(parts.items())}
    return {"connection_parts": tuple(parts.items())}


def _passwords(sources: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Unlike the parts, a password of a source below goes with a URL that has none, as libpq's PGPASSWORD does."""
    found: list[tuple[str, str]] = []
    for name, source in ((name, source) for source in sources for name in _PASSWORDS if name in source):
        found.append((name, str(source[name])))
        if name != "database_url":
            return tuple(found)
    return ()


def _from_file(found: str, content: dict[str, Any], environment: str | None) -> dict[str, Any]:
    if not found:
        if environment:
            raise ConfigurationError(f"there is no configuration file with an environment {environment!r}")
        return {}
    own = {key: value for key, value in content.items() if key not in ("environments", "lint")}
    named = content.get("environments", {})
    if not isinstance(named, dict) or not all(isinstance(one, dict) for one in named.values()):
        raise ConfigurationError(f"{found}: environments are tables", hint="write [environments.NAME]")
    environments = {name: _values(found, one) for name, one in named.items()}
    if environment and environment not in environments:
        raise ConfigurationError(
            f"{found} has no environment {environment!r}", hint=f"it has {', '.join(environments) or 'none'}"
        )
    values = _values(found, own) | (environments[environment] if environment else {})
    confine(found, values)
    return values


def _values(path: str, table: dict[str, Any]) -> dict[str, Any]:
    """The settings of a table, chosen or not, so that a typing error is found before the night it matters."""
    named = {_known(path, key): value for key, value in table.items()}
    for name, value in named.items():
        if any("\0" in str(one) for one in (value if isinstance(value, list) else [value])):
            raise ConfigurationError(f"{path}: {name} has a NUL character in it")
    return {name: beside(path, name, value) for name, value in named.items()}


def found_in(directory: str) -> str:
    """The configuration file that a directory has, or an empty text."""
    return next((path for name in FILES if _speaks_of_us(path := os.path.join(directory, name))), "")


def _speaks_of_us(path: str) -> bool:
    """Most projects have a pyproject.toml that says nothing to us; it is not parsed."""
    if not os.path.isfile(path):
        return False
    return os.path.basename(path) != "pyproject.toml" or b"sqlmigrate" in _content(path)


def table(path: str) -> dict[str, Any]:
    """What a configuration file says, not looked at; of a pyproject.toml, what it says to us.

    Raises:
        ConfigurationError: it can't be read.
    """
    import tomllib  # only where there is a file

    try:
        content = tomllib.loads(_content(path).decode())
    except (ValueError, RecursionError) as error:  # also of what is no UTF-8, and of a number of 5000 digits
        raise ConfigurationError(f"{path}: {error}") from error
    for name in ("tool", "sqlmigrate") if os.path.basename(path) == "pyproject.toml" else ():
        content = content.get(name, {})
        if not isinstance(content, dict):
            raise ConfigurationError(f"{path}: {name} is no table", hint="write [tool.sqlmigrate]")
    return content


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error


def _known(path: str, key: str) -> str:
    name = key.replace("-", "_")
    if name in _NAMES:
        return name
    import difflib  # only for an error

    close = difflib.get_close_matches(name, _NAMES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(_NAMES)}"
    raise ConfigurationError(f"{path}: unknown setting {key!r}", hint=hint)
