"""Detects a network that drops packets: parameters for libpq, settings for the server, and the kernel's timer."""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# In each, TCP gives up after 20 to 30 s. The kernel's defaults are 2 hours for an idle connection and about 15 minutes
# for data that is not acknowledged, during which keepalives do not act.
CLIENT: dict[str, str | int] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 20_000,
}
# A connection beside that of the run.
WATCHER = {"connect_timeout": "3", "tcp_user_timeout": "5000"}
# For a second connection, to the host and port of the first.
SAME_SERVER = {"target_session_attrs": "any", "load_balance_hosts": "disable"}
# The server ignores them on a Unix-domain socket.
SERVER = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "20s",
}

_TICK = 0.2  # seconds
_SERVICE = {"service": "PGSERVICE", "servicefile": "PGSERVICEFILE"}
_USER_TIMEOUT: int = getattr(socket, "TCP_USER_TIMEOUT", 0)  # only Linux has it
_TCP_INFO: int = getattr(socket, "TCP_INFO", 0)
_LAST_ACK = slice(56, 60)  # tcpi_last_ack_recv of struct tcp_info, in milliseconds
_PATIENCE = 2  # the kernel doubles the pause between two probes


def wait(descriptor: int, events: int, on_tick: Callable[[], None]) -> int:
    """Waits until a socket is ready, and returns the events of `select.poll`; calls `on_tick` while it waits."""
    poll = select.poll()
    poll.register(descriptor, events)
    if ready := poll.poll(_TICK * 1000):
        return ready[0][1]
    stall = _Stall(descriptor)
    try:
        while not (ready := poll.poll(_TICK * 1000)):
            stall.extend()
            on_tick()
    finally:
        stall.end()
    return ready[0][1]


class _Stall:
    """The wait of a sender whose peer reads nothing, such as COPY into a table whose trigger is slow.

    Linux ends such a connection after `tcp_user_timeout`, even if the peer acknowledges each probe. `extend` postpones
    this as long as the peer does.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._began = time.monotonic()
        is_tcp = self._socket.family in (socket.AF_INET, socket.AF_INET6)
        can_extend = is_tcp and _USER_TIMEOUT and _TCP_INFO
        self._timeout = self._socket.getsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT) if can_extend else 0

    def extend(self) -> None:
        """Adds to the timeout a multiple of the time for which the peer has acknowledged probes."""
        if self._timeout:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _LAST_ACK.stop)
            silent = int.from_bytes(info[_LAST_ACK], sys.byteorder)
            answered = (time.monotonic() - self._began) * 1000 - silent
            self._set(self._timeout + max(0, round(_PATIENCE * answered)))

    def end(self) -> None:
        """Restores the timeout."""
        if self._timeout:
            self._set(self._timeout)
        self._socket.close()

    def _set(self, timeout: int) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, timeout)


@contextmanager
def as_environment(parameters: Mapping[str, object]) -> Iterator[None]:
    """Names the service of connection parameters in the environment, from where libpq reads it as a default."""
    named = {variable: str(parameters[key]) for key, variable in _SERVICE.items() if key in parameters}
    before = {variable: os.environ[variable] for variable in named if variable in os.environ}
    os.environ.update(named)
    try:
        yield
    finally:
        for variable in named:
            del os.environ[variable]
        os.environ.update(before)
