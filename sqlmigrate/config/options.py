"""The settings that can be given, by option, environment or file. Light, since `--help` shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Option(NamedTuple):
    """A setting: its name, its other name in the environment besides `SQLMIGRATE_…`, its help, what its value is.

    Without `metavar` it is no option, and a setting of the configuration file only. `heading` is what it stands under
    in a command's help. Where `commands` are named, only those have the option, and do something with it; the
    environment and the file may say it for all. `flag` is what the option is called, where that is not its name.
    """

    name: str
    env: str
    help: str
    metavar: str
    heading: str = ""
    commands: tuple[str, ...] = ()
    flag: str = ""


CONNECTION, PROJECT, RUN, OUTPUT = "Connection", "Project", "Run", "Output"
RUNS = ("migrate", "rollback")
_REHEARSING = (*RUNS, "validate")
_LOCKING = (*RUNS, "validate", "approve", "baseline", "repair", "cleanup")
_LOOKING = ("plan", "approve", "status", "info", "check", "validate", "metrics")
_WITH_FILES = (*RUNS, *_LOOKING, "baseline", "repair", "generate", "renumber")

OPTIONS = (
    Option(
        "database_url",
        "DATABASE_URL",
        "The database: postgresql://…, a libpq string, or embedded:PATH.",
        "URL",
        CONNECTION,
    ),
    Option("db_host", "DB_HOST", "Its host.", "HOST", CONNECTION),
    Option("db_port", "DB_PORT", "Its port.", "PORT", CONNECTION),
    Option("db_user", "DB_USER", "The role to connect as.", "ROLE", CONNECTION),
    Option(
        "db_password",
        "DB_PASSWORD",
        "Its password; better in DB_PASSWORD or .pgpass, which `ps` does not show.",
        "TEXT",
        CONNECTION,
    ),
    Option("db_password_file", "DB_PASSWORD_FILE", "A file with its password.", "FILE", CONNECTION),
    Option("db_name", "DB_NAME", "The database's name.", "NAME", CONNECTION),
    Option(
        "dir",
        "",
        "A directory with migrations; may be repeated.  [default: migrations]",
        "DIR",
        PROJECT,
        _WITH_FILES,
    ),
    Option("history_table", "", "Where the history is kept.  [default: public.migrations]", "SCHEMA.NAME", CONNECTION),
    Option("lock_wait", "", "How long to wait for another run to end.  [default: 5min]", "DURATION", RUN, _LOCKING),
    Option(
        "lock_timeout",
        "",
        "How long a statement may wait for a table's lock.  [default: 5s]",
        "DURATION",
        RUN,
        _REHEARSING,
    ),
    Option("lock_retries", "", "How often it is tried again after that.  [default: 10]", "N", RUN, RUNS),
    Option(
        "statement_timeout",
        "",
        "How long a statement may take.  [default: 0, no limit]",
        "DURATION",
        RUN,
        _REHEARSING,
    ),
    Option("timeout", "", "How long all of it may take.  [default: 0, no limit]", "DURATION", RUN),
    Option("log_format", "", "How log lines are written.  [default: text]", "text|json", OUTPUT),
    Option("log_file", "", "A file that log lines are appended to; logrotate may move it.", "FILE", OUTPUT),
    Option("backup", "", "A directory for a pg_dump before the first step.", "DIR", RUN, RUNS),
    Option("backup_keep", "", "How many backups to keep there.  [default: 0, all]", "N", RUN, RUNS),
    Option("notify_url", "", "A webhook that gets the result of each run, as JSON.", "URL", RUN, RUNS),
    Option("push", "", "A Pushgateway that gets the metrics after each run.", "URL", RUN, RUNS),
    Option(
        "lint_level",
        "SQLMIGRATE_LINT",
        "Refuse what the linter finds at this level or above: error, warning, notice, info.  [default: off]",
        "LEVEL",
        RUN,
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
