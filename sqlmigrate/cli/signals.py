"""Turns signals, and the end of `--timeout`, into an exception that cancels, rolls back and unlocks."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

from sqlmigrate.errors import Interrupted, SignalReceived, SqlMigrateError, TimedOut

if TYPE_CHECKING:
    from types import FrameType

# Functions whose exceptions are lost: those of a finalizer, and those of libpq's callback for notices.
# An exception in the other functions would leave a process that nobody ends.
_HOLDING = ("__del__", "_notice_handler", "Popen.__init__", "Popen.__enter__")


class Signals:
    """The signals of a command: the first one raises `SignalReceived`, the others are ignored.

    A signal that arrives during an import is held until the import has ended: Python up to 3.11 wraps an exception
    raised in a class statement, and psycopg ignores exceptions while it tries its implementations. It is held likewise
    while a child process starts, which would otherwise survive.
    """

    def __init__(self) -> None:
        self._timeout_ms = 0
        self._received = 0
        self._outermost: FrameType | None = None
        self._numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGALRM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
            self._numbers.append(signal.SIGHUP)

    def handle(self) -> None:
        """Replaces the handlers of the process."""
        for number in self._numbers:
            signal.signal(number, self._stop)

    def limit(self, timeout_ms: int) -> None:
        """Starts the timeout; 0 ends it."""
        self._timeout_ms = timeout_ms
        signal.setitimer(signal.ITIMER_REAL, timeout_ms / 1000)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        for handled in self._numbers:
            signal.signal(handled, signal.SIG_IGN)
        self._received = number
        self._outermost = _outermost_holding(frame)
        if self._outermost is None:
            raise SignalReceived(self._error())
        sys.setprofile(self._raise_after)

    def _raise_after(self, frame: FrameType, event: str, _: Any) -> None:
        """Raises the exception at the first event after the outermost frame has returned."""
        if self._outermost is not None:
            if event == "return" and frame is self._outermost:
                self._outermost = None
        elif _outermost_holding(frame) is None:
            sys.setprofile(None)
            raise SignalReceived(self._error())

    def _error(self) -> SqlMigrateError:
        if self._received == signal.SIGALRM:
            seconds = self._timeout_ms / 1000
            return TimedOut(f"the run took longer than {seconds:g} s", hint="raise --timeout, and run again")
        return Interrupted(self._received)


def _outermost_holding(frame: FrameType | None) -> FrameType | None:
    """Returns the outermost frame that imports a module, starts a process or would lose an exception, if any."""
    outermost = None
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib") or code.co_qualname.endswith(_HOLDING):
            outermost = frame
        frame = frame.f_back
    return outermost
