"""Explains a connection string that libpq cannot parse or would misread, without printing any part of a password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]*?):(?://|(?=postgresql:|postgres:))(.*)", re.DOTALL)
_OWN = ("postgresql", "postgres")
_CREDENTIALS = re.compile(r"[^@/]*@")  # libpq looks for the first @ before the first slash
_WRITE = "write postgresql://USER@HOST:PORT/DATABASE"
_ESCAPES = "write %40 for @, %2F for /, %3F for ?, %23 for # and %25 for %; or set DB_PASSWORD instead"
_SCHEMES = {
    "jdbc": "JDBC",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "sqlite": "SQLite",
    "prisma": "Prisma Accelerate",
    "redis": "Redis",
    "rediss": "Redis",
    "mysqlx": "MySQL",
    "mysql2": "MySQL",
    "sqlite3": "SQLite",
    "libsql": "libSQL",
    "mongodb": "MongoDB",
    "sqlserver": "SQL Server",
    "mssql": "SQL Server",
    "oracle": "Oracle",
    "clickhouse": "ClickHouse",
    "snowflake": "Snowflake",
    "bigquery": "BigQuery",
    "redshift": "Amazon Redshift",
    "cockroachdb": "CockroachDB",
    "duckdb": "DuckDB",
    "cassandra": "Cassandra",
}
_OTHER = "host=HOST dbname=DATABASE"
_ONLY = "sqlmigrate supports only PostgreSQL"
_SEARCH_PATH = "write options=-csearch_path%3DSCHEMA instead"
_DROP = "remove it: sqlmigrate does not need it"
_NO_POOL = "remove it: sqlmigrate has no connection pool"
_OPTIONS = "write options=-c{}%3DVALUE instead"
# Parameters of other programs, with their program and what to write.
_FOREIGN = {
    "schema": ("Prisma", _SEARCH_PATH),
    "pgbouncer": ("Prisma", "remove it: sqlmigrate detects a transaction pooler itself"),
    "connection_limit": ("Prisma", _NO_POOL),
    "pool_timeout": ("Prisma", _NO_POOL),
    "socket_timeout": ("Prisma", "write tcp_user_timeout=MILLISECONDS instead"),
    "statement_cache_size": ("Prisma", _DROP),
    "sslaccept": ("Prisma", "write sslmode=require or sslmode=verify-full instead"),
    "sslidentity": ("Prisma", "write sslcert=FILE and sslkey=FILE instead"),
    "currentSchema": ("JDBC", _SEARCH_PATH),
    "ApplicationName": ("JDBC", _DROP),
    "loginTimeout": ("JDBC", "write connect_timeout=SECONDS instead"),
    "connectTimeout": ("JDBC", "write connect_timeout=SECONDS instead"),
    "socketTimeout": ("JDBC", "write tcp_user_timeout=MILLISECONDS instead"),
    "tcpKeepAlive": ("JDBC", "write keepalives=1 instead"),
    "prepareThreshold": ("JDBC", _DROP),
    "targetServerType": ("JDBC", "write target_session_attrs=read-write instead"),
    "stringtype": ("JDBC", _DROP),
    "reWriteBatchedInserts": ("JDBC", _DROP),
    "binary_parameters": ("lib/pq", _DROP),
    "pool_max_conns": ("pgx", _NO_POOL),
    "pool_min_conns": ("pgx", _NO_POOL),
    "default_query_exec_mode": ("pgx", _DROP),
    "x-migrations-table": ("golang-migrate", "give --history-table SCHEMA.NAME instead"),
    "x-statement-timeout": ("golang-migrate", "give --statement-timeout DURATION instead"),
    "pool": ("Rails", _NO_POOL),
    "prepared_statements": ("Rails", _DROP),
    "encoding": ("Rails", _DROP),
    "charset": ("MySQL", _DROP),
    "prepared_statement_cache_size": ("asyncpg", _DROP),
    "async_fallback": ("SQLAlchemy", _DROP),
    "serverVersion": ("Doctrine", _DROP),
    **{
        name: ("PostgreSQL's settings", _OPTIONS.format(name))
        for name in ("search_path", "statement_timeout", "lock_timeout", "timezone", "TimeZone", "role")
    },
}
# libpq reads these numbers after it has found the host, or has connected to it.
_NUMBERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
_PORTS = 65535
_PARAMETER = re.compile(r"[?&]([A-Za-z][\w-]*)=")


class Refusal(NamedTuple):
    """Why a connection string cannot be used, and what to write."""

    message: str
    hint: str


def refusal(text: str) -> Refusal | None:
    """Returns why a connection string is another program's, or would be misread; None if libpq can try it."""
    bare = text.strip().strip("'\"")
    if bare != text and _URL.match(bare):
        if text.strip() != text:
            return Refusal("it starts or ends with white space", "remove the white space")
        return Refusal("it is enclosed in quotation marks", "remove them; `docker run --env-file` does not")
    match = _URL.match(text)
    if match is None:
        return _without_slashes(text)
    scheme, rest = match[1], match[2]
    if scheme not in _OWN:
        return Refusal(*_of_scheme(scheme))
    credentials = _CREDENTIALS.match(rest)
    address, _, query = rest[credentials.end() if credentials else 0 :].partition("?")
    if "@" in address:
        return Refusal("the user, password or database name contains a character that must be escaped", _ESCAPES)
    for name in _PARAMETER.findall(f"?{query}"):
        if name in _FOREIGN:
            program, hint = _FOREIGN[name]
            return Refusal(f'parameter "{name}" is one of {program}, not of libpq', hint)
    return None


def _without_slashes(text: str) -> Refusal | None:
    """Returns why a text that is neither a URL nor keywords and values cannot be used."""
    scheme, colon, rest = text.partition(":")
    if colon and (program := _SCHEMES.get(scheme.lower())):
        return Refusal(f'scheme "{scheme}" is that of {program}: {_ONLY}', _WRITE)
    if colon and "@" in rest and not re.match(r"\s*\w+\s*=", text):
        return Refusal("the scheme is missing", f"{_WRITE}; in user and password {_ESCAPES}")
    return None


def explained(text: str, reason: str) -> Refusal:
    """Returns why libpq could not parse a connection string, given libpq's message."""
    name = re.search(r'query parameter: "([\w-]+)"', reason)
    if name and "@" not in text.partition("?")[2] and f"?{name[1]}=" in text.replace("&", "?"):
        return Refusal(
            f'parameter "{name[1]}" is not one of libpq', "remove it, or check its spelling in libpq's documentation"
        )
    if "=" not in text and "://" not in text:
        return Refusal("it is neither a URL nor a list of parameters", f"{_WRITE}, {_OTHER}, or embedded:PATH")
    if _URL.match(text):
        return Refusal(_masked(reason), f"{_WRITE}; in user and password {_ESCAPES}")
    return Refusal(_masked(reason), f"{_WRITE}, or {_OTHER}")


def invalid_number(parameters: Mapping[str, object]) -> Refusal | None:
    """Returns which parameter is not a number; the value of the port may be a part of the password."""
    ports = str(parameters.get("port", "")).split(",")
    if not all(port == "" or (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) <= _PORTS) for port in ports):
        hint = f"check DB_PORT or the URL: {_WRITE}; in user and password {_ESCAPES}"
        return Refusal(f"the port is not a number from 1 to {_PORTS}", hint)
    for name in _NUMBERS:
        if not re.fullmatch(r"\s*([+-]?[0-9]+\s*)?", str(parameters.get(name, ""))):
            return Refusal(f'parameter "{name}" is not a number', f"write {name}=5 without a unit, or remove it")
    return None


def rejected(reason: str) -> Refusal:
    """Returns why libpq rejects a value, given its message."""
    return Refusal(
        _masked(reason) if "@" in reason else reason, "check the parameter in libpq's documentation, or remove it"
    )


def without_user(message: str) -> str:
    """Returns a message without the text before an @ in a host name: the rest of a password with an unescaped @."""
    return re.sub(r"[^\s\"']*@(?=[^\s@]*[\"'])", "…@", message)


def _of_scheme(scheme: str) -> tuple[str, str]:
    base, _, driver = scheme.lower().partition("+")
    base = base.removeprefix("jdbc:")
    if scheme.lower().startswith("jdbc") and base in ("jdbc", *_OWN):
        hint = f"{_WRITE}; a parameter user=… or password=… is allowed"
        return 'scheme "jdbc:" is JDBC\'s', f"remove it: {hint}"
    if driver and base in _OWN:
        return f'scheme "{scheme}" names a driver of SQLAlchemy', f"remove +{driver}: {_WRITE}"
    program = _SCHEMES.get(base)
    if base in _OWN:
        return f'scheme "{scheme}" is not in lower case', _WRITE
    # An unknown scheme may be a password that was given as the URL.
    whose = f'scheme "{scheme}" is that of {program}' if program else "its scheme is not that of PostgreSQL"
    return f"{whose}: {_ONLY}", _WRITE


def _masked(message: str) -> str:
    """The part of a connection string that libpq quotes may contain a part of the password."""
    return re.sub('".*"', '"…"', message, flags=re.DOTALL)
