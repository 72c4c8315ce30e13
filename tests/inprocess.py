"""Runs the command line in the process of the tests, which saves the start of an interpreter.

It has what a process of its own would have: arguments, environment, directory, and files as standard input, output and
error. A test that needs a process (signals, a terminal, a server that ends with it) starts one.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sqlmigrate.cli import main
from sqlmigrate.config import password

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP)


def run(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs `sqlmigrate` with the arguments."""
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        given = stack.enter_context(tempfile.TemporaryFile())
        given.write(stdin.encode())
        given.seek(0)
        with _process_state(), _descriptors({0: given.fileno(), 1: out.fileno(), 2: err.fileno()}):
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(environment)
            time.tzset()
            code = _exit_code(arguments)
        texts = [_text(file) for file in (out, err)]
    return subprocess.CompletedProcess(["sqlmigrate", *arguments], code, *texts)


def needs_a_process(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether the command depends on the start or the end of its process, or would share this one with another."""
    embedded = any(value.startswith("embedded:") for value in (*arguments, *environment.values()))
    for_python = any(name.startswith("PYTHON") for name in environment)
    pushes = "--push" in arguments or "SQLMIGRATE_PUSH" in environment  # a failed push leaves its socket to the end
    return embedded or for_python or pushes or threading.current_thread() is not threading.main_thread()


def _exit_code(arguments: Sequence[str]) -> int:
    """Returns the exit code that the interpreter would return."""
    code: object = 0
    sys.argv = ["sqlmigrate", *arguments]
    try:
        main.main(list(arguments), prog_name="sqlmigrate")
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001  # as the interpreter does
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError, ValueError):
            stream.flush()
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        code = 1
    return code if isinstance(code, int) else 0


@contextlib.contextmanager
def _process_state() -> Iterator[None]:
    """Restores what a command changes in its process."""
    environment, directory, argv = dict(os.environ), os.getcwd(), sys.argv
    streams = sys.stdin, sys.stdout, sys.stderr
    threshold = gc.get_threshold()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    tempfile.tempdir = None  # each process reads TMPDIR
    for cached in (password._from_command, password._from_pipe):
        cached.cache_clear()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.unfreeze()
        gc.set_threshold(*threshold)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.stdin, sys.stdout, sys.stderr = streams
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        os.chdir(directory)
        tempfile.tempdir = None


@contextlib.contextmanager
def _descriptors(files: Mapping[int, int]) -> Iterator[None]:
    """Puts files into the places of standard input, output and error, and opens Python's streams on them."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    saved = {number: os.dup(number) for number in files}
    try:
        for number, file in files.items():
            os.dup2(file, number)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
        yield
    finally:
        for number, file in saved.items():
            os.dup2(file, number)
            os.close(file)


def _text(file: io.BufferedRandom) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")
