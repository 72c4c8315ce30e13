from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlmigrate.cli.notify import notify
from sqlmigrate.config.settings import Settings
from sqlmigrate.errors import Interrupted, SignalReceived
from tests.polling import LIMIT, until
from tests.webhook import TOKEN, Webhook, listening

UNUSABLE = "notify-url must be http://HOST/… or https://HOST/…"
CONTENT = {"outcome": "success", "steps": ["ä", "\udcff"]}


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with listening() as hook:
        yield hook


def told(seconds: float = 5, **settings: object) -> list[str]:
    return notify(Settings(**settings), CONTENT, seconds)  # type: ignore[arg-type]


def script(directory: Path, text: str) -> tuple[str, ...]:
    path = directory / "script"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path), "word"


def test_without_a_recipient_nothing_is_sent() -> None:
    assert told() == []


def test_a_webhook_gets_the_content_as_json(webhook: Webhook) -> None:
    assert told(notify_url=webhook.url) == []

    assert [json.loads(body) for body in webhook.bodies] == [CONTENT]
    assert webhook.headers[0]["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_error_of_a_webhook_is_a_warning(webhook: Webhook, status: int) -> None:
    webhook.status = status

    assert told(notify_url=webhook.url) == [f"http://127.0.0.1 responded with status {status}"]
    assert len(webhook.bodies) == 1  # a redirect was not followed


def test_a_slow_webhook_is_abandoned(webhook: Webhook) -> None:
    webhook.pause = 20

    assert told(0.3, notify_url=webhook.url) == ["http://127.0.0.1 did not respond within 0.3 s"]


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        (f"http://127.0.0.1:1/{TOKEN}", "could not notify http://127.0.0.1: [Errno 111] Connection refused"),
        (f"http://127.0.0.1:1{TOKEN}", "could not notify http://127.0.0.1: InvalidURL"),
        (f"http://127.0.0.1:1/{TOKEN} \n", "could not notify http://127.0.0.1"),
        (f"http://me:{TOKEN}@127.0.0.1:1/", UNUSABLE),
        (f"file:///etc/{TOKEN}", UNUSABLE),
        (f"http://[{TOKEN}", UNUSABLE),
        (TOKEN, UNUSABLE),
    ],
)
def test_an_invalid_url_is_a_warning_without_the_token(url: str, warning: str) -> None:
    [said] = told(notify_url=url)

    assert said.startswith(warning)
    assert TOKEN not in said


def test_the_certificate_of_a_webhook_is_verified(webhook: Webhook) -> None:
    [said] = told(notify_url=webhook.url.replace("http:", "https:"))

    assert said.startswith("could not notify https://127.0.0.1: ")


def test_a_command_gets_the_content_as_json(tmp_path: Path) -> None:
    command = script(tmp_path, f'cat > {tmp_path}/told; echo "$1" >> {tmp_path}/words; echo this is not shown')

    assert told(notify_command=command) == []
    assert json.loads((tmp_path / "told").read_text()) == CONTENT
    assert (tmp_path / "words").read_text() == "word\n"


def test_a_command_gets_no_settings_of_sqlmigrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("DATABASE_URL", "DB_PASSWORD", "DB_PASSWORD_FILE", "PGPASSWORD", "PGPASSFILE", "SQLMIGRATE_NOTIFY_URL")
    for name in names:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("SLACK_CHANNEL", "releases")

    assert told(notify_command=script(tmp_path, f"env > {tmp_path}/env")) == []
    found = (tmp_path / "env").read_text()
    assert "secret" not in found
    assert "SLACK_CHANNEL=releases" in found


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("echo first >&2; echo last >&2; exit 3", "exited with code 3: last"),
        ("exit 3", "exited with code 3"),
        ("kill -9 $$", "exited with code -9"),
    ],
)
def test_a_command_that_fails_is_a_warning(tmp_path: Path, text: str, warning: str) -> None:
    command = script(tmp_path, text)

    assert told(notify_command=command) == [f"{command[0]} {warning}"]


@pytest.mark.parametrize("command", [("/nowhere/at-all",), ("a\0b",)])
def test_a_missing_command_is_a_warning(command: tuple[str, ...]) -> None:
    [said] = told(notify_command=command)

    assert said.startswith(f"could not run {command[0]}: ")


def test_a_command_that_hangs_is_terminated_with_its_children(tmp_path: Path) -> None:
    command = script(tmp_path, f"sleep 60 & echo $! > {tmp_path}/pid; wait")

    assert told(0.3, notify_command=command) == [f"{command[0]} did not exit within 0.3 s"]
    state = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    until(lambda: not state.exists() or state.read_text().split()[2] == "Z")  # a signal takes a moment


def test_webhook_and_command_are_notified_at_the_same_time(webhook: Webhook, tmp_path: Path) -> None:
    posted, started = tmp_path / "posted", tmp_path / "started"

    def meet() -> None:
        posted.touch()
        until(started.exists)

    webhook.before_response = meet
    command = script(tmp_path, f"touch {started}; until [ -e {posted} ]; do sleep 0.02; done")

    assert told(LIMIT, notify_url=webhook.url, notify_command=command) == []


def test_a_signal_ends_the_notification_and_not_the_program(tmp_path: Path) -> None:
    def stop(number: int, _: object) -> None:
        raise SignalReceived(Interrupted(number))

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        warnings = told(notify_command=script(tmp_path, f"kill {os.getpid()}; sleep 60"))
    finally:
        signal.signal(signal.SIGTERM, previous)

    assert warnings == ["notification cancelled: interrupted by SIGTERM"]
