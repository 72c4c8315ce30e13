"""--connect-wait: a database that is not up yet."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from psycopg.conninfo import make_conninfo

from sqlmigrate.errors import ConnectionFailed
from sqlmigrate.events import WaitingForServer
from tests.faults.waiting import running
from tests.project import Project
from tests.proxy import Proxy

pytestmark = pytest.mark.anywhere


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def proxy_on(port: int, conninfo: str) -> Proxy:
    """A proxy that begins to listen on a port."""
    proxy = Proxy(conninfo)
    proxy.close()
    proxy._listener = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=proxy._accept, daemon=True).start()
    return proxy


@pytest.mark.parametrize("way", ["option", "environment", "file"])
def test_a_command_waits_until_the_server_listens(project: Project, closed_port: int, way: str) -> None:
    project.add(1, "create table t (a int)")
    url = make_conninfo(project.database, host="127.0.0.1", port=closed_port)
    options = ["--connect-wait", "60s"] if way == "option" else []
    environment = {"SQLMIGRATE_CONNECT_WAIT": "60s"} if way == "environment" else {}
    if way == "file":
        (project.root / "sqlmigrate.toml").write_text('connect_wait = "60s"')

    with running(project, "migrate", *options, DATABASE_URL=url, **environment) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("  waiting for the server: "), line
        assert "refused" in line
        proxy = proxy_on(closed_port, project.database)
        assert process.wait(60) == 0, process.stderr.read()
        proxy.close()

    assert project.versions() == [("v1.0.0-001", True)]


@pytest.mark.parametrize("host", ["127.0.0.1", "nohost.invalid"])
def test_the_wait_has_an_end(project: Project, closed_port: int, host: str) -> None:
    url = make_conninfo(project.database, host=host, port=closed_port)

    run = project.cli("status", "--connect-wait", "1500ms", DATABASE_URL=url)

    assert run.returncode == 1
    assert run.stderr.startswith("  waiting for the server: ")
    assert "could not connect to the database" in run.stderr


def test_without_connect_wait_a_command_fails_at_once(project: Project, closed_port: int) -> None:
    migrator = project.migrator(database_url=make_conninfo(project.database, host="127.0.0.1", port=closed_port))

    with pytest.raises(ConnectionFailed):
        migrator.status()

    assert project.events == []


@pytest.mark.parametrize("wrong", [{"dbname": "no_such_database"}, {"user": "no_such_role"}])
def test_what_is_wrong_is_not_waited_for(project: Project, wrong: dict[str, str]) -> None:
    migrator = project.migrator(database_url=make_conninfo(project.database, **wrong), connect_wait="1min")

    with pytest.raises(ConnectionFailed) as failed:
        migrator.status()

    assert "does not exist" in failed.value.message
    assert not [event for event in project.events if isinstance(event, WaitingForServer)]


@pytest.fixture
def starting(project: Project, closed_port: int) -> Iterator[tuple[str, threading.Event]]:
    """The URL of a server that says, in German, that it is starting, until the event is set."""
    may_start, proxy = threading.Event(), Proxy(project.database)
    listener = socket.create_server(("127.0.0.1", closed_port))

    def answer() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if may_start.is_set():
                threading.Thread(target=proxy._serve, args=(client, proxy._connect()), daemon=True).start()
                continue
            with client:
                client.recv(1000)
                fields = b"SFATAL\0VFATAL\0C57P03\0MDas Datenbanksystem startet\0\0"
                client.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)

    threading.Thread(target=answer, daemon=True).start()
    base = make_conninfo(project.database, host="127.0.0.1", port=closed_port, sslmode="disable")
    yield base, may_start
    listener.close()
    proxy.close()


def test_a_server_that_is_starting_up_is_waited_for_in_any_language(
    project: Project, starting: tuple[str, threading.Event]
) -> None:
    url, may_start = starting
    with running(project, "status", "--connect-wait", "1min", DATABASE_URL=url) as process:
        assert process.stderr is not None
        assert "Das Datenbanksystem startet" in process.stderr.readline()
        may_start.set()
        assert process.wait(60) == 0, process.stderr.read()
