"""The state of the session: the SQL that starts a transaction, and the SQL that resets the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.server import network
from sqlmigrate.sql.text import Sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlmigrate.server.connection import Connection

# For PostgreSQL 14 and later: the server notices within a second that the client has died, instead of at the end of the
# statement; and it does not end the session as idle during a backup or before a retry.
_LIVENESS = f"""select pg_catalog.set_config('client_connection_check_interval', '1s', false),
    pg_catalog.set_config('idle_session_timeout', '0', false),
    {network.SERVER};"""

# SET CONSTRAINTS runs deferred triggers while the script's role and search_path are still set, so that their errors are
# reported for the script. Never DISCARD ALL: it would release the migration lock.
_WIPE = (
    "set constraints all immediate;",
    "close all;",
    "unlisten *;",
    "deallocate all;",
    "discard temp;",
    "reset session authorization;",
    "reset role;",
    "reset all;",
)
# Between the segments of a script its settings remain; only the record is written with the session's own role.
_STEP_ASIDE = ("set constraints all immediate;", "set local session authorization default;", "set local role none;")


class Session:
    """The SQL that sets up one session (`start`), resets it (`wipe`), or writes as its own role (`step_aside`).

    `pooled` is true behind a transaction pooler, where no setting may outlive a transaction.
    """

    def __init__(self, connection: Connection, *, pooled: bool) -> None:
        self._connection = connection
        self._pooled = pooled
        start = [_LIVENESS] if connection.server_version >= 140000 and not pooled else []
        self.start = _lines(start)
        self.wipe = _lines([*_WIPE, *start])
        self.step_aside = _lines(_STEP_ASIDE)

    def opening(self, begin: str, settings: Mapping[str, str | int]) -> Sql:
        """Returns the SQL that starts a transaction with settings."""
        assignments = [f"set local {key} = {self._connection.literal(value)};" for key, value in settings.items()]
        return _lines([f"{begin or 'begin'};", *assignments])

    def prepared(self, settings: Mapping[str, str | int]) -> str:
        """Returns the SQL of the settings for statements that run outside a transaction."""
        if self._pooled:
            return ""
        return "".join(f"set {key} = {self._connection.literal(value)};" for key, value in settings.items())

    def clean(self) -> None:
        """Rolls back an open transaction and resets the session."""
        if self._connection.in_transaction:
            self._connection.run("rollback")
        self._connection.run(f"begin;\n{self.wipe.text}commit;")


def _lines(statements: Sequence[str]) -> Sql:
    return Sql("".join(f"{statement}\n" for statement in statements), len(statements))
