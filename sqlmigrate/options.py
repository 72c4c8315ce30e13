"""The settings that can be given, by option, environment or file. Light, since `--help` shows them."""

from __future__ import annotations

from typing import NamedTuple


class Option(NamedTuple):
    """A setting: its name, its other name in the environment besides `SQLMIGRATE_…`, its help, what its value is."""

    name: str
    env: str
    help: str
    metavar: str


OPTIONS = (
    Option("database_url", "DATABASE_URL", "The database: postgresql://…, a libpq string, or embedded:PATH.", "URL"),
    Option("db_host", "DB_HOST", "Its host.", "HOST"),
    Option("db_port", "DB_PORT", "Its port.", "PORT"),
    Option("db_user", "DB_USER", "The role to connect as.", "ROLE"),
    Option(
        "db_password",
        "DB_PASSWORD",
        "Its password; better in DB_PASSWORD or .pgpass, which `ps` does not show.",
        "TEXT",
    ),
    Option("db_name", "DB_NAME", "The database's name.", "NAME"),
    Option("dir", "", "A directory with migrations; may be repeated.  [default: migrations]", "DIR"),
    Option("history_table", "", "Where the history is kept.  [default: public.migrations]", "SCHEMA.NAME"),
    Option("lock_wait", "", "How long to wait for another run to end.  [default: 5min]", "DURATION"),
    Option("lock_timeout", "", "How long a statement may wait for a table's lock.  [default: 5s]", "DURATION"),
    Option("lock_retries", "", "How often it is tried again after that.  [default: 10]", "N"),
    Option("statement_timeout", "", "How long a statement may take.  [default: 0, no limit]", "DURATION"),
    Option("timeout", "", "How long the whole run may take.  [default: 0, no limit]", "DURATION"),
)
