"""Creates the database of a target that does not exist yet, from another database of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.errors import ConnectionFailed, StatementFailed
from sqlmigrate.server.conninfo import quoted
from sqlmigrate.sql.sqlstate import DUPLICATE, NOT_PERMITTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.server.connection import Connection

# The databases of every new server to which ordinary roles can connect.
_MAINTENANCE = ("postgres", "template1")
_CREATE = "create database {name}"
# Another run has created the database since the failure, or creates it at the same time.
_CREATED_MEANWHILE = {DUPLICATE, "42P04"}  # unique_violation of pg_database, duplicate_database


def create_missing(connect: Callable[[str], Connection], name: str, failure: ConnectionFailed) -> bool:
    """Creates a database; returns False if another run has created it meanwhile.

    Args:
        connect: Opens a connection to another database of the server.
        name: The name of the database.
        failure: The error that the database does not exist. It is raised if no other database can be connected to.

    Raises:
        ConnectionFailed: No database of the server can be connected to, or this role may not create a database.
    """
    connection = _maintenance(connect, name, failure)
    try:
        connection.run(_CREATE.format(name=quoted(name)))
    except StatementFailed as error:
        if error.report.sqlstate in _CREATED_MEANWHILE:
            return False
        raise ConnectionFailed(
            f'could not create database "{name}": {error.message}', hint=_hint(connection, name, error)
        ) from error
    finally:
        connection.close()
    return True


def _maintenance(connect: Callable[[str], Connection], name: str, failure: ConnectionFailed) -> Connection:
    for database in _MAINTENANCE:
        if database != name:
            try:
                return connect(database)
            except ConnectionFailed:
                continue
    raise failure


def _hint(connection: Connection, name: str, error: StatementFailed) -> str:
    if error.report.sqlstate != NOT_PERMITTED:
        return error.report.hint
    role = quoted(connection.rows("select session_user::text")[0][0])
    return f"as a superuser, run CREATE DATABASE {quoted(name)} OWNER {role}, or ALTER ROLE {role} CREATEDB"
