"""Sends the result of a run to a webhook and a command; a failure does not change the run's outcome."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from http.client import HTTPException
from threading import Thread
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from sqlmigrate.config.options import without_settings
from sqlmigrate.errors import SignalReceived, SqlMigrateError
from sqlmigrate.model import Run
from sqlmigrate.render import as_json
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlmigrate.config.settings import Settings


_TIMEOUT, _TIMEOUT_INTERRUPTED = 10, 2  # seconds


class Notifier:
    """Sends the outcome of a command, if it changed the database or failed."""

    def __init__(self, settings: Settings, command: str, on_failure: Callable[[str], None]) -> None:
        self._settings = settings
        self._command = command
        self._on_failure = on_failure

    def __call__(self, outcome: object) -> None:
        """Sends the outcome, and warns if that fails."""
        if isinstance(outcome, SqlMigrateError):
            was_interrupted = outcome.exit_code > 128
            self._send("failure", as_json.error(outcome), _TIMEOUT_INTERRUPTED if was_interrupted else _TIMEOUT)
        elif isinstance(outcome, Run) and outcome.steps:
            self._send("success", as_json.run(outcome), _TIMEOUT)

    def _send(self, outcome: str, content: Mapping[str, object], seconds: float) -> None:
        document = {"version": as_json.VERSION, "command": self._command, "outcome": outcome, **content}
        for warning in notify(self._settings, document, seconds):
            self._on_failure(warning)


def notify(settings: Settings, content: Mapping[str, object], seconds: float) -> list[str]:
    """Sends the content, as JSON, to the webhook and the command, and returns the warnings.

    Args:
        settings: contain `notify_url` and `notify_command`.
        content: describes the run.
        seconds: limits the time of both together.
    """
    body = json.dumps(content).encode()
    deadline = time.monotonic() + seconds
    warnings: list[str] = []
    try:
        # In a thread, because a socket's timeout covers neither the DNS lookup nor a response that arrives slowly.
        post = Thread(target=lambda: warnings.extend(_post_warnings(settings.notify_url, body, seconds)), daemon=True)
        post.start()
        warnings += _command_warnings(settings.notify_command, body, seconds)
        post.join(max(deadline - time.monotonic(), 0))
    except SignalReceived as received:  # the run has ended, and its exit code is decided
        return [*warnings, f"notification cancelled: {received.error.message}"]
    return [*warnings, _no_response(settings.notify_url, seconds)] if post.is_alive() else warnings


def _post_warnings(url: str, body: bytes, seconds: float) -> list[str]:
    if not url:
        return []
    if not _origin(url):
        return ["notify-url must be http://HOST/… or https://HOST/…"]
    try:
        _post(url, body, seconds)
    except HTTPError as error:
        error.close()
        return [f"{_origin(url)} responded with status {error.code}"]
    except TimeoutError:
        return [_no_response(url, seconds)]
    except OSError as error:
        return [f"could not notify {_origin(url)}: {getattr(error, 'reason', error)}"]
    except (HTTPException, ValueError) as error:  # their messages may contain the path, and a token in it
        return [f"could not notify {_origin(url)}: {type(error).__name__}"]
    return []


def _post(url: str, body: bytes, seconds: float) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": f"sqlmigrate/{__version__}"}
    request = Request(url, body, headers)  # noqa: S310  # `_origin` checked the scheme
    with build_opener(_NoRedirects).open(request, timeout=seconds):
        pass


class _NoRedirects(HTTPRedirectHandler):
    """A handler that follows no redirect, because urllib would follow it with GET and without the body."""

    def redirect_request(self, *_: object) -> None:
        """Returns None, which makes the redirect an `HTTPError`."""


def _no_response(url: str, seconds: float) -> str:
    return f"{_origin(url)} did not respond within {seconds:g} s"


def _origin(url: str) -> str:
    """Returns scheme and host, without the path, which may contain a token; empty if the URL is not usable."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    # urllib would treat a user as part of the host name, and send it to the DNS server.
    is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    return f"{parts.scheme}://{parts.hostname}" if is_usable else ""


def _command_warnings(command: Sequence[str], body: bytes, seconds: float) -> list[str]:
    if not command:
        return []
    try:
        code, last_line = _run(command, body, seconds)
    except subprocess.TimeoutExpired:
        return [f"{command[0]} did not exit within {seconds:g} s"]
    except (OSError, ValueError) as error:
        return [f"could not run {command[0]}: {getattr(error, 'strerror', error)}"]
    return [f"{command[0]} exited with code {code}: {last_line}".rstrip(": ")] if code else []


def _run(command: Sequence[str], body: bytes, seconds: float) -> tuple[int, str]:
    """Returns the exit code and the last line of stderr; after a timeout, kills the command and its children."""
    with subprocess.Popen(  # noqa: S603  # the project's configuration file names the command
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=without_settings(os.environ),
        start_new_session=True,
    ) as child:
        try:
            _, stderr = child.communicate(body, seconds)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            raise
    return child.returncode, stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
