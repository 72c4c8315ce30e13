from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from sqlmigrate.cli.signals import Signals
from sqlmigrate.errors import SignalReceived


@pytest.fixture
def handled() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    Signals().handle()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _sleep() -> None:
    with subprocess.Popen(["sleep", "3600"]) as program:
        try:
            program.wait()
        except BaseException:
            program.kill()
            raise


@pytest.mark.usefixtures("handled")
def test_a_signal_while_a_process_starts_is_held_until_the_block_that_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen._execute_child  # type: ignore[attr-defined]  # not in the types

    def start_and_signal(self: subprocess.Popen[bytes], *arguments: Any) -> None:
        start(self, *arguments)
        started.append(self)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(subprocess.Popen, "_execute_child", start_and_signal)
    with pytest.raises(SignalReceived):
        _sleep()

    assert [process.returncode for process in started] == [-signal.SIGKILL]
