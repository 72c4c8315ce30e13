"""A proxy in front of the server that counts round trips and results, and can delay each round trip."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_TERMINATE = b"X\0\0\0\4"  # has no answer, and the client does not wait until it arrives


class Proxy:
    """Listens on a port of the loopback address; a round trip is a time that the client speaks after the server did."""

    def __init__(self, conninfo: str, delay: float = 0) -> None:
        self._target = conninfo_to_dict(conninfo)
        self._delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.round_trips = 0
        self.results = 0
        self._counting = threading.Lock()
        port = self._listener.getsockname()[1]
        self.conninfo = make_conninfo(conninfo, host="127.0.0.1", port=port)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client, self._connect()), daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._target["host"]), self._target.get("port", 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, int(str(port))))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return server

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        answered = threading.Event()
        answered.set()

        def back() -> None:
            received = bytearray()
            in_messages = False
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    answered.set()
                    in_messages = in_messages or data not in (b"N", b"S")  # the answer to a request for TLS
                    received += data if in_messages else b""
                    with self._counting:  # each connection has its thread
                        self.results += _results(received)
                    client.sendall(data)

        threading.Thread(target=back, daemon=True).start()
        with contextlib.suppress(OSError), client, server:
            while data := client.recv(65536):
                if answered.is_set() and data != _TERMINATE:
                    answered.clear()
                    self.round_trips += 1
                    time.sleep(self._delay)
                server.sendall(data)


def _results(received: bytearray) -> int:
    """Removes the complete messages of the server and returns how many of them end a statement without an error."""
    results = start = 0
    while len(received) >= start + 5:
        end = start + 1 + int.from_bytes(received[start + 1 : start + 5])
        if end > len(received):
            break
        results += received[start] in b"CI"  # CommandComplete, EmptyQueryResponse
        start = end
    del received[:start]
    return results


@contextlib.contextmanager
def proxied(conninfo: str, delay: float = 0) -> Iterator[Proxy]:
    proxy = Proxy(conninfo, delay)
    yield proxy
    proxy.close()
