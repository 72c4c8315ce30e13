"""Connects, sends, receives, and converts the errors of psycopg, which only this module and `conninfo` import."""

from __future__ import annotations

import select
import time
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import adapt, pq

from sqlmigrate.config.url import without_user
from sqlmigrate.errors import ConnectionFailed, ConnectionLost, DatabaseError, StatementFailed
from sqlmigrate.model import OLDEST_POSTGRES, ServerReport
from sqlmigrate.server.conninfo import advice, first_line, require_valid, with_defaults
from sqlmigrate.server.encoding import storable
from sqlmigrate.server.network import wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TypeAlias

    from psycopg.abc import Buffer
    from psycopg.pq.abc import PGresult

    Row: TypeAlias = tuple[Any, ...]

RUN_AGAIN = "run the command again: it continues after the last committed migration"
_CANCEL_TIMEOUT = 2  # seconds
_ACTUAL = ("host", "hostaddr", "port", "user", "password")
_FIELDS = pq.DiagnosticField
_NOTICE_FIELDS = (
    _FIELDS.SEVERITY_NONLOCALIZED,
    _FIELDS.MESSAGE_PRIMARY,
    _FIELDS.MESSAGE_DETAIL,
    _FIELDS.MESSAGE_HINT,
)
# A parameter that libpq sets although its value is not the compiled-in default. Older client programs reject it.
_FILLED_IN = {b"sslcertmode": b"allow"}

# The settings on which the text of results depends. SET takes no snapshot: a BEGIN after it may choose the isolation.
_OUTPUT = (
    "set local datestyle = 'ISO';set local timezone = 'UTC';set local extra_float_digits = 1;"
    "set local quote_all_identifiers = off;"
)


def connect(conninfo: str, application_name: str) -> Connection:
    """Connects in autocommit mode.

    Raises:
        ConnectionFailed: contains libpq's reason, but no password.
        ConfigurationError: libpq rejects a parameter.
        DatabaseError: the server's version is not supported.
    """
    complete = with_defaults(conninfo, application_name=application_name, client_encoding="UTF8")
    try:
        link = psycopg.connect(complete, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        require_valid(complete)
        message = without_user(str(error))
        raise ConnectionFailed(
            f"could not connect to the database: {first_line(message)}", hint=advice(complete, message)
        ) from None
    link.adapters.register_loader("timestamptz", _MomentLoader)
    connection = Connection(link)
    _require_supported(connection)
    return connection


def _require_supported(connection: Connection) -> None:
    if connection.server_version < OLDEST_POSTGRES * 10_000:
        version = ".".join(map(str, divmod(connection.server_version, 10_000)))
        connection.close()
        raise DatabaseError(
            f"PostgreSQL {version} is not supported",
            hint=f"sqlmigrate requires PostgreSQL {OLDEST_POSTGRES} or newer",
        )


class _MomentLoader(adapt.Loader):
    """psycopg's own loader expects the DateStyle that the session has between two messages."""

    def load(self, data: Buffer) -> datetime:
        text = bytes(data).decode()
        try:
            return datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError):  # infinity, or before Christ
            raise psycopg.DataError(f"timestamp out of range: {text}") from None


class Result:
    """The result of one statement of a message. Reads the driver's result only on request: there may be many."""

    __slots__ = ("_result",)

    def __init__(self, result: PGresult) -> None:
        self._result = result

    @property
    def command(self) -> bytes | None:
        """The command tag, such as `COMMIT`."""
        return self._result.command_status

    @property
    def value(self) -> bytes | None:
        """The first column of the first row as text; None if the result has no rows, or the value is null."""
        return self._result.get_value(0, 0) if self._result.ntuples else None

    def rows_in(self, link: psycopg.Connection[Row]) -> list[Row]:
        """Returns the rows as Python values; the link knows their types."""
        reader = adapt.Transformer.from_context(link)
        reader.set_pgresult(self._result)
        return reader.load_rows(0, self._result.ntuples, tuple)


class Connection:
    """A connection to PostgreSQL.

    `on_notices` is called with the notices that were received together: the severity of each, and its message, detail
    and hint; `on_tick` about every 0.2 s of waiting.
    """

    def __init__(self, link: psycopg.Connection[Row]) -> None:
        self._link = link
        self._wire = link.pgconn
        self.on_notices: Callable[[list[tuple[str, str]]], None] = lambda _: None
        self.on_tick: Callable[[], None] = lambda *_: None
        self._notices: list[tuple[bytes | None, ...]] = []  # libpq's callback loses exceptions, so it only collects
        self._wire.notice_handler = self._notice_handler

    @property
    def server_version(self) -> int:
        """The server's version as a number, such as 150004 for 15.4."""
        return self._wire.server_version

    @property
    def database(self) -> str:
        """The name of the database."""
        return self._link.info.dbname

    @property
    def backend_pid(self) -> int:
        """The PID that the server sent when the connection started; a pooler sends one that does not exist."""
        return self._wire.backend_pid

    @property
    def parameters(self) -> dict[str, str]:
        """The connection's libpq parameters, including the password, for PostgreSQL's client programs."""
        wire = self._wire
        changed = {
            option.keyword.decode(): option.val
            for option in wire.info
            if option.val not in (option.compiled, _FILLED_IN.get(option.keyword))
        }
        actual = {"dbname": wire.db, **{key: getattr(wire, key) for key in _ACTUAL}}
        return {key: value.decode() for key, value in (changed | actual).items() if value}

    def reported(self, parameter: str) -> str:
        """Returns a setting that the server reports with every change, such as `client_encoding`."""
        return (self._wire.parameter_status(parameter.encode()) or b"").decode()

    @property
    def lost(self) -> bool:
        """Whether the connection was lost."""
        return self._wire.status == pq.ConnStatus.BAD

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed or not."""
        return self._wire.transaction_status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)

    def rows(self, query: str, values: Mapping[str, object] | None = None) -> list[Row]:
        """Sends one query and returns its rows; see `answers`."""
        with self._door():
            text = query if values is None else psycopg.ClientCursor(self._link).mogrify(query.encode(), values)
        return self.answers(text)[0]

    def answers(self, text: str) -> list[list[Row]]:
        """Sends several statements in one round trip, with fixed output settings, and returns the rows of each.

        Raises:
            StatementFailed, ConnectionLost
        """
        results = list(self.transmit(_OUTPUT + text))[_OUTPUT.count(";") :]
        with self._door():
            return [result.rows_in(self._link) for result in results]

    def literal(self, value: str | int) -> str:
        """Returns a value as a SQL literal, for messages; the database's encoding may lack characters of it."""
        if isinstance(value, int):
            return str(value)
        encoding = (self._wire.parameter_status(b"server_encoding") or b"UTF8").decode()
        return pq.Escaping(self._wire).escape_literal(storable(value, encoding).encode()).decode()

    def transmit(
        self,
        text: str,
        rows: Callable[[int], Iterable[bytes]] | None = None,
        on_sent: Callable[[], None] = lambda: None,
    ) -> Iterator[Result]:
        """Sends one message, however many statements, and yields a result for each as it comes.

        Args:
            text: the SQL.
            rows: A function that returns COPY data; its argument is the number of results so far.
            on_sent: A function that is called while the server runs the message.

        Raises:
            StatementFailed: After the last successful result; the server ran nothing after the failed statement.
            ConnectionLost: The connection was lost; the transaction in flight may or may not be committed.
        """
        with self._door():
            query = text.encode()
            del text  # and the query, which libpq copies: each may have hundreds of megabytes
            self._wire.send_query(query)
            del query
            self._flush()
            on_sent()
            yield from self._receive(rows or (lambda _: ()))

    def run(self, text: str) -> None:
        """Sends one message and lets its results go."""
        for _ in self.transmit(text):
            pass

    def check(self) -> None:
        """Raises ConnectionLost if the server has ended the idle connection; there is no round trip."""
        with self._door():
            self._wire.consume_input()

    def settle(self) -> None:
        """Cancels the running message: after an interruption between two results, the server still runs the rest."""
        if self._wire.transaction_status == pq.TransactionStatus.ACTIVE:
            self.cancel()

    def cancel(self) -> None:
        """Cancels the running statement; closes the connection if the server does not stop within 4 s."""
        with suppress(psycopg.Error):
            self._link.cancel_safe(timeout=_CANCEL_TIMEOUT)
            deadline = time.monotonic() + _CANCEL_TIMEOUT
            while is_busy := self._drained():
                if time.monotonic() > deadline:
                    break
                select.select([self._wire.socket], [], [], 0.1)
                self._wire.consume_input()
            if not is_busy:
                return
        self.close()

    def close(self) -> None:
        """Closes the connection; the server rolls back an open transaction."""
        self._link.close()

    def _drained(self) -> bool:
        """Discards the results that have arrived; returns True while the server is still busy."""
        while not self._wire.is_busy():
            result = self._wire.get_result()
            if result is None:
                return False
            if result.status == pq.ExecStatus.COPY_IN:
                self._wire.put_copy_end(b"interrupted")
        return True

    def _receive(self, rows: Callable[[int], Iterable[bytes]]) -> Iterator[Result]:
        count = 0
        failed: PGresult | None = None
        while (result := self._next()) is not None:
            match result.status:
                case pq.ExecStatus.COPY_IN:
                    self._send_rows(rows(count))
                case pq.ExecStatus.COPY_OUT:
                    self._discard_rows()
                case pq.ExecStatus.FATAL_ERROR:
                    failed = result
                case _:
                    count += 1
                    yield Result(result)
        if failed is not None:
            raise self._failure(failed)

    def _next(self) -> PGresult | None:
        self._flush()
        while self._is_busy():
            self._wait(select.POLLIN)
            self._wire.consume_input()
        result = self._wire.get_result()
        self._deliver_notices()
        return result

    def _is_busy(self) -> bool:
        is_busy = bool(self._wire.is_busy())
        self._deliver_notices()
        return is_busy

    def _flush(self) -> None:
        """Sends buffered data, and reads meanwhile: otherwise client and server could wait for each other."""
        while self._wire.flush():
            if self._wait(select.POLLIN | select.POLLOUT) & select.POLLIN:
                self._wire.consume_input()

    def _wait(self, events: int) -> int:
        return wait(self._wire.socket, events, self.on_tick)

    def _send_rows(self, blocks: Iterable[bytes]) -> None:
        try:
            for block in blocks:
                self._wire.put_copy_data(block)
                self._flush()
        except BaseException:
            self._wire.put_copy_end(b"could not read the COPY data")
            raise
        self._wire.put_copy_end()

    def _discard_rows(self) -> None:
        while True:
            size, _ = self._wire.get_copy_data(1)
            if size < 0:
                return
            if size == 0:
                self._wait(select.POLLIN)
                self._wire.consume_input()

    def _failure(self, result: PGresult) -> DatabaseError:
        if self.lost or self._wire.transaction_status == pq.TransactionStatus.UNKNOWN:
            return _lost(_text(result.error_message))
        return StatementFailed(_report(result))

    def _notice_handler(self, notice: PGresult) -> None:
        self._notices.append(tuple(map(notice.error_field, _NOTICE_FIELDS)))

    def _deliver_notices(self) -> None:
        if self._notices:
            notices, self._notices = self._notices, []
            self.on_notices([_shown(*notice) for notice in notices])

    @contextmanager
    def _door(self) -> Iterator[None]:
        """Converts psycopg's errors. Any other exception cancels the statement, so that a rollback can follow."""
        try:
            yield
        except (psycopg.Error, OSError) as error:
            raise self._translated(error) from None
        except GeneratorExit:
            raise
        except DatabaseError:
            raise
        except BaseException:
            self.cancel()
            raise

    def _translated(self, error: psycopg.Error | OSError) -> DatabaseError:
        if self.lost:
            return _lost(str(error))
        if not isinstance(error, psycopg.Error) or error.sqlstate is None:
            return DatabaseError(first_line(str(error)))
        shown = error.diag
        message = shown.message_primary or first_line(str(error))
        detail, hint, context = shown.message_detail or "", shown.message_hint or "", shown.context or ""
        return StatementFailed(ServerReport(message, error.sqlstate, detail, hint, context))


def _shown(severity: bytes | None, message: bytes | None, detail: bytes | None, hint: bytes | None) -> tuple[str, str]:
    """Returns the severity of a notice, and its message, detail and hint as psql shows them."""
    shown = _text(message or b"")
    if detail or hint:
        more = {"DETAIL": detail, "HINT": hint}
        shown = "\n".join([shown, *(f"{name}:  {_text(part)}" for name, part in more.items() if part)])
    return _text(severity or b""), shown


def _report(result: PGresult) -> ServerReport:
    def field(code: int) -> str:
        return _text(result.error_field(code) or b"")

    position = field(_FIELDS.STATEMENT_POSITION)
    return ServerReport(
        field(_FIELDS.MESSAGE_PRIMARY),
        field(_FIELDS.SQLSTATE),
        field(_FIELDS.MESSAGE_DETAIL),
        field(_FIELDS.MESSAGE_HINT),
        field(_FIELDS.CONTEXT),
        int(position) if position else None,
        field(_FIELDS.INTERNAL_QUERY),
        field(_FIELDS.SOURCE_FUNCTION),
    )


def _lost(reason: str) -> ConnectionLost:
    return ConnectionLost(f"the connection was lost: {first_line(reason)}", hint=RUN_AGAIN)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
