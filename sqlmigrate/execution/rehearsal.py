"""Runs pending migrations in one transaction and rolls it back: `validate --dry-run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.errors import ScriptError, StatementFailed
from sqlmigrate.events import Said
from sqlmigrate.execution.heartbeat import Heartbeat
from sqlmigrate.execution.message import Message, Part
from sqlmigrate.execution.prepared import PreparedHook
from sqlmigrate.files import source
from sqlmigrate.sql.sqlstate import needs_other_segments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.envelope import Limits
    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.server.session import Session
    from sqlmigrate.sql.segments import Segment

_WIPE = "set constraints all immediate; reset role; reset all; discard temp;"


def rehearse(
    connection: Connection,
    session: Session,
    steps: Sequence[PreparedStep],
    limits: Limits,
    on_event: Callable[[Event], None],
) -> None:
    """Runs each segment that can run inside a transaction block, and reports the others as `Said` events.

    A later statement that depends on a skipped segment may fail.

    Raises:
        ScriptError: A migration would fail; the error has its location.
    """
    heartbeat = Heartbeat(on_event)
    connection.on_tick = heartbeat.beat
    connection.run(session.opening("", {}).text)
    try:
        for step in steps:
            heartbeat.begin([step])
            connection.run(_settings(connection, step, limits))
            scripts = (step.before, PreparedHook(step.script, step.source), step.after)
            for script, opened in filter(None, scripts):
                for number, segment in enumerate(script.segments):
                    step.next = number if script is step.script else step.next
                    if not segment.transactional or not _passes(connection, step, segment, opened, script.path):
                        message = f"line {segment.pieces[0].line}: cannot run inside a transaction block; skipped"
                        on_event(Said(step.step, message))
            connection.run(f"{_WIPE}{session.start.text}")
    finally:
        session.clean()


def _settings(connection: Connection, step: PreparedStep, limits: Limits) -> str:
    """Returns the settings of a step; the RESET ALL after the step before it has reset them."""
    directives = step.script.directives
    settings: dict[str, str | int] = {
        "sqlmigrate.version": step.step.migration.id,
        "lock_timeout": directives.get("lock-timeout", limits.lock_timeout),
        "statement_timeout": directives.get("statement-timeout", limits.statement_timeout),
    }
    return ";".join(f"set local {name} = {connection.literal(value)}" for name, value in settings.items())


def _passes(connection: Connection, step: PreparedStep, segment: Segment, opened: source.Source, path: str) -> bool:
    """Runs a segment; returns False if the server does not run it inside a transaction block."""
    connection.run("savepoint sqlmigrate_segment")
    for piece in segment.pieces:
        message = Message([Part(opened.text(piece) + "\n;", piece.statements, 0, piece)])
        rows = list(opened.rows(piece))
        count = 0
        try:
            for _ in connection.transmit(message.text, lambda _, rows=rows: rows):  # type: ignore[misc]  # bound now
                count += 1
        except StatementFailed as error:
            if needs_other_segments(error.report):
                connection.run("rollback to savepoint sqlmigrate_segment")
                return False
            location = source.with_line_text(message.blame(count, error.report.position).place(path))
            raise ScriptError(
                f"{step.step.migration.id} would fail: {error.message}", location, "nothing was changed"
            ) from error
    return True
