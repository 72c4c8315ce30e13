"""The history tables: their names, their format, and the SQL that creates and upgrades them."""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.server.conninfo import quoted

_LOG = """
    create table if not exists {log} (
        id           bigint      generated always as identity primary key,
        logged_at    timestamptz not null default clock_timestamp(),
        run_id       text        not null,
        action       text        not null,
        version      text        not null,
        name         text        not null,
        checksum     text        not null,
        outcome      text        not null,
        duration_ms  bigint      not null default 0,
        error_msg    text        not null default '',
        db_user      text        not null default session_user,
        os_user      text        not null,
        host         text        not null,
        client_addr  inet        default inet_client_addr(),
        backend_pid  integer     not null default pg_backend_pid(),
        tool_version text        not null
    );
    comment on table {log} is 'Every action of sqlmigrate on this database, oldest first; append-only.';
"""
# One entry for each format. The entries after the n-th upgrade tables of format n to the newest format.
# A restore may have lost a table, or the comment with the format, so every entry but the first keeps existing tables.
FORMATS = (
    """
    create table {history} (
        version          text        primary key,
        name             text        not null,
        description      text        not null default '',
        checksum         text        not null,
        executed_at      timestamptz not null default clock_timestamp(),
        duration_ms      bigint      not null default 0,
        executed_by      text        not null default session_user,
        success          boolean     not null,
        error_msg        text        not null default '',
        action           text        not null default 'apply',
        statements       integer     not null default 0,
        statements_done  integer     not null default 0,
        statements_begun integer     not null default 0,
        done_checksum    text        not null default ''
    );
    """
    + _LOG,
    _LOG
    + """
    create table if not exists {runs} (
        run_id       text        primary key,
        began_at     timestamptz not null default clock_timestamp(),
        ended_at     timestamptz,
        action       text        not null,
        versions     text[]      not null,
        db_user      text        not null default session_user,
        os_user      text        not null,
        host         text        not null,
        client_addr  inet        default inet_client_addr(),
        backend_pid  integer     not null default pg_backend_pid(),
        tool_version text        not null
    );
    comment on table {runs} is
        'Runs. If ended_at is null, the run is active or was interrupted.';
    create table if not exists {totals} (
        action           text        not null,
        version          text        not null,
        outcome          text        not null,
        entries          bigint      not null,
        duration_ms      numeric     not null,
        last_at          timestamptz not null,
        last_duration_ms bigint      not null,
        buckets          bigint[]    not null,
        primary key (action, version, outcome)
    );
    comment on table {totals} is
        'Totals of the log entries that `cleanup` deleted, so that no counter decreases.';
    """,
    """
    alter table {history} add column if not exists session text not null default '';
    alter table {history} add column if not exists begun_state text not null default '';
    """,
)
# The columns of the history table that a later format added, with that format.
ADDED_COLUMNS = {"session": 3, "begun_state": 3}
# The first version of the run `r` that the run did not complete.
UNDONE_VERSION = """coalesce((select v.id from pg_catalog.unnest(r.versions) with ordinality v(id, n)
                 where not exists (select from {log} l
                                   where l.run_id = r.run_id and l.version = v.id and l.outcome = 'success')
                 order by v.n limit 1), '')"""
# Logged as the error of a run that ended without recording its end.
INTERRUPTED = "interrupted: the run ended without recording its result"
COMMENT = "comment on table {history} is {text};"
COMMENT_TEXT = "Migrations that sqlmigrate has applied, one row per migration. Format {format}."


class TableName(NamedTuple):
    """The schema and the name of a table, not quoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


_HOW = 'write --history-table schema.name; only a name in double quotes, such as "a.b", may contain a dot'
_PART = r'"(?:[^"]|"")+"|[^".]+'
_QUOTED = re.compile(rf'(?=.*")(?:({_PART})\.)?({_PART})', re.DOTALL)


def parse_table_name(text: str) -> TableName:
    """Splits `schema.name`; a name without a schema is in `public`.

    Each part is taken as it is, without quotes; a part in double quotes is read as in SQL, and may contain dots.

    Raises:
        ConfigurationError: the text is not a usable table name, or a name would be longer than PostgreSQL's 63 bytes.
    """
    is_quoted = _QUOTED.fullmatch(text) is not None
    schema, dot, name = _unquoted(text) if is_quoted else text.rpartition(".")
    is_plain = is_quoted or ("." not in schema and schema.strip(' "') == schema and name.strip(' "') == name)
    # In a statement with parameters, psycopg reads a per cent sign as the start of a placeholder.
    is_usable = (
        text.isprintable() and "%" not in text and max(len(schema.encode()), len(f"{name}_totals".encode())) <= 63
    )
    if not name or (dot and not schema) or not is_plain or not is_usable:
        raise ConfigurationError(f"{text!r} is not a table name", hint=_HOW)
    return TableName(schema or "public", name)


def _unquoted(text: str) -> tuple[str, str, str]:
    """Returns schema, dot and name of a text that `_QUOTED` matches."""
    match = _QUOTED.fullmatch(text)
    schema, name = (part[1:-1].replace('""', '"') if part.startswith('"') else part for part in match.groups(""))  # type: ignore[union-attr]  # the caller has matched it
    return schema, "." if schema else "", name


class Tables(NamedTuple):
    """The names of the history tables and of their schema, quoted for SQL."""

    schema: str
    history: str
    log: str
    runs: str
    totals: str

    def fill(self, template: str, **values: str | int) -> str:
        """Returns SQL with the names, and with more values, in place of `{history}`, `{log}` and so on."""
        return template.format(**self._asdict(), **values)


SUFFIXES = ("", "_log", "_runs", "_totals")


def tables_of(table: TableName) -> Tables:
    """Returns the names of the tables that belong to a history table."""
    schema, name = table
    return Tables(quoted(schema), *(quoted(schema, f"{name}{suffix}") for suffix in SUFFIXES))


def format_in(comment: str | None) -> int:
    """Returns the format that the comment on a history table states."""
    words = (comment or "").rstrip(".").rsplit(" ", 2)
    if len(words) == 3 and words[1] == "Format" and words[2].isdigit():
        return int(words[2])
    return 1  # a restore may have lost the comment; tables of the first format have every column of the history table
