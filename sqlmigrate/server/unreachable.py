"""What to do after a connection has failed, by the server's SQLSTATE, or by the message of libpq or psycopg."""

from __future__ import annotations

import re
from typing import NamedTuple

_DATABASE = "the name of the database: DB_NAME, or the last part of the URL"
MISSING_DATABASE = f"run CREATE DATABASE, or check {_DATABASE}; `sqlmigrate migrate --create-database` creates it"
_PASSWORD = "DB_PASSWORD, DB_PASSWORD_FILE, password_command, or the password in the URL"  # noqa: S105  # no password
_PLACE = "the host and the port: DB_HOST and DB_PORT, or those in the URL"
_WAIT = "--connect-wait 60s waits for a server that starts"


class _Cause(NamedTuple):
    """A reason why connections fail.

    `answer` matches the SQLSTATE and the C function that an error of the server names: they do not depend on its
    language. `text` matches English messages, which need no second connection.
    """

    answer: str
    text: str
    hint: str


_CAUSES = (
    _Cause(
        r"28000 InitializeSessionUserId",
        r'role ".*" (does not exist|is not permitted to log in)',
        "check the user: DB_USER, or the user in the URL; or run CREATE ROLE … LOGIN, or ALTER ROLE … LOGIN",
    ),
    _Cause(
        r"28000 auth_failed",
        r"(Peer|Ident|Certificate|GSSAPI|LDAP|PAM|RADIUS|SSPI|BSD) authentication failed",
        "the server does not use a password here (see pg_hba.conf): connect as the role that it expects,"
        " or over TCP with DB_HOST=localhost",
    ),
    _Cause(r"28P01", "password authentication failed", f"check the user and the password: {_PASSWORD}"),
    _Cause("", "no password supplied", f"the server requires a password: set {_PASSWORD}"),
    _Cause(
        r"28000 ClientAuthentication|28000 $",
        r"pg_hba\.conf",
        "add a line for this host, user and database to pg_hba.conf, and run SELECT pg_reload_conf()",
    ),
    _Cause(r"3D000", 'database ".*" does not exist', MISSING_DATABASE),
    _Cause(
        r"42501",
        'permission denied for database ".*"',
        f"run GRANT CONNECT ON DATABASE … TO …, as the owner of the database, or check {_DATABASE}",
    ),
    _Cause(
        r"55000",
        'database ".*" is not currently accepting connections',
        "connect to another database, or run ALTER DATABASE … ALLOW_CONNECTIONS true",
    ),
    _Cause(
        r"53300",
        r"too many (clients|connections)|connection slots are reserved|no more connections allowed",
        "end idle sessions (pg_stat_activity shows them), or raise max_connections, or the CONNECTION LIMIT of the role"
        " or database; a run needs two connections",
    ),
    _Cause(
        r"57P0[1-3]",
        r"the database system is|not (yet )?accepting connections|the database system was",
        f"the server starts, stops or recovers: try again; {_WAIT}",
    ),
    _Cause(
        "",
        r"server does not support SSL",
        "set sslmode=prefer if the network is trusted, or turn on ssl on the server",
    ),
    _Cause(
        "",
        r"root certificate file|certificate verify failed|does not match host name",
        "set sslrootcert=FILE to the certificate of the server's authority, and use the host name in the certificate",
    ),
    _Cause(
        "",
        r"invalid response to SSL negotiation|expected authentication request|unsupported frontend protocol"
        r"|server closed the connection unexpectedly|received invalid",
        f"another program or a proxy may listen on this port: check {_PLACE}",
    ),
    _Cause(
        "",
        r"could not translate host name|failed to resolve host|Name or service not known|No address associated"
        r"|name resolution|nodename nor servname",
        "check the name of the host: DB_HOST, or the host in the URL; in a container, the name of the service",
    ),
    _Cause(
        "",
        r"Is the server running locally|connection to server on socket .* failed: (No such file|Connection refused)",
        f"no server listens on this socket: start the server, or connect over TCP with DB_HOST=localhost; {_WAIT}",
    ),
    _Cause(
        "",
        r"onnection refused|no server running",
        f"no server listens there: start the server, or check {_PLACE}; in a container, localhost is the container"
        f" itself; {_WAIT}",
    ),
    _Cause(
        "",
        r"imeout expired|timed out|No route to host|Network is unreachable",
        f"a firewall, VPN or network policy may drop the packets: check it, and {_PLACE}",
    ),
)
_NO_TLS = "if the server accepts only TLS, set sslmode=require"
_OTHER = "check --database-url, DATABASE_URL, or DB_HOST and the other DB_ variables"


def hint_for(message: str, answer: str = "", sslmode: str = "") -> str:
    """Returns what to do after a connection has failed.

    Args:
        message: The message of libpq or psycopg.
        answer: The SQLSTATE and the C function of the server's error, if they are known.
        sslmode: The connection's `sslmode`.
    """
    for cause in _CAUSES:
        if (cause.answer and re.match(cause.answer, answer)) or re.search(cause.text, message):
            if cause.text == r"pg_hba\.conf" and sslmode in ("disable", "allow"):
                return f"{cause.hint}\n{_NO_TLS}"
            return cause.hint
    return _OTHER


def is_foreign(message: str) -> bool:
    """Whether a message is that of a server, in a language in which it explains nothing here."""
    return ":  " in message and hint_for(message) == _OTHER
