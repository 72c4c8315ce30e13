"""A webhook of one's own, on loopback."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "tok3n-in-the-path"  # noqa: S105  # of nothing


@dataclass
class Webhook:
    """What it is to answer, how long it takes for that, and what it was told."""

    url: str = ""
    status: int = 204
    pause: float = 0
    before_response: Callable[[], object] = lambda: None
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextlib.contextmanager
def listening() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            hook.headers.append(dict(self.headers))
            hook.before_response()
            with contextlib.suppress(OSError):  # whoever waited may have gone
                for _ in range(round(hook.pause * 10)):  # byte by byte, so that no single read takes long
                    self.wfile.write(b"H" if hook.pause > 1 else b"")
                    time.sleep(0.1)
                self.send_response(hook.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

        do_PUT = do_POST  # noqa: N815  # what a Pushgateway gets; http.server's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/{TOKEN}"
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
