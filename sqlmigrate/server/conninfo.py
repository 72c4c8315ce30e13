"""Connection strings: reads them, adds parameters to them, and quotes names."""

from __future__ import annotations

import os
import re
import select
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg
from psycopg import pq, sql

from sqlmigrate.config.url import explained, invalid_number, refusal, rejected
from sqlmigrate.errors import ConfigurationError
from sqlmigrate.server.network import CLIENT, as_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlmigrate.config.url import Refusal

_PROBE = 5  # seconds
_NOWHERE = "/nonexistent/sqlmigrate"
_ANSWER = re.compile(rb'\tErrorResponse\t.* C "(\w{5})" .*?(?: R "(\w+)" \\x00)?$', re.MULTILINE)
_VARIABLES = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER"}


def with_defaults(conninfo: str, **parts: str) -> str:
    """Returns a connection string with parts, and with the parameters of `network.CLIENT` that the user has not set."""
    parameters = psycopg.conninfo.conninfo_to_dict(conninfo)
    missing = {key: value for key, value in CLIENT.items() if key not in {*parameters, *_preset(parameters)}}
    return psycopg.conninfo.make_conninfo(conninfo, **missing, **parts)


def is_up(conninfo: str) -> bool:
    """Whether a server accepts connections: false while it starts, refuses connections or has no address yet."""
    ping = pq.PGconn.ping(make_conninfo(conninfo, connect_timeout="2").encode())
    return ping not in (pq.Ping.REJECT, pq.Ping.NO_RESPONSE)


def make_conninfo(url: str, **parts: str) -> str:
    """Returns a connection string for libpq from a URL or connection string; `parts` override its parameters.

    Raises:
        ConfigurationError: libpq cannot parse it, or would misread it.
    """
    if refused := refusal(url):
        raise _invalid(refused)
    try:
        conninfo = psycopg.conninfo.make_conninfo(url, **parts)
    except UnicodeEncodeError:
        raise ConfigurationError("invalid connection string: not valid UTF-8") from None
    except psycopg.Error as error:
        raise _invalid(explained(url, first_line(str(error)))) from None
    if refused := invalid_number(psycopg.conninfo.conninfo_to_dict(conninfo)):
        raise _invalid(refused)
    return conninfo


def require_valid(conninfo: str) -> None:
    """Checks that libpq accepts all parameters: it then fails to connect to a socket that does not exist.

    Raises:
        ConfigurationError: it rejects one.
    """
    parameters = psycopg.conninfo.conninfo_to_dict(conninfo)
    hosts = str(parameters.get("host") or parameters.get("hostaddr") or "").split(",")
    elsewhere = psycopg.conninfo.make_conninfo(conninfo, host=",".join([_NOWHERE] * len(hosts)), hostaddr="")
    link = pq.PGconn.connect_start(elsewhere.encode())
    reason = link.error_message.decode(errors="replace")
    link.finish()
    if _NOWHERE not in reason:
        raise _invalid(rejected(first_line(reason)))


def _invalid(refused: Refusal) -> ConfigurationError:
    return ConfigurationError(f"invalid connection string: {refused.message}", hint=refused.hint)


def first_line(message: str) -> str:
    """Leaves out the lines about further attempts."""
    return message.strip().partition("\n")[0]


def place_in(url: str, **parts: str) -> dict[str, str]:
    """Returns host, port, database and user from the settings and libpq's environment variables, without connecting.

    A value that neither defines, and every value of an invalid setting, is empty.
    """
    parameters: dict[str, str | int | None] = {}
    with suppress(ConfigurationError):
        parameters = psycopg.conninfo.conninfo_to_dict(make_conninfo(url, **parts))
    return {key: str(parameters.get(key) or os.environ.get(variable, "")) for key, variable in _VARIABLES.items()}


def has_password(conninfo: str) -> bool:
    """Whether a connection string contains a password, or the path of a password file."""
    return not {"password", "passfile"}.isdisjoint(psycopg.conninfo.conninfo_to_dict(conninfo))


def advice(conninfo: str, message: str) -> str:
    """Returns what to do after a connection has failed with a message."""
    from sqlmigrate.server.unreachable import hint_for, is_foreign  # only a failure needs it

    answer = _answer_to(conninfo) if is_foreign(message) else ""
    return hint_for(message, answer, str(psycopg.conninfo.conninfo_to_dict(conninfo).get("sslmode", "")))


def _answer_to(conninfo: str) -> str:
    """Connects again, and returns the SQLSTATE and the C function of the server's error; empty if there is none.

    After a failed connection libpq keeps only the message, in the server's language. Its trace also has the fields.
    """
    if not hasattr(os, "memfd_create"):  # psycopg traces only on Linux
        return ""
    with open(os.memfd_create("trace"), "w+b") as trace:
        link = pq.PGconn.connect_start(conninfo.encode())
        with suppress(psycopg.Error):
            link.trace(trace.fileno())
            _finish(link)
            link.untrace()
        link.finish()
        trace.seek(0)
        answers = _ANSWER.findall(trace.read())
    return b" ".join(answers[-1]).decode() if answers else ""


def _finish(link: pq.abc.PGconn) -> None:
    deadline = time.monotonic() + _PROBE
    events = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}
    while (event := events.get(pq.PollingStatus(link.connect_poll()))) and time.monotonic() < deadline:
        poll = select.poll()
        poll.register(link.socket, event)
        poll.poll(1000)


def quoted(*parts: str) -> str:
    """Returns a name as a quoted identifier: `"schema"."name"`."""
    return sql.Identifier(*parts).as_string()


def _preset(parameters: Mapping[str, object]) -> set[str]:
    """Returns the names of the parameters that libpq's environment variables or a service file set."""
    with as_environment(parameters):
        return {option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.val}


def server_of(parameters: Mapping[str, str]) -> str:
    """Returns the server of a connection as HOST:PORT; for a Unix-domain socket, the name of this machine."""
    host = parameters.get("host") or parameters.get("hostaddr") or ""
    if not host or host.startswith(("/", "@")):  # the directory of a Unix-domain socket
        host = socket.gethostname()
    return f"{host}:{parameters.get('port') or 5432}"


def database_in(conninfo: str) -> str:
    """Returns the name of the database as libpq resolves it, also from a service file; waits for no connection."""
    link = pq.PGconn.connect_start(conninfo.encode())
    try:
        return link.db.decode()
    finally:
        link.finish()
