"""Failed connections: each has its own hint, in any language of the server."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from sqlmigrate.errors import ConnectionFailed
from sqlmigrate.server.connection import connect
from sqlmigrate.server.unreachable import hint_for
from tests.servers import LOCAL_BIN, OwnServer, Server, execute, local

RULES = """
local all postgres trust
local all asked scram-sha-256
local all outside peer
local all refused reject
local all all trust
"""


def prepare(server: OwnServer) -> None:
    roles = ["create role asked login password 'secret'", "create role outside login", "create role idle nologin"]
    more = ["create role refused login", "create role single login connection limit 0", "create role barred login"]
    databases = ["create database closed allow_connections false", "create database private"]
    execute(server.conninfo, *roles, *more, *databases, "revoke connect on database private from public")
    (server.directory / "data" / "pg_hba.conf").write_text(RULES)
    execute(server.conninfo, "select pg_reload_conf()")


@pytest.fixture(scope="module")
def strict(server: Server) -> Iterator[OwnServer]:
    with local(server.bin) as own:
        prepare(own)
        yield own


@pytest.fixture(scope="module", params=["de", "ja", "ru"])
def translated(request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGUAGE", request.param)
        with local(LOCAL_BIN) as own:
            execute(own.conninfo, "alter system set lc_messages = 'C.UTF-8'")
            own.stop("fast")
            own.start()
            prepare(own)
            yield own


def hint(conninfo: str) -> str:
    with pytest.raises(ConnectionFailed) as failed:
        connect(conninfo, "test")
    assert "secret" not in str(failed.value) + failed.value.hint
    assert "wrong" not in str(failed.value) + failed.value.hint
    return failed.value.hint


ANSWERS = [
    pytest.param({"user": "asked", "password": "wrong"}, "check the user and the password: DB_PASSWORD", id="password"),
    pytest.param({"user": "nobody"}, "CREATE ROLE … LOGIN", id="no role"),
    pytest.param({"user": "idle"}, "ALTER ROLE … LOGIN", id="nologin"),
    pytest.param({"user": "outside"}, "connect as the role that it expects", id="peer"),
    pytest.param({"user": "refused"}, "add a line for this host, user and database to pg_hba.conf", id="pg_hba"),
    pytest.param({"dbname": "nothing"}, "`sqlmigrate migrate --create-database` creates it", id="database"),
    pytest.param({"dbname": "closed"}, "ALTER DATABASE … ALLOW_CONNECTIONS", id="closed"),
    pytest.param({"dbname": "private", "user": "barred"}, "run GRANT CONNECT ON DATABASE", id="private"),
    pytest.param({"user": "single"}, "raise max_connections, or the CONNECTION LIMIT", id="limit"),
]


@pytest.mark.parametrize(("parts", "expected"), ANSWERS)
def test_each_rejection_of_the_server_has_its_hint(strict: OwnServer, parts: dict[str, str], expected: str) -> None:
    assert expected in hint(make_conninfo(strict.conninfo, **parts))


@pytest.mark.debian
@pytest.mark.parametrize(("parts", "expected"), ANSWERS)
def test_each_rejection_has_its_hint_in_every_language(
    translated: OwnServer, parts: dict[str, str], expected: str
) -> None:
    assert expected in hint(make_conninfo(translated.conninfo, **parts))


def test_a_missing_password_is_asked_for(strict: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/dev/null")
    assert "the server requires a password: set DB_PASSWORD" in hint(make_conninfo(strict.conninfo, user="asked"))


def test_a_server_without_tls_says_what_to_set() -> None:
    with answering(b"N") as port:
        assert "set sslmode=prefer" in hint(f"host=127.0.0.1 port={port} user=u sslmode=require")


def test_a_rejection_without_tls_names_sslmode(strict: OwnServer) -> None:
    rejected = make_conninfo(strict.conninfo, user="refused")
    assert "sslmode=require" in hint(make_conninfo(rejected, sslmode="disable"))
    assert "sslmode=require" not in hint(rejected)


def test_a_server_that_has_no_free_connection_says_so(strict: OwnServer) -> None:
    conninfo = make_conninfo(strict.conninfo, user="barred")
    with contextlib.ExitStack() as opened:
        with contextlib.suppress(psycopg.OperationalError):
            for _ in range(200):
                opened.enter_context(psycopg.connect(conninfo))
        assert "end idle sessions (pg_stat_activity" in hint(conninfo)


@contextlib.contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A port on which every message of a client gets the next of these answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as client:
                        for answer in answers:
                            client.recv(10000)
                            client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


def rejection(state: str, message: str, severity: str = "FATAL") -> bytes:
    fields = {"S": severity, "V": "FATAL", "C": state, "M": message, "R": "ClientAuthentication"}
    body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


@pytest.mark.parametrize("severity", ["FATAL", "ВАЖНО"])
@pytest.mark.parametrize(
    ("state", "english", "expected"),
    [
        ("57P03", "the database system is starting up", "--connect-wait 60s waits"),
        ("57P03", "the database system is shutting down", "--connect-wait 60s waits"),
        ("57P03", "the database system is not yet accepting connections", "--connect-wait 60s waits"),
        ("53300", "sorry, too many clients already", "raise max_connections"),
        ("53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute", "max_connections"),
        ("28P01", 'password authentication failed for user "u"', "check the user and the password"),
        ("3D000", 'database "d" does not exist', "--create-database"),
        ("28000", 'no pg_hba.conf entry for host "1.2.3.4", user "u", database "d", no encryption', "pg_hba.conf"),
    ],
)
def test_an_answer_is_understood_in_every_language(severity: str, state: str, english: str, expected: str) -> None:
    message = english if severity == "FATAL" else "сообщение"
    with answering(rejection(state, message, severity)) as port:
        assert expected in hint(f"host=127.0.0.1 port={port} user=u dbname=d sslmode=disable")


def test_a_refused_connection_says_where_to_look() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "check the host and the port: DB_HOST and DB_PORT" in hint(f"host=127.0.0.1 port={port}")


def test_a_socket_without_a_server_says_so(tmp_path: Path) -> None:
    assert "connect over TCP with DB_HOST=localhost" in hint(f"host={tmp_path} user=u")


def test_an_unknown_host_says_so() -> None:
    assert "check the name of the host: DB_HOST" in hint("host=nohost.invalid user=u")


def test_a_port_of_another_program_says_so() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert "another program or a proxy may listen" in hint(f"host=127.0.0.1 port={port} user=u")


def test_a_server_that_does_not_answer_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "a firewall" in hint(f"host=127.0.0.1 port={port} user=u connect_timeout=2")


def test_an_unverified_certificate_names_sslrootcert() -> None:
    with answering(b"S") as port:
        tls = "sslmode=verify-full sslrootcert=/nowhere/root.crt"
        assert "sslrootcert=FILE" in hint(f"host=127.0.0.1 port={port} user=u {tls}")


def test_any_other_failure_names_the_settings() -> None:
    assert "DATABASE_URL" in hint_for("something else")
