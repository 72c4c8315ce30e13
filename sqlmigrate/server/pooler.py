"""Tells a pooler that keeps a session for each client from one that gives each transaction any server connection."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.server.connection import Connection

_PID = "select pg_catalog.pg_backend_pid()"
_LOOKS = 3


class _NoBackend(Exception):
    """The second connection waits for a backend."""


def keeps_session(connection: Connection, open_connection: Callable[[], Connection]) -> bool:
    """Whether a client keeps its backend between two transactions, observed with a second connection.

    A transaction pooler gives the backend that was released last to the next transaction of any client, or takes turns:
    in the order of this test either way shows. While the second connection waits for a backend, a transaction pooler
    would not serve the first one again: that it answers means that it keeps its own.
    """
    pid = _pid(connection)
    seen: list[bytes | None] = []

    def look() -> None:
        seen.append(_pid(connection))
        if len(seen) == _LOOKS:
            raise _NoBackend

    with closing(open_connection()) as other:
        other.on_tick = look
        try:
            first, second = _pid(other), _pid(other)
            pids = {pid, _pid(connection), _pid(connection), *seen}
            return pids == {pid} and first == second == _pid(other) != pid
        except _NoBackend:
            return set(seen) == {pid}


def _pid(connection: Connection) -> bytes | None:
    *_, result = connection.transmit(_PID)
    return result.value
