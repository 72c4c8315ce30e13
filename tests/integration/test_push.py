"""migrate --push: the metrics go to a Pushgateway when the run is over."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.project import Project
from tests.prometheus import parsed
from tests.webhook import Webhook, listening

pytestmark = pytest.mark.anywhere


@pytest.fixture
def gateway() -> Iterator[Webhook]:
    with listening() as hook:
        yield hook


def test_a_run_pushes_its_metrics_after_success_and_failure(project: Project, gateway: Webhook) -> None:
    project.add(1, "create table t (a int);", "drop table t;")
    assert project.cli("migrate", "--push", gateway.url).returncode == 0
    project.add(2, "select 1 / 0;")
    assert project.cli("migrate", SQLMIGRATE_PUSH=gateway.url).returncode == 1
    assert project.cli("rollback", "--steps", "1", "--yes", "--push", gateway.url).returncode == 0

    first, second, third = (body.decode() for body in gateway.bodies)
    assert parsed(first)["migration_success_total"] == 1
    assert parsed(first)["migration_failure_total"] == 0
    assert parsed(second)["migration_failure_total"] == 1
    assert parsed(third)["migration_rollback_total"] == 1
    assert not any("migration_lock_held" in body for body in (first, second, third))


def test_an_unreachable_gateway_is_a_warning(project: Project, gateway: Webhook) -> None:
    gateway.status = 500
    project.add(1, "create table t (a int);")

    ran = project.cli("migrate", "--push", gateway.url)

    assert ran.returncode == 0
    assert "could not push the metrics" in ran.stderr
    assert project.versions() == [("v1.0.0-001", True)]


def test_a_push_times_out_if_the_response_arrives_byte_by_byte(project: Project, gateway: Webhook) -> None:
    gateway.pause = 20
    project.add(1, "create table t (a int);")

    ran = project.cli("migrate", "--push", gateway.url)

    assert ran.returncode == 0
    assert "could not push the metrics to" in ran.stderr
    assert "no response within 5 s" in ran.stderr


@contextlib.contextmanager
def babbling() -> Iterator[str]:
    """A server of something else; it speaks first."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_babble, args=(server,))
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def _babble(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"220 mail.example.com ESMTP\r\n")
        connection.recv(1 << 16)


def test_an_invalid_gateway_is_a_warning(project: Project) -> None:
    with babbling() as url:
        urls = ("http://127.0.0.1:abc", "http://a b/", "http://", "file:///dev/null", "nonsense://x", url)
        for number, address in enumerate(urls, 1):
            project.add(number, "select 1;")
            ran = project.cli("migrate", "--push", address)
            assert (ran.returncode, "could not push the metrics" in ran.stderr) == (0, True), ran.stderr
            assert "Traceback" not in ran.stderr
