"""The settings that can be given, by option, environment or file. Light, since `--help` shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Option(NamedTuple):
    """A setting: its name, its other name in the environment besides `SQLMIGRATE_…`, its help, what its value is.

    `commands` are those that take the option, where not all do; without `metavar` it is none at all, and a setting
    of the configuration file only. `flag` is what the option is called, where that is not its name.
    """

    name: str
    env: str
    help: str
    metavar: str
    commands: tuple[str, ...] = ()
    flag: str = ""


RUNS = ("migrate", "rollback")
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
    Option("db_password_file", "DB_PASSWORD_FILE", "A file with its password.", "FILE"),
    Option("db_name", "DB_NAME", "The database's name.", "NAME"),
    Option("dir", "", "A directory with migrations; may be repeated.  [default: migrations]", "DIR"),
    Option("history_table", "", "Where the history is kept.  [default: public.migrations]", "SCHEMA.NAME"),
    Option("lock_wait", "", "How long to wait for another run to end.  [default: 5min]", "DURATION"),
    Option("lock_timeout", "", "How long a statement may wait for a table's lock.  [default: 5s]", "DURATION"),
    Option("lock_retries", "", "How often it is tried again after that.  [default: 10]", "N"),
    Option("statement_timeout", "", "How long a statement may take.  [default: 0, no limit]", "DURATION"),
    Option("timeout", "", "How long the whole run may take.  [default: 0, no limit]", "DURATION"),
    Option("log_format", "", "How log lines are written.  [default: text]", "text|json"),
    Option("log_file", "", "A file that log lines are appended to; logrotate may move it.", "FILE"),
    Option("backup", "", "A directory for a pg_dump before the first step.", "DIR", RUNS),
    Option("backup_keep", "", "How many backups to keep there.  [default: 0, all]", "N", RUNS),
    Option("notify_url", "", "A webhook that gets the result of each run, as JSON.", "URL", RUNS),
    Option("push", "", "A Pushgateway that gets the metrics after each run.", "URL", RUNS),
    Option(
        "lint_level",
        "SQLMIGRATE_LINT",
        "Refuse what the linter finds at this level or above: error, warning, notice, info.  [default: off]",
        "LEVEL",
        (*RUNS, "plan"),
        "--lint",
    ),
    Option("notify_command", "", "", ""),
    Option("password_command", "", "", ""),
    Option("require_approval", "", "", ""),
    Option("log_level", "", "", ""),  # the command line has it, and `format`, besides
    Option("format", "", "", ""),
    Option("allow_paths", "", "", ""),
)


def without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program that we start: no setting of ours or libpq's, since passwords are among them."""
    names = {option.env for option in OPTIONS}
    prefixes = ("SQLMIGRATE_", "PG")
    return {name: value for name, value in environ.items() if name not in names and not name.startswith(prefixes)}
