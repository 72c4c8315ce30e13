"""The settings, with their options and environment variables. It imports little, since `--help` loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Option(NamedTuple):
    """A setting.

    Attributes:
        name: the name in the configuration file.
        env: a second environment variable, besides `SQLMIGRATE_…`.
        help: the help text.
        metavar: the kind of value; without it, only the configuration file can contain the setting.
        heading: the heading in a command's help.
        commands: the commands that have the option; without it, all commands have it.
        flag: the option's name, if it is not that of the setting.
    """

    name: str
    env: str
    help: str
    metavar: str
    heading: str = ""
    commands: tuple[str, ...] = ()
    flag: str = ""


CONNECTION, PROJECT, RUN, OUTPUT = "Connection", "Project", "Run", "Output"
RUNS = ("migrate", "rollback", "redo")
LOG_LEVELS = ("error", "warning", "info", "debug")
LINT_LEVELS = ("error", "warning", "notice", "info")
_REHEARSING = (*RUNS, "validate", "rehearse")
_LOCKING = (*RUNS, "validate", "rehearse", "approve", "baseline", "repair", "cleanup")
_INSPECTING = (
    "plan",
    "approve",
    "status",
    "info",
    "check",
    "drift",
    "validate",
    "metrics",
    "lock-status",
    "force-unlock",
)
_WITH_FILES = (*RUNS, *_INSPECTING, "rehearse", "baseline", "repair", "generate", "renumber")

OPTIONS = (
    Option(
        "database_url",
        "DATABASE_URL",
        "The database: postgresql://…, a libpq string, or embedded:PATH.",
        "URL",
        CONNECTION,
    ),
    Option("db_host", "DB_HOST", "The host name of the server.", "HOST", CONNECTION),
    Option("db_port", "DB_PORT", "The port of the server.", "PORT", CONNECTION),
    Option("db_user", "DB_USER", "The role to connect as.", "ROLE", CONNECTION),
    Option(
        "db_password",
        "DB_PASSWORD",
        "The password; prefer DB_PASSWORD or .pgpass, which `ps` does not show.",
        "TEXT",
        CONNECTION,
    ),
    Option("db_password_file", "DB_PASSWORD_FILE", "A file that contains the password.", "FILE", CONNECTION),
    Option("db_name", "DB_NAME", "The name of the database.", "NAME", CONNECTION),
    Option(
        "connect_wait",
        "",
        "How long to wait for a server that is not up yet.  [default: 0]",
        "DURATION",
        CONNECTION,
    ),
    Option(
        "dir",
        "",
        "A directory with migrations; may be repeated.  [default: migrations]",
        "DIR",
        PROJECT,
        _WITH_FILES,
    ),
    Option("history_table", "", "The history table.  [default: public.migrations]", "SCHEMA.NAME", CONNECTION),
    Option("lock_wait", "", "How long to wait for the migration lock.  [default: 5min]", "DURATION", RUN, _LOCKING),
    Option(
        "lock_timeout",
        "",
        "How long a statement may wait for a table lock.  [default: 5s]",
        "DURATION",
        RUN,
        _REHEARSING,
    ),
    Option("lock_retries", "", "How often to retry after a lock timeout.  [default: 10]", "N", RUN, RUNS),
    Option(
        "statement_timeout",
        "",
        "How long a statement may run.  [default: 0, no limit]",
        "DURATION",
        RUN,
        _REHEARSING,
    ),
    Option(
        "parallel",
        "MIGRATION_CONCURRENCY",
        "How many independent migrations may run side by side.  [default: 1]",
        "N",
        RUN,
        ("migrate", "plan"),
    ),
    Option("timeout", "", "How long the command may run.  [default: 0, no limit]", "DURATION", RUN),
    Option("log_format", "", "The format of log lines.  [default: text]", "text|json", OUTPUT),
    Option("log_file", "", "Append log lines to this file; logrotate may move it.", "FILE", OUTPUT),
    Option("backup", "", "Write a pg_dump to this directory before the first step.", "DIR", RUN, RUNS),
    Option("backup_keep", "", "How many backups to keep.  [default: 0, all]", "N", RUN, RUNS),
    Option("notify_url", "", "Post the result of each run to this webhook, as JSON.", "URL", RUN, RUNS),
    Option("push", "", "Push the metrics to this Pushgateway after each run.", "URL", RUN, RUNS),
    Option(
        "lint_level",
        "SQLMIGRATE_LINT",
        f"Refuse to run on findings at this level or above: {', '.join(LINT_LEVELS)}.  [default: off]",
        "LEVEL",
        RUN,
        (*RUNS, "plan"),
        "--lint",
    ),
    Option("notify_command", "", "", ""),
    Option("password_command", "", "", ""),
    Option("require_approval", "", "", ""),
    Option("drift_ignore", "", "", ""),
    # `cli.app` defines the options of these three.
    Option("keep_running", "", "", ""),
    Option("log_level", "", "", ""),
    Option("format", "", "", ""),
    Option("allow_paths", "", "", ""),
)


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment for a child process, without sqlmigrate's and libpq's variables: some are passwords."""
    names = {option.env for option in OPTIONS}
    prefixes = ("SQLMIGRATE_", "PG")
    return {name: value for name, value in environ.items() if name not in names and not name.startswith(prefixes)}
