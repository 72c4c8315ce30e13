"""Finds out why a server rejected a write as read-only: a standby, a default of the role or database, or the script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.errors import DatabaseError

if TYPE_CHECKING:
    from sqlmigrate.server.connection import Connection

# `reset_val` is the value at the start of the session: `setting` may be that of the script.
_STATE = """
select pg_catalog.pg_is_in_recovery(),
       (select s.reset_val = 'on' from pg_catalog.pg_settings s where s.name = 'default_transaction_read_only')
"""


def advice(connection: Connection) -> str:
    """Returns the hint for an error with SQLSTATE 25006; an empty string if the connection is lost."""
    try:
        if connection.in_transaction:
            connection.run("rollback")
        in_recovery, is_default = connection.rows(_STATE)[0]
    except DatabaseError:
        return ""
    if in_recovery:
        return "the server is a standby: connect to the primary (libpq: target_session_attrs=read-write)"
    if is_default:
        return (
            "default_transaction_read_only is on: ALTER ROLE … IN DATABASE … SET default_transaction_read_only = off,"
            " or add options=-cdefault_transaction_read_only=off to the connection string"
        )
    return (
        "the script makes its transaction read-only, in which its migration cannot be recorded: remove READ ONLY,"
        " transaction_read_only and default_transaction_read_only from it"
    )
