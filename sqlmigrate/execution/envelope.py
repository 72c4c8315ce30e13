"""Builds the messages that carry scripts: BEGIN, limits, hooks, the script, the wipe, the record and COMMIT."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmigrate.errors import ScriptError
from sqlmigrate.execution import timing
from sqlmigrate.execution.message import Message, Part, marked
from sqlmigrate.execution.prepared import prepare_hook
from sqlmigrate.model import Action, Location
from sqlmigrate.server.program import program_name
from sqlmigrate.server.session import STATE, client_state, has_escapes
from sqlmigrate.sql.text import Sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlmigrate.errors import MigrationFailed
    from sqlmigrate.execution.prepared import PreparedHook, PreparedStep
    from sqlmigrate.files.source import Source
    from sqlmigrate.history.records import Records
    from sqlmigrate.model import Migration, Progress
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.server.session import Session
    from sqlmigrate.sql.segments import Piece

_BEGUN_STATE = "sqlmigrate.begun_state"
# The approximate size of a message, in characters.
MESSAGE_SIZE = 1024 * 1024
_FEW = 3  # steps, whose records take the server longer to prepare than to plan
# The number of brief rollbacks in one transaction, and the milliseconds for which a statement waits for a lock while it
# holds those of the steps before. All of them wait for much less than the deadlock_timeout of a session that waits for
# this one: the server would end that session.
_JOINED, _JOINED_WAIT = 16, 6


class StringsChanged(ScriptError):
    """The server would read the next statement with another standard_conforming_strings than the scanner did."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The timeouts of a statement, in milliseconds, and how often a step is tried again after a lock timeout.

    With `is_timed`, messages read the clock before each statement.
    """

    lock_timeout: int
    statement_timeout: int
    lock_retries: int
    is_timed: bool = False


class Envelope:
    """Builds the messages of a run. Sends nothing."""

    def __init__(self, connection: Connection, session: Session, records: Records, guard: str, limits: Limits) -> None:
        self._connection = connection
        self._session = session
        self._records = records
        self._guard = guard
        self._limits = limits
        # Settings of the steps that prepared statements record: to set them once takes less time than in each step.
        self._shared: dict[str, str | int] = {
            "lock_timeout": limits.lock_timeout,
            "statement_timeout": limits.statement_timeout,
            "synchronous_commit": "off",
        }
        self.joins_rollbacks = not limits.is_timed  # whose statements are reported before the commit

    def messages(self, batch: Sequence[PreparedStep]) -> Iterator[Message]:
        """Yields messages of bounded size with the next segment of each step; reads the files lazily."""
        return _packed(self._parts(batch))

    def check_settings(self, message: Message, batch: Sequence[PreparedStep]) -> None:
        """Checks that the server will read a message as the scanner did; a function may have changed its settings.

        Raises:
            ScriptError: A setting has another value.
        """
        part = next((part for part in message.parts if part.piece is not None), None)
        if part is None or part.piece is None:
            return
        place = Location(part.hook or batch[part.unit].step.path, part.piece.line, part.piece.column)
        if part.piece.escapes != has_escapes(self._connection) and "\\" in message.text:
            changed = "a statement before this one has changed standard_conforming_strings"
            raise StringsChanged(changed, place, "change it with SET, so that sqlmigrate knows its value")
        if self._connection.reported("client_encoding") != "UTF8" and not message.text.isascii():
            raise ScriptError("a statement before this one has changed client_encoding", place, "remove the setting")

    def prepared(self, step: PreparedStep) -> str:
        """Returns the SQL that sets the limits for statements outside a transaction block."""
        return self._session.prepared(self._limits_of(step, patient=True))

    def journal(self, step: PreparedStep, progress: Progress, elapsed_ms: int, begun_state: str = "''") -> Message:
        """Returns a transaction that records the progress of a script.

        The last result but one is the value of `begun_state`, an SQL expression. The role and the search_path of the
        script resolve its names, as they do those of the statement.
        """
        look = Sql(f"select pg_catalog.set_config('{_BEGUN_STATE}', {begun_state}, true);\n", 1)
        value = f"pg_catalog.current_setting('{_BEGUN_STATE}')"
        guard = self._guard_of(step, step.earlier_row)
        record = self._records.step_progress(step.step, step.description, progress, guard, elapsed_ms, value)
        closing = _part(look + self._session.reset_role + record + _COMMIT)
        return Message([_part(_BEGIN), *self._limited(self._before(0, step)), closing])

    def session_state(self, step: PreparedStep) -> Message:
        """Returns a transaction that records the state of the session between two segments."""
        record = self._records.session_state(step.step, STATE)
        return Message([_part(_BEGIN + self._session.keep_state + self._session.reset_role + record + _COMMIT)])

    def end(self, step: PreparedStep, elapsed_ms: int) -> Message:
        """Returns a transaction that records the end of a script that ends outside a transaction block."""
        statements = step.script.statements
        record = self._records.step_end(
            step.step, step.description, statements, self._guard_of(step, step.earlier_row), elapsed_ms
        )
        closing = _part(self._session.wipe + self._end_of_run(step) + record + _COMMIT)
        return Message([_part(_BEGIN), *self._limited(self._hooked(0, step, step.after)), closing])

    def _limited(self, hook: Iterator[Part]) -> list[Part]:
        """Returns a hook with its own timeouts: the session's lock_timeout is 0 around CREATE INDEX CONCURRENTLY."""
        parts = list(hook)
        if not parts:
            return []
        limits = {"lock_timeout": self._limits.lock_timeout, "statement_timeout": self._limits.statement_timeout}
        begin = Sql("".join(f"set local {name} = {value};\n" for name, value in limits.items()), len(limits))
        return [_part(begin), *parts, _part(Sql("set local lock_timeout = 0;\n", 1))]

    def after_error(self, hook: Migration, failed: MigrationFailed) -> Message:
        """Returns a transaction with the hook `after_error`; settings contain the version and the error message."""
        settings: dict[str, str | int] = {
            "lock_timeout": self._limits.lock_timeout,
            "sqlmigrate.version": failed.step.migration.id,
            "sqlmigrate.error": failed.message,
        }
        return Message(
            [
                _part(self._session.opening("", settings)),
                *_parts_of(prepare_hook(hook, client_state(self._connection)), 0),
                _part(_COMMIT),
            ]
        )

    def _parts(self, batch: Sequence[PreparedStep]) -> Iterator[Part]:
        executing = [False, *(len(batch) > _FEW and self._can_execute(step) for step in batch), False]
        joined = [*self._joined(batch, executing[1:]), False]
        for unit, step in enumerate(batch):
            before, executes, after = executing[unit : unit + 3]
            number = step.segment.first
            step.is_joined = joined[unit] or joined[unit + 1]
            if executes and not before:
                yield _part(_assigned(self._shared), unit)
            if joined[unit]:
                yield _part(self._joining(step), unit)
            else:
                yield _part(self._opening(step, executes=executes, is_joined=joined[unit + 1]), unit)
            if executes and not before:
                yield _part(self._records.prepared_ends(step.step.action, self._guard_of(step, None)), unit)
            yield from self._before(unit, step)
            for piece in step.segment.pieces:
                yield self._counted(unit, step, piece, number)  # no variable keeps the text while it is sent
                if self._limits.is_timed:
                    yield _part(timing.END, unit)
                number += piece.statements
            if step.on_last_segment:
                yield from self._hooked(unit, step, step.after)
            record = self._executed(step) if executes else self._closing(step)
            yield _recorded(record, unit, Sql() if joined[unit + 1] else _COMMIT)
            if executes and not after:
                yield _part(self._records.deallocated_ends + _reset(self._shared), unit)

    def _joined(self, batch: Sequence[PreparedStep], executing: Sequence[bool]) -> Iterator[bool]:
        """Yields for each step whether it runs in the transaction of the step before it."""
        count = 0
        for step, executes in zip(batch, executing, strict=False):
            can_join = self.joins_rollbacks and executes and step.is_brief_rollback
            count = count % _JOINED + 1 if can_join else 0
            yield count > 1

    def _opening(self, step: PreparedStep, *, executes: bool, is_joined: bool) -> Sql:
        """Returns the SQL that starts the transaction of a step; `is_joined` means that the next step joins it."""
        limits = self._limits_of(step, patient=step.segment.patient)
        limits["application_name"] = _name_during(step, step.segment.first)
        if executes:
            limits = {name: value for name, value in limits.items() if self._shared.get(name) != value}
        if is_joined:
            limits["lock_timeout"] = min(self._limits.lock_timeout or _JOINED_WAIT, _JOINED_WAIT)
        return self._session.opening(step.segment.begin, limits)

    def _joining(self, step: PreparedStep) -> Sql:
        name = self._connection.literal(_name_during(step, step.segment.first))
        return Sql(f"set local application_name = {name};\n", 1)

    def _counted(self, unit: int, step: PreparedStep, piece: Piece, number: int) -> Part:
        """Returns a piece with a SET before each statement but the first of the segment, whose name the opening sets.

        The server sends no result before a message ends or 8 kB are full, and pg_stat_activity shows the whole message.

        Args:
            unit: The index of the step.
            step: The step.
            piece: A piece of its script.
            number: The number of the first statement of the piece.
        """
        part = Part(_closed(step.source, piece), piece.statements, unit, piece)
        if self._limits.is_timed and timing.is_timed(step, part):
            return self._timed(part, step, number)
        if not step.script.is_counted:
            return part
        first = 1 if number == step.segment.first else 0
        numbers = range(number + first, number + piece.statements)
        names = (self._connection.literal(_name_during(step, statement)) for statement in numbers)
        return marked(part, piece.starts[first:], [f"set local application_name = {name};" for name in names])

    def _timed(self, part: Part, step: PreparedStep, number: int) -> Part:
        """Adds a query of the clock before each statement, which also sets application_name."""
        starts = part.piece.starts if part.piece else ()
        names = (_name_during(step, number + at) for at in range(len(starts)))
        literals = (self._connection.literal(name) if step.script.is_counted else "" for name in names)
        return marked(part, starts, [timing.mark(literal) for literal in literals])

    def _before(self, unit: int, step: PreparedStep) -> Iterator[Part]:
        """Yields the hook `before_each`, unless a transaction of the step is already committed."""
        return iter(()) if step.opened else self._hooked(unit, step, step.before)

    def _hooked(self, unit: int, step: PreparedStep, hook: PreparedHook | None) -> Iterator[Part]:
        """Yields a hook; the setting `sqlmigrate.version` contains the version of the migration."""
        if hook is not None:
            version = self._connection.literal(step.step.migration.id)
            yield _part(Sql(f"set local sqlmigrate.version = {version};\n", 1), unit)
            yield from _parts_of(hook, unit)

    def _can_execute(self, step: PreparedStep) -> bool:
        """Whether a prepared statement can record the step: it has no row, and its script leaves the session alone."""
        is_new = step.step.action is Action.APPLY and not step.has_row
        is_recorded_alike = is_new or step.step.action is Action.ROLL_BACK
        return is_recorded_alike and step.keeps_session and not step.first and not self._session.is_pooled

    def _executed(self, step: PreparedStep) -> Sql:
        record = self._records.executed_end(step.step, step.description, step.script.statements, step.earlier_row)
        return _durable(step) + self._end_of_run(step) + record

    def _closing(self, step: PreparedStep) -> Sql:
        guard = self._guard_of(step, step.earlier_row)
        if step.on_last_segment:
            statements, is_new = step.script.statements, step.ordinary and not step.has_row
            record = self._records.step_end(step.step, step.description, statements, guard, is_new=is_new)
            wipe = Sql() if step.keeps_session else self._session.wipe
            return wipe + _durability(step) + self._end_of_run(step) + record
        states = self._connection.literal(json.dumps(step.other_states) if step.other_states else "")
        record = self._records.step_progress(step.step, step.description, step.progress, guard, begun_state=states)
        return self._session.reset_role + _durability(step) + record

    def _guard_of(self, step: PreparedStep, earlier_row: str | None) -> str:
        is_kept = f" and {self._session.is_kept()}" if step.keeps_session else ""
        return f"{self._guard}{is_kept} and {self._records.is_intact(earlier_row, is_first=step.first)}"

    def _end_of_run(self, step: PreparedStep) -> Sql:
        return self._records.run_end if step.last else Sql()

    def _limits_of(self, step: PreparedStep, *, patient: bool) -> dict[str, str | int]:
        directives = step.script.directives
        return {
            "application_name": program_name(step.step.migration.id),
            "lock_timeout": directives.get("lock-timeout", 0 if patient else self._limits.lock_timeout),
            "statement_timeout": directives.get("statement-timeout", self._limits.statement_timeout),
        }


# Between the segments of a script, its default_transaction_read_only may be in effect.
_BEGIN = Sql("begin read write;\n", 1)
_COMMIT = Sql("commit;\n", 1)


def _name_during(step: PreparedStep, number: int) -> str:
    counter = (number + 1, step.script.statements) if step.script.is_counted else ()
    return program_name(step.step.migration.id, *counter)


def _durability(step: PreparedStep) -> Sql:
    # WAL is ordered: a server crash can only lose the last migrations, each together with its history row, and the
    # last commit of the run makes all of them durable. The RESET ALL of the wipe would reset an earlier SET.
    is_durable = step.durable and step.on_last_segment
    return Sql() if is_durable else Sql("set local synchronous_commit = off;\n", 1)


def _durable(step: PreparedStep) -> Sql:
    """Returns the SQL that makes a step durable whose session has synchronous_commit off."""
    return Sql("set local synchronous_commit = default;\n", 1) if step.durable else Sql()


def _assigned(settings: Mapping[str, str | int]) -> Sql:
    return Sql("".join(f"set {name} = {value};\n" for name, value in settings.items()), len(settings))


def _reset(settings: Mapping[str, str | int]) -> Sql:
    return Sql("".join(f"reset {name};\n" for name in settings), len(settings))


def _part(sql: Sql, unit: int = 0) -> Part:
    return Part(sql.text, sql.results, unit)


def _recorded(record: Sql, unit: int, end: Sql) -> Part:
    text = record + end
    return Part(text.text, text.results, unit, record=record.results)


def _closed(opened: Source, piece: Piece) -> str:
    """Returns the text of a piece with a newline, which ends a trailing comment, and a semicolon."""
    return opened.text(piece) + "\n;\n"


def _parts_of(hook: PreparedHook, unit: int) -> Iterator[Part]:
    for segment in hook.script.segments:
        for piece in segment.pieces:
            yield Part(_closed(hook.source, piece), piece.statements, unit, piece, hook.script.path)


def _packed(parts: Iterator[Part]) -> Iterator[Message]:
    """Joins parts into messages of bounded size, lazily."""
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
