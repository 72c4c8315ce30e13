"""Tells others how a run ended: a webhook, a command. Whatever becomes of it, the run is what it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from http.client import HTTPException
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from sqlmigrate.config.options import without_settings
from sqlmigrate.errors import SqlMigrateError
from sqlmigrate.model import Run
from sqlmigrate.render import shape
from sqlmigrate.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlmigrate.config.settings import Settings


_LIMIT, _LIMIT_INTERRUPTED = 10, 2  # seconds


class Notifier:
    """Hears how a command ended, and tells it where something was done or failed."""

    def __init__(self, settings: Settings, command: str, on_failure: Callable[[str], None]) -> None:
        self._settings = settings
        self._command = command
        self._on_failure = on_failure

    def __call__(self, end: object) -> None:
        """Tells, and warns of what went wrong with that."""
        if isinstance(end, SqlMigrateError):
            interrupted = end.exit_code > 128
            self._tell("failure", shape.error(end), _LIMIT_INTERRUPTED if interrupted else _LIMIT)
        elif isinstance(end, Run) and end.steps:
            self._tell("success", shape.run(end), _LIMIT)

    def _tell(self, outcome: str, content: dict[str, Any], seconds: float) -> None:
        whole = {"version": shape.VERSION, "command": self._command, "outcome": outcome, **content}
        for warning in notify(self._settings, whole, seconds):
            self._on_failure(warning)


def notify(settings: Settings, content: Mapping[str, Any], seconds: float) -> list[str]:
    """Sends the content, as JSON, to whomever the settings name; what went wrong with it, in words.

    Args:
        settings: `notify_url` and `notify_command`.
        content: what is known of the run.
        seconds: how long all of it may take.
    """
    body = json.dumps(content).encode()
    deadline = time.monotonic() + seconds
    found: list[str] = []
    try:
        # A thread, since no timeout of a socket's covers the look for its name, or an answer that comes byte by byte.
        post = Thread(target=lambda: found.extend(_posted(settings.notify_url, body, seconds)), daemon=True)
        post.start()
        found += _ran(settings.notify_command, body, seconds)
        post.join(max(deadline - time.monotonic(), 0))
    except SqlMigrateError as error:  # a signal; the run is over, and its exit code is known
        return [*found, f"the notification was given up: {error.message}"]
    return [*found, f"{_shown(settings.notify_url)} did not answer in {seconds:g} s"] if post.is_alive() else found


def _posted(url: str, body: bytes, seconds: float) -> list[str]:
    if not url:
        return []
    if not _shown(url):
        return ["notify-url is neither http://HOST/… nor https://HOST/…"]
    try:
        _post(url, body, seconds)
    except HTTPError as error:
        error.close()
        return [f"{_shown(url)} answered {error.code}"]
    except TimeoutError:
        return [f"{_shown(url)} did not answer in {seconds:g} s"]
    except OSError as error:
        return [f"{_shown(url)} could not be told: {getattr(error, 'reason', error)}"]
    except (HTTPException, ValueError) as error:  # what they say may hold the path, and a token in it
        return [f"{_shown(url)} could not be told: {type(error).__name__}"]
    return []


def _post(url: str, body: bytes, seconds: float) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": f"sqlmigrate/{__version__}"}
    request = Request(url, body, headers)  # noqa: S310  # the scheme was looked at
    with build_opener(_NoRedirects).open(request, timeout=seconds):
        pass


class _NoRedirects(HTTPRedirectHandler):
    """Behind a redirect a POST would arrive as a GET, without its body."""

    def redirect_request(self, *_: Any) -> None:
        """Follows none: the answer is an error like any other."""


def _shown(url: str) -> str:
    """Scheme and host: a token may be in the rest. Empty for what is no webhook's address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    # urllib would take a user for a part of the host's name, and ask the network for it.
    usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    return f"{parts.scheme}://{parts.hostname}" if usable else ""


def _ran(command: Sequence[str], body: bytes, seconds: float) -> list[str]:
    if not command:
        return []
    try:
        code, said = _run(command, body, seconds)
    except subprocess.TimeoutExpired:
        return [f"{command[0]} did not end in {seconds:g} s"]
    except (OSError, ValueError) as error:
        return [f"{command[0]} could not be run: {getattr(error, 'strerror', error)}"]
    return [f"{command[0]} ended with {code}: {said}".rstrip(": ")] if code else []


def _run(command: Sequence[str], body: bytes, seconds: float) -> tuple[int, str]:
    """Its exit code, and the last that it said; what it started ends with it where it takes too long."""
    with subprocess.Popen(  # noqa: S603  # the configuration file's own word
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=without_settings(os.environ),
        start_new_session=True,
    ) as child:
        try:
            _, said = child.communicate(body, seconds)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            raise
    return child.returncode, said.decode("utf-8", "replace").strip().rpartition("\n")[2]
