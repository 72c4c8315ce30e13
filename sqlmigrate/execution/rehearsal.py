"""Runs what is pending in one transaction and rolls it back: `validate --dry-run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.errors import ScriptError, StatementFailed
from sqlmigrate.events import Said
from sqlmigrate.execution.message import Message, Part
from sqlmigrate.execution.prepared import Hook
from sqlmigrate.files import source
from sqlmigrate.sql.sqlstate import needs_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.envelope import Limits
    from sqlmigrate.execution.prepared import Work
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.server.session import Session
    from sqlmigrate.sql.script import Segment


def rehearse(
    connection: Connection,
    session: Session,
    work: Sequence[Work],
    limits: Limits,
    on_event: Callable[[Event], None],
) -> None:
    """Runs each segment that can be in a transaction; the others are named by `Said`, and what counts on them may fail.

    Raises:
        ScriptError: a migration would fail, and where.
    """
    connection.run("begin")
    try:
        for one in work:
            connection.run(_settings(connection, one, limits))
            scripts = (one.before, Hook(one.script, one.source), one.after)
            for script, opened in filter(None, scripts):
                for segment in script.segments:
                    if not segment.transactional or not _passes(connection, one, segment, opened, script.path):
                        on_event(Said(one.step, f"line {segment.pieces[0].line}: can't be rehearsed in a transaction"))
            connection.run("set constraints all immediate; reset role; reset all; discard temp")
    finally:
        session.clean()


def _settings(connection: Connection, work: Work, limits: Limits) -> str:
    """For each migration anew, since the RESET ALL behind the one before it has taken them back."""
    said = work.script.directives
    settings: dict[str, str | int] = {
        "sqlmigrate.version": work.step.migration.id,
        "lock_timeout": said.get("lock-timeout", limits.lock_timeout),
        "statement_timeout": said.get("statement-timeout", limits.statement_timeout),
    }
    return ";".join(f"set local {name} = {connection.literal(value)}" for name, value in settings.items())


def _passes(connection: Connection, work: Work, segment: Segment, opened: source.Source, path: str) -> bool:
    """Runs a segment; False where the server would not run it in a transaction."""
    connection.run("savepoint sqlmigrate_segment")
    for piece in segment.pieces:
        message = Message([Part(opened.text(piece) + "\n;", piece.statements, 0, piece)])
        rows = list(opened.blocks(*piece.rows)) if piece.rows else []
        count = 0
        try:
            for _ in connection.transmit(message.text, lambda _, rows=rows: rows):  # type: ignore[misc]  # bound now
                count += 1
        except StatementFailed as error:
            if needs_parts(error.report):
                connection.run("rollback to savepoint sqlmigrate_segment")
                return False
            place = source.with_line_text(message.blame(count, error.report.position).place(path))
            raise ScriptError(
                f"{work.step.migration.id} would fail: {error.message}", place, "nothing was changed"
            ) from error
    return True
