"""Others are told how a run ended; whatever becomes of that, the run and its exit code are what they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from tests.faults.waiting import ended, running, until_asleep
from tests.project import Project
from tests.webhook import TOKEN, Webhook, listening

pytestmark = pytest.mark.anywhere


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with listening() as hook:
        yield hook


def told(webhook: Webhook) -> list[dict[str, Any]]:
    return [json.loads(body) for body in webhook.bodies]


def configure(project: Project, script: str) -> Path:
    """Has a script called that is what it says; what it gets is in the file `told`."""
    path = project.root / "tell"
    path.write_text(f"#!/bin/sh\ncat > told\n{script}\n")
    path.chmod(0o700)
    (project.root / "sqlmigrate.toml").write_text(f'notify_command = ["{path}"]\n')
    return project.root / "told"


def test_a_notification_of_success_contains_the_json_result(project: Project, webhook: Webhook) -> None:
    project.add(1, "create table a (id int);", "drop table a;")

    migrated = project.cli("migrate", "--notify-url", webhook.url, "--format", "json", "--backup", "kept")
    back = project.cli("rollback", "--steps", "1", "--yes", "--notify-url", webhook.url, "--format", "json")

    assert told(webhook) == [
        {"command": "migrate", "outcome": "success", **json.loads(migrated.stdout)},
        {"command": "rollback", "outcome": "success", **json.loads(back.stdout)},
    ]


def test_a_failure_is_notified_and_the_exit_code_stays(project: Project, webhook: Webhook) -> None:
    project.add(1, "select 1 / 0;")

    run = project.cli("migrate", "--format", "json", SQLMIGRATE_NOTIFY_URL=webhook.url)

    assert run.returncode == 1
    assert told(webhook) == [{"command": "migrate", "outcome": "failure", **json.loads(run.stdout)}]


@pytest.mark.parametrize(
    "arguments",
    [("migrate",), ("migrate", "--dry-run"), ("rollback", "--steps", "1", "--dry-run")],
)
def test_a_run_with_nothing_to_do_sends_no_notification(
    project: Project, webhook: Webhook, arguments: tuple[str, ...]
) -> None:
    project.add(1, "create table a (id int);", "drop table a;")
    project.cli("migrate")

    assert project.cli(*arguments, SQLMIGRATE_NOTIFY_URL=webhook.url).returncode == 0
    assert project.cli("status", SQLMIGRATE_NOTIFY_URL=webhook.url).returncode == 0
    assert told(webhook) == []


def test_a_run_that_could_not_start_is_notified_as_failed(project: Project, webhook: Webhook) -> None:
    run = project.cli("migrate", DATABASE_URL="host=/nowhere", SQLMIGRATE_NOTIFY_URL=webhook.url)

    assert run.returncode == 1
    assert [payload["error"]["kind"] for payload in told(webhook)] == ["ConnectionFailed"]


def test_a_command_receives_the_notification_too(project: Project) -> None:
    file = configure(project, "env >> environment")
    project.add(1, "create table a (id int);")
    url = make_conninfo(project.database, password="s3cret word")  # noqa: S106  # of nothing

    run = project.cli("migrate", DATABASE_URL=url, PGPASSWORD="s3cret word")

    assert run.returncode == 0, run.stderr
    assert json.loads(file.read_text())["outcome"] == "success"
    environment = (project.root / "environment").read_text()
    assert "s3cret" not in environment + file.read_text()
    assert "DATABASE_URL" not in environment
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("statement", ["create table a (id int);", "select 1 / 0;"])
def test_a_failed_notification_is_a_warning_in_output_and_log(
    project: Project, webhook: Webhook, statement: str
) -> None:
    webhook.status = 500
    configure(project, "echo 'no mail' >&2; exit 7")
    project.add(1, statement)

    run = project.cli("migrate", "--notify-url", webhook.url, "--log-file", "log")

    assert run.returncode == (1 if "/" in statement else 0)
    log = (project.root / "log").read_text()
    assert "  warning: http://127.0.0.1 responded with status 500\n" in run.stderr
    assert f"  warning: {project.root}/tell exited with code 7: no mail\n" in run.stderr
    assert ' WARNING warned message="http://127.0.0.1 responded with status 500"' in log
    assert TOKEN not in run.stdout + run.stderr + log


def test_a_refused_connection_and_a_missing_command_are_warnings(project: Project) -> None:
    (project.root / "sqlmigrate.toml").write_text('notify_command = ["/nowhere/tell"]\n')
    project.add(1, "create table a (id int);")

    run = project.cli("migrate", "--notify-url", f"http://127.0.0.1:1/{TOKEN}")

    assert run.returncode == 0
    assert "  warning: could not notify http://127.0.0.1: [Errno 111] Connection refused" in run.stderr
    assert "  warning: could not run /nowhere/tell: No such file or directory" in run.stderr
    assert TOKEN not in run.stderr


def test_an_interrupted_run_does_not_wait_long_for_a_webhook(project: Project, webhook: Webhook) -> None:
    webhook.pause = 30
    configure(project, "sleep 60")
    project.add(1, "select pg_sleep(3600);")
    with running(project, "migrate", "--notify-url", webhook.url) as process:
        until_asleep(project)
        process.terminate()
        stderr = ended(process)

    assert process.returncode == 143
    assert stderr.count("in 2 s") == 2
    assert [payload["error"]["message"] for payload in told(webhook)] == ["v1.0.0-001 failed: interrupted by SIGTERM"]


def test_a_signal_during_notifications_does_not_change_the_result(project: Project, tmp_path: Path) -> None:
    configure(project, "kill $PPID; sleep 60")
    project.add(1, "create table a (id int);")

    run = project.cli("migrate")

    assert run.returncode == 0
    assert "notification cancelled: interrupted by SIGTERM" in run.stderr


@pytest.mark.long
def test_a_notification_stops_after_ten_seconds(project: Project, webhook: Webhook) -> None:
    webhook.pause = 30
    project.add(1, "create table a (id int);")

    run = project.cli("migrate", "--notify-url", webhook.url)

    assert run.returncode == 0
    assert "  warning: http://127.0.0.1 did not respond within 10 s" in run.stderr
