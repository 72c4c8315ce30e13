"""The tables of the history, format by format."""

from __future__ import annotations

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
    comment on table {log} is 'Every action of sqlmigrate on this database, oldest first; only ever appended to.';
"""
# A restore may have lost a table, or the comment that names the format: but for the first, what is there may stay.
# One entry a format; a table of format n is brought to the newest by the entries behind n.
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
        'Every run that had something to do. One without an end is running, or was broken off.';
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
        'What `cleanup` took out of the log, summed up, so that no counter ever goes back.';
    """,
)
COMMENT = "comment on table {history} is {text};"
COMMENT_TEXT = "What sqlmigrate has applied, one row a migration. Format {format}."


def format_in(comment: str | None) -> int:
    """The format that a history table's comment tells."""
    words = (comment or "").rstrip(".").rsplit(" ", 2)
    if len(words) == 3 and words[1] == "Format" and words[2].isdigit():
        return int(words[2])
    return 1  # a restore may have lost the comment; the columns are those of the first format
