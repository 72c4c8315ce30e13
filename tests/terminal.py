"""A program on a pseudo-terminal, and the screen that a person sees."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyte
from rich.style import Style
from rich.text import Text

from tests.faults.waiting import until

HISTORY = 5000  # lines
_COLOURS = {"brown": "yellow", "default": None}
_DIM, _ITALICS = 2, 3


class _Screen(pyte.HistoryScreen):
    """A screen that shows dim text, which pyte does not know, as italics, which sqlmigrate does not use."""

    def select_graphic_rendition(self, *codes: int, **options: bool) -> None:
        super().select_graphic_rendition(*(_ITALICS if code == _DIM else code for code in codes), **options)


class Terminal:
    """The screen of a program; `until` waits for a text on it."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        columns: int = 100,
        lines: int = 40,
    ) -> None:
        self.screen = _Screen(columns, lines, history=HISTORY)
        self.screen.set_mode(pyte.modes.LNM)
        self.received = b""
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self._leader, follower = pty.openpty()
        self._set_size(columns, lines)
        self.process = subprocess.Popen(
            command,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            cwd=directory,
            env={**environment, "TERM": environment.get("TERM", "xterm-256color")},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # Ctrl-C needs a terminal
        )
        os.close(follower)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # Linux raises it when the other side is closed
            while block := os.read(self._leader, 4096):
                with self._lock:
                    self.received += block
                    self._stream.feed(block)

    @property
    def rows(self) -> list[str]:
        """The lines that were printed, from the first one, without empty lines at the end."""
        with self._lock:
            above = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
            rows = [row.rstrip() for row in [*above, *self.screen.display]]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def styled_text(self) -> Text:
        """What `rows` returns, with colours."""
        count = len(self.rows)
        text = Text()
        with self._lock:
            above = list(self.screen.history.top)
            for row in [*above, *(self.screen.buffer[y] for y in range(self.screen.lines))][:count]:
                line = Text()
                for cell in (row[x] for x in range(self.screen.columns)):
                    line.append(
                        cell.data, Style(color=_COLOURS.get(cell.fg, cell.fg), bold=cell.bold, dim=cell.italics)
                    )
                line.rstrip()
                text.append_text(line).append("\n")
        return text

    @property
    def text(self) -> str:
        return "\n".join(self.rows)

    def until(self, text: str) -> None:
        """Waits until the screen contains a text."""
        self.until_match(re.escape(text))

    def until_match(self, pattern: str) -> None:
        """Waits until a text on the screen matches a pattern."""
        with contextlib.suppress(AssertionError):
            until(lambda: re.search(pattern, self.text))
        assert re.search(pattern, self.text), self.text

    def until_another_second(self) -> None:
        """Waits until the last line shows another time than now."""
        before = self.rows[-1]
        until(lambda: re.findall(r"\d+ s", self.rows[-1]) != re.findall(r"\d+ s", before))

    def press(self, keys: str) -> None:
        os.write(self._leader, keys.encode())

    def resize(self, columns: int, lines: int = 40) -> None:
        """Changes the size of the window. xterm, as this screen, cuts the lines that are there."""
        with self._lock:
            self.screen.resize(lines, columns)
        self._set_size(columns, lines)

    def report_no_size(self) -> None:
        """Makes the terminal report 0 columns, as some do before they are connected."""
        self._set_size(0, 0)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def end(self) -> int:
        """Waits until the program has ended and its output is on the screen; returns its exit code."""
        code = self.process.wait(60)
        self._reader.join(60)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.end()
        os.close(self._leader)


@contextlib.contextmanager
def terminal(
    command: Sequence[str], environment: Mapping[str, str], directory: Path, columns: int = 100, lines: int = 40
) -> Iterator[Terminal]:
    """A program on a terminal, which does not outlive the block."""
    running = Terminal(command, environment, directory, columns, lines)
    try:
        yield running
    finally:
        running.close()
