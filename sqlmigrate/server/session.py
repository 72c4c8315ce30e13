"""The state of the session: how a transaction of ours opens, and how a migration's traces are wiped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.sql.text import Sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlmigrate.server.connection import Connection

# A client that died is noticed within this time, not at the end of its statement; and one that backs up, or waits to
# try again, is not taken for idle (PostgreSQL 14).
_LIVENESS = """select pg_catalog.set_config('client_connection_check_interval', '1s', false),
    pg_catalog.set_config('idle_session_timeout', '0', false);"""

# `constraints` fires what is deferred, while the script's role and path are still those it was written for, so that a
# fault there is the script's. Never DISCARD ALL: it would drop the migration lock.
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
# Between the segments of a script its settings stay; only our own record is written as ourselves.
_STEP_ASIDE = ("set constraints all immediate;", "set local session authorization default;", "set local role none;")


class Session:
    """The fixed texts for one connection: `start` makes it ours, `wipe` makes it so again.

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
        """The SQL that opens a transaction."""
        quoted = [f"set local {key} = {self._connection.literal(value)};" for key, value in settings.items()]
        return _lines([f"{begin or 'begin'};", *quoted])

    def prepared(self, settings: Mapping[str, str | int]) -> str:
        """The text that sets what statements outside a transaction run with."""
        if self._pooled:
            return ""
        return "".join(f"set {key} = {self._connection.literal(value)};" for key, value in settings.items())

    def clean(self) -> None:
        """Ends what is open and wipes the session."""
        if self._connection.in_transaction:
            self._connection.run("rollback")
        self._connection.run(f"begin;\n{self.wipe.text}commit;")


def _lines(statements: Sequence[str]) -> Sql:
    return Sql("".join(f"{statement}\n" for statement in statements), len(statements))
