"""What stands around a script's own text when it is sent: BEGIN and the limits, hooks, wipe, record, COMMIT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmigrate.execution.message import Message, Part
from sqlmigrate.execution.prepared import prepare_hook
from sqlmigrate.sql.text import Sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.errors import MigrationFailed
    from sqlmigrate.execution.prepared import PreparedHook, PreparedStep
    from sqlmigrate.files.source import Source
    from sqlmigrate.history.records import Records
    from sqlmigrate.model import Migration, Progress
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.server.session import Session
    from sqlmigrate.sql.script import Piece

# Bytes of one message, roughly.
MESSAGE_SIZE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a statement may wait for a lock and may take, in milliseconds; how often a lock is tried for."""

    lock_timeout: int
    statement_timeout: int
    lock_retries: int


class Envelope:
    """The messages that carry step, with the SQL around it. Sends nothing."""

    def __init__(self, connection: Connection, session: Session, records: Records, guard: str, limits: Limits) -> None:
        self._connection = connection
        self._session = session
        self._records = records
        self._guard = guard
        self._limits = limits

    def messages(self, batch: Sequence[PreparedStep]) -> Iterator[Message]:
        """The next segment of each, in messages of bounded size; read only as far as they are sent."""
        return _packed(self._parts(batch))

    def prepared(self, step: PreparedStep) -> str:
        """The settings for what runs outside a transaction."""
        return self._session.prepared(self._limits_of(step, patient=True))

    def journal(self, step: PreparedStep, progress: Progress, elapsed_ms: int) -> Message:
        """A transaction that records how far a script is."""
        record = self._records.step_progress(step.step, step.description, progress, self._guard, elapsed_ms)
        closing = _part(self._session.step_aside + record + _COMMIT)
        return Message([_part(_BEGIN), *self._limited(self._before(0, step)), closing])

    def end(self, step: PreparedStep, elapsed_ms: int) -> Message:
        """A transaction that records the end of a script whose last statement ran outside one."""
        statements = step.script.statements
        record = self._records.step_end(step.step, step.description, statements, self._guard, elapsed_ms)
        closing = _part(self._session.wipe + self._end_of_run(step) + record + _COMMIT)
        return Message([_part(_BEGIN), *self._limited(self._hooked(0, step, step.after)), closing])

    def _limited(self, hook: Iterator[Part]) -> list[Part]:
        """A hook beside a statement that waits for locks without a limit, which the hook is not to do."""
        parts = list(hook)
        if not parts:
            return []
        limits = {"lock_timeout": self._limits.lock_timeout, "statement_timeout": self._limits.statement_timeout}
        begin = Sql("".join(f"set local {name} = {value};\n" for name, value in limits.items()), len(limits))
        return [_part(begin), *parts, _part(Sql("set local lock_timeout = 0;\n", 1))]

    def after_error(self, hook: Migration, failed: MigrationFailed) -> Message:
        """A transaction for the hook that runs behind a failure, with the settings that tell it which one that was."""
        settings: dict[str, str | int] = {
            "lock_timeout": self._limits.lock_timeout,
            "sqlmigrate.version": failed.step.migration.id,
            "sqlmigrate.error": failed.message,
        }
        return Message([_part(self._session.opening("", settings)), *_parts_of(prepare_hook(hook), 0), _part(_COMMIT)])

    def _parts(self, batch: Sequence[PreparedStep]) -> Iterator[Part]:
        for unit, step in enumerate(batch):
            limits = self._limits_of(step, patient=step.segment.patient)
            yield _part(self._session.opening(step.segment.begin, limits), unit)
            yield from self._before(unit, step)
            for piece in step.segment.pieces:
                yield Part(_closed(step.source, piece), piece.statements, unit, piece)
            if step.on_last_segment:
                yield from self._hooked(unit, step, step.after)
            yield self._closing(unit, step)

    def _before(self, unit: int, step: PreparedStep) -> Iterator[Part]:
        """The hook before each migration, where nothing of this one is committed yet."""
        return iter(()) if step.opened else self._hooked(unit, step, step.before)

    def _hooked(self, unit: int, step: PreparedStep, hook: PreparedHook | None) -> Iterator[Part]:
        """A hook in a migration's transaction, with the setting that tells it which one that is."""
        if hook is not None:
            version = self._connection.literal(step.step.migration.id)
            yield _part(Sql(f"set local sqlmigrate.version = {version};\n", 1), unit)
            yield from _parts_of(hook, unit)

    def _closing(self, unit: int, step: PreparedStep) -> Part:
        # WAL is ordered: a crash of the server can lose a suffix of whole migrations, rows and all, and the last commit
        # of the run makes every one of them durable. It stands here because the wipe's RESET ALL would undo it.
        durable = step.durable and step.on_last_segment
        durability = Sql() if durable else Sql("set local synchronous_commit = off;\n", 1)
        if step.on_last_segment:
            statements, is_new = step.script.statements, step.ordinary and step.step.row is None
            record = self._records.step_end(step.step, step.description, statements, self._guard, is_new=is_new)
            return _part(self._session.wipe + durability + self._end_of_run(step) + record + _COMMIT, unit)
        record = self._records.step_progress(step.step, step.description, step.progress, self._guard)
        return _part(self._session.step_aside + durability + record + _COMMIT, unit)

    def _end_of_run(self, step: PreparedStep) -> Sql:
        return self._records.run_end if step.last else Sql()

    def _limits_of(self, step: PreparedStep, *, patient: bool) -> dict[str, str | int]:
        said = step.script.directives
        return {
            "application_name": f"sqlmigrate {step.step.migration.id}",
            "lock_timeout": said.get("lock-timeout", 0 if patient else self._limits.lock_timeout),
            "statement_timeout": said.get("statement-timeout", self._limits.statement_timeout),
        }


_BEGIN = Sql("begin;\n", 1)
_COMMIT = Sql("commit;\n", 1)


def _part(sql: Sql, unit: int = 0) -> Part:
    return Part(sql.text, sql.results, unit)


def _closed(opened: Source, piece: Piece) -> str:
    """A piece to be sent: the newline ends a comment that its last line may be, the semicolon its last statement."""
    return opened.text(piece) + "\n;\n"


def _parts_of(hook: PreparedHook, unit: int) -> Iterator[Part]:
    for segment in hook.script.segments:
        for piece in segment.pieces:
            yield Part(_closed(hook.source, piece), piece.statements, unit, piece, hook.script.path)


def _packed(parts: Iterator[Part]) -> Iterator[Message]:
    """Parts, put together into messages of bounded size; read only as far as they are sent."""
    gathered: list[Part] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part.text)
        if size >= MESSAGE_SIZE or (part.piece is not None and part.piece.ends_message):
            yield Message(gathered)
            gathered, size = [], 0
    if gathered:
        yield Message(gathered)
