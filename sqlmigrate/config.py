"""Settings in: from options, the environment and a file, in this order of precedence."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.duration import milliseconds
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILES = ("sqlmigrate.toml", "pyproject.toml")
_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")
_PARTS = {"db_host": "host", "db_port": "port", "db_user": "user", "db_password": "password", "db_name": "dbname"}
EMBEDDED = "embedded:"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a `Migrator` works with.

    `database` is libpq's connection string, a URL, or `embedded:PATH`; `connection_parts` go before what it says.
    `dir` are the migrations' directories. `history_table` is `schema.name`. Durations are in milliseconds, 0 is no limit.
    """

    database: str = ""
    connection_parts: tuple[tuple[str, str], ...] = ()
    dir: tuple[str, ...] = ("migrations",)
    history_table: str = "public.migrations"
    lock_wait: int = 300_000
    lock_timeout: int = 5_000
    lock_retries: int = 10
    statement_timeout: int = 0
    timeout: int = 0


class Option(NamedTuple):
    """A setting that can be given: its name, how its text is read, its other name in the environment, its help."""

    name: str
    read: Callable[[str], Any]
    env: str
    help: str
    metavar: str


def _directories(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(os.pathsep) if part)


def _count(text: str) -> int:
    if not text.strip().isdigit():
        raise ConfigurationError(f"{text!r} is not a number")
    return int(text)


OPTIONS = (
    Option("database_url", str, "DATABASE_URL", "The database: postgresql://…, a libpq string, or embedded:PATH.", "URL"),
    Option("db_host", str, "DB_HOST", "Its host.", "HOST"),
    Option("db_port", str, "DB_PORT", "Its port.", "PORT"),
    Option("db_user", str, "DB_USER", "The role to connect as.", "ROLE"),
    Option("db_password", str, "DB_PASSWORD", "Its password; better in DB_PASSWORD or .pgpass, which `ps` does not show.", "TEXT"),
    Option("db_name", str, "DB_NAME", "The database's name.", "NAME"),
    Option("dir", _directories, "", "A directory with migrations; may be repeated.  [default: migrations]", "DIR"),
    Option("history_table", str, "", "Where the history is kept.  [default: public.migrations]", "SCHEMA.NAME"),
    Option("lock_wait", milliseconds, "", "How long to wait for another run to end.  [default: 5min]", "DURATION"),
    Option("lock_timeout", milliseconds, "", "How long a statement may wait for a table's lock.  [default: 5s]", "DURATION"),
    Option("lock_retries", _count, "", "How often it is tried again after that.  [default: 10]", "N"),
    Option("statement_timeout", milliseconds, "", "How long a statement may take.  [default: 0, no limit]", "DURATION"),
    Option("timeout", milliseconds, "", "How long the whole run may take.  [default: 0, no limit]", "DURATION"),
)
_BY_NAME = {option.name: option for option in OPTIONS}


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
        ConfigurationError: the file, a key or a value can't be used; or no database is named anywhere.
    """
    from_file = _from_file(file or environ.get("SQLMIGRATE_CONFIG"), environment or environ.get("SQLMIGRATE_ENV"))
    from_environ = {option.name: text for option in OPTIONS if (text := _in_environ(option, environ))}
    options = {name: value for name, value in given.items() if value not in (None, ())}
    values = {**from_file, **from_environ, **options}
    names = {field.name for field in fields(Settings)}
    read = {name: _read(name, value) for name, value in values.items() if name in names}
    return Settings(**read, **_database(options, from_environ, from_file, environ))


def _in_environ(option: Option, environ: Mapping[str, str]) -> str:
    own = environ.get(f"SQLMIGRATE_{option.name.upper()}", "")
    return own or (environ.get(option.env, "") if option.env else "")


def _read(name: str, value: object) -> object:
    option = _BY_NAME[name]
    if isinstance(value, list | tuple):
        return tuple(map(str, value))
    try:
        return option.read(str(value))
    except ConfigurationError as error:
        raise ConfigurationError(f"{name.replace('_', '-')}: {error.message}", hint=error.hint) from None


def _database(
    options: Mapping[str, Any], in_environ: Mapping[str, Any], in_file: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Any]:
    """A URL and what goes before it: parts go before a URL of the same source or of one below, never of one above."""
    parts: dict[str, str] = {}
    for source in (options, in_environ, in_file):
        parts = {name: str(source[key]) for key, name in _PARTS.items() if key in source} | parts
        if "database_url" in source:
            return {"database": str(source["database_url"]), "connection_parts": tuple(parts.items())}
    if not parts and not any(environ.get(name) for name in _LIBPQ):
        raise ConfigurationError(
            "no database is named",
            hint="set DATABASE_URL, or DB_HOST and DB_NAME, or give --database-url;"
            " DATABASE_URL=embedded:PATH starts a PostgreSQL of its own in that directory",
        )
    return {"connection_parts": tuple(parts.items())}


def _from_file(path: str | None, environment: str | None) -> dict[str, Any]:
    found = path or next((name for name in FILES if _speaks_of_us(name)), None)
    if found is None:
        if environment:
            raise ConfigurationError(f"there is no configuration file with an environment {environment!r}")
        return {}
    table = _table(found)
    environments = table.pop("environments", {})
    if environment is not None and environment not in environments:
        raise ConfigurationError(
            f"{found} has no environment {environment!r}", hint=f"it has {', '.join(environments) or 'none'}"
        )
    values = {**table, **(environments[environment] if environment else {})}
    return {_known(found, key): _beside(found, key, value) for key, value in values.items()}


def _speaks_of_us(name: str) -> bool:
    """Most projects have a pyproject.toml that says nothing to us; it is not parsed."""
    if not os.path.isfile(name):
        return False
    with open(name, "rb") as file:
        return name != "pyproject.toml" or b"[tool.sqlmigrate" in file.read()


def _table(path: str) -> dict[str, Any]:
    import tomllib  # only where there is a file

    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if os.path.basename(path) == "pyproject.toml":
        content = content.get("tool", {}).get("sqlmigrate", {})
    return content


def _known(path: str, key: str) -> str:
    name = key.replace("-", "_")
    if name in _BY_NAME:
        return name
    import difflib  # only for an error

    close = difflib.get_close_matches(name, _BY_NAME, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(_BY_NAME)}"
    raise ConfigurationError(f"{path}: unknown setting {key!r}", hint=hint)


def _beside(path: str, key: str, value: object) -> object:
    """Directories in a file are meant from where the file is."""
    if key != "dir":
        return value
    parts = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    return tuple(os.path.join(os.path.dirname(path), part) for part in parts)
