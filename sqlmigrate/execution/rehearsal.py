"""Runs pending migrations statement by statement, and observes each statement."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError, ScriptError, StatementFailed
from sqlmigrate.events import Said
from sqlmigrate.execution.heartbeat import Heartbeat
from sqlmigrate.execution.sequences import SequenceGuard
from sqlmigrate.execution.timing import shown
from sqlmigrate.files import source
from sqlmigrate.locks.effects import Effects, TakenLock
from sqlmigrate.planning.rehearsed import RehearsedStatement, RehearsedStep, RehearsedTransaction
from sqlmigrate.server.observer import LISTEN, Observer
from sqlmigrate.sql.place import locate
from sqlmigrate.sql.scanner import statements
from sqlmigrate.sql.sqlstate import needs_other_segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.envelope import Limits
    from sqlmigrate.execution.prepared import PreparedHook, PreparedStep
    from sqlmigrate.locks.effects import StandingRelation
    from sqlmigrate.model import Location
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.server.session import Session
    from sqlmigrate.sql.item import Item
    from sqlmigrate.sql.segments import Piece, Segment

_OUTSIDE = "cannot run inside a transaction block"
_UNPROTECTED = "may change a sequence, which PostgreSQL does not roll back, and cannot have a copy of it: {}"
_WIPE = "reset role; reset all; discard temp;"
# Some of these must be the first in their transaction, and not in a subtransaction.
_SET = re.compile(r"set\b(?!\s+constraints)", re.IGNORECASE)
# COPY … FREEZE needs a table that the same subtransaction has created.
_FREEZE = re.compile(r"copy\b.*\bfreeze\b", re.IGNORECASE | re.DOTALL)
_SAVE, _RETURN, _RELEASE = (f"{verb} sqlmigrate_rehearsal" for verb in ("savepoint", "rollback to", "release"))


@dataclass(slots=True)
class _ScriptStatement:
    """A statement of a script: its text, its COPY data, and its location."""

    item: Item
    opened: source.Source
    piece: Piece | None
    location: Location


@dataclass(slots=True)
class _Grouped:
    """The transactions of a step so far; the last one is open."""

    transactions: list[RehearsedTransaction] = field(default_factory=list)
    open: list[RehearsedStatement] = field(default_factory=list)

    def close(self, *, is_alone: bool = False) -> None:
        """Ends the open transaction."""
        if self.open:
            self.transactions.append(RehearsedTransaction(tuple(self.open), is_alone))
            self.open = []


class Rehearser:
    """Runs steps on one connection. `failure` is the error of the statement that failed."""

    failure: ScriptError | None = None

    def __init__(
        self, connection: Connection, session: Session, limits: Limits, on_event: Callable[[Event], None]
    ) -> None:
        self._connection = connection
        self._session = session
        self._limits = limits
        self._on_event = on_event
        self._observer = Observer(connection)
        self._guard: SequenceGuard | None = None
        self._grouped = _Grouped()

    def run_and_roll_back(self, steps: Sequence[PreparedStep]) -> list[RehearsedStep]:
        """Runs the steps in one transaction, without what cannot run in it, and rolls it back.

        A later statement that depends on one that was left out may fail.
        """
        self._guard = SequenceGuard(self._connection)
        self._connection.run(self._session.opening("", {}).text)
        try:
            return self._steps(steps, lambda _: None)
        finally:
            self._session.clean()

    def run(self, steps: Sequence[PreparedStep], record: Callable[[PreparedStep], str]) -> list[RehearsedStep]:
        """Runs the steps as `migrate` does, and commits; `record` returns the SQL that records a step."""
        try:
            return self._steps(steps, lambda step: self._connection.run(record(step)))
        finally:
            self._session.clean()

    @property
    def _commits(self) -> bool:
        return self._guard is None

    def _steps(self, steps: Sequence[PreparedStep], end: Callable[[PreparedStep], None]) -> list[RehearsedStep]:
        heartbeat = Heartbeat(self._on_event)
        self._connection.on_tick = heartbeat.beat
        done: list[RehearsedStep] = []
        for step in steps:
            heartbeat.begin([step])
            self._grouped = _Grouped()
            self._step(step)
            self._grouped.close()
            done.append(RehearsedStep(step.step, tuple(self._grouped.transactions)))
            if self.failure is not None:
                break
            self._connection.run(f"{_WIPE}{self._session.start.text}")
            end(step)
        return done

    def _step(self, step: PreparedStep) -> None:
        segments = step.script.segments
        for number, segment in enumerate(segments):
            step.next = number
            before = step.before if number == 0 else None
            after = step.after if number == len(segments) - 1 else None
            running = [*_statements(segment, step.source, step.script.path)]
            if segment.transactional:
                around = [[*_of_hook(hook)] for hook in (before, after)]
                self._transaction(step, segment.begin, [*around[0], *running, *around[1]])
                continue
            self._transaction(step, "", [*_of_hook(before)])
            self._outside(step, running)
            self._transaction(step, "", [*_of_hook(after)])
        if not segments:
            self._transaction(step, "", [*_of_hook(step.before), *_of_hook(step.after)])

    def _outside(self, step: PreparedStep, all_running: Sequence[_ScriptStatement]) -> None:
        for running in all_running:
            if self.failure is not None:
                return
            if self._commits:
                self._alone(step, running)
            else:
                self._leave_out(step, running, _OUTSIDE)
                self._grouped.close(is_alone=True)

    def _transaction(self, step: PreparedStep, begin: str, all_running: Sequence[_ScriptStatement]) -> None:
        if not all_running or self.failure is not None:
            return
        self._open(step, begin)
        for running in all_running:
            self._within(step, begin, running)
            if self.failure is not None:
                break
        else:
            self._close(step, all_running[-1])
        self._grouped.close()

    def _open(self, step: PreparedStep, begin: str) -> None:
        if self._commits:
            self._connection.run(f"{begin or 'begin'};")
        self._connection.run(LISTEN + self._settings(step, "set local"))

    def _close(self, step: PreparedStep, last: _ScriptStatement) -> None:
        """Checks the deferred constraints, and commits."""
        try:
            self._connection.run("set constraints all immediate")
            if self._commits:
                self._connection.run("commit")
                self._observer.end()
        except StatementFailed as error:
            self._fail(step, last, error, last.location)

    def _within(self, step: PreparedStep, begin: str, running: _ScriptStatement) -> None:
        """Runs a statement in the open transaction, or outside if the server demands it."""
        is_saved = not _FREEZE.match(running.item.text) and not (self._commits and _SET.match(running.item.text))
        if is_saved:
            self._connection.run(_SAVE)
        try:
            effects = self._observed(running) if self._protected(step, running) else None
        except StatementFailed as error:
            if is_saved and needs_other_segments(error.report):
                self._connection.run(_RETURN)
                self._run_elsewhere(step, begin, running)
                return
            self._fail(step, running, error)
            return
        if is_saved:
            self._connection.run(_RELEASE)
        if effects is not None:
            self._grouped.open.append(_rehearsed(running, effects=effects))

    def _run_elsewhere(self, step: PreparedStep, begin: str, running: _ScriptStatement) -> None:
        if not self._commits:
            self._forget_copies()
            self._leave_out(step, running, _OUTSIDE)
            return
        self._connection.run("commit")
        self._observer.end()
        self._grouped.close()
        self._alone(step, running)
        if self.failure is None:
            self._open(step, begin)

    def _protected(self, step: PreparedStep, running: _ScriptStatement) -> bool:
        """Whether the statement cannot change the position of a sequence for good; if it can, leaves it out."""
        if self._guard is None:
            return True
        try:
            if self._guard.protect(running.item.text):
                self._observer.pass_over()
        except StatementFailed as error:
            self._connection.run(_RETURN)
            self._forget_copies()
            self._leave_out(step, running, _UNPROTECTED.format(error.message))
            return False
        return True

    def _forget_copies(self) -> None:
        if self._guard is not None:
            self._guard.forget()

    def _observed(self, running: _ScriptStatement) -> Effects:
        if _SET.match(running.item.text):
            self._send(running)
            self._connection.run(LISTEN)
            return Effects(0, tag="SET")
        return self._observer.observe(lambda: self._send(running))

    def _alone(self, step: PreparedStep, running: _ScriptStatement) -> None:
        self._connection.run(LISTEN + self._settings(step, "set"))
        try:
            effects = self._observer.observe_alone(lambda: self._send(running))
        except StatementFailed as error:
            self._fail(step, running, error)
        else:
            locks = (*_locks_in_text(running.item.text, self._observer.standing.values()),)
            self._grouped.open.append(_rehearsed(running, effects=replace(effects, locks=locks)))
        self._grouped.close(is_alone=True)

    def _send(self, running: _ScriptStatement) -> bytes | None:
        blocks = [*running.opened.rows(running.piece)] if running.piece else []
        *_, tag = (None, *(result.command for result in self._connection.transmit(running.item.text, lambda _: blocks)))
        return tag

    def _settings(self, step: PreparedStep, set_: str) -> str:
        """Returns the settings of a step; the RESET ALL after the step before it has reset them."""
        directives = step.script.directives
        limits, is_alone = self._limits, set_ == "set"
        lock_timeout = directives.get("lock-timeout", 0 if is_alone else limits.lock_timeout)
        if not self._commits:
            lock_timeout = min(lock_timeout or limits.lock_timeout, limits.lock_timeout)
        settings: dict[str, str | int] = {
            "sqlmigrate.version": step.step.migration.id,
            "lock_timeout": lock_timeout,
            "statement_timeout": directives.get("statement-timeout", limits.statement_timeout),
        }
        return "".join(f"{set_} {name} = {self._connection.literal(value)};" for name, value in settings.items())

    def _leave_out(self, step: PreparedStep, running: _ScriptStatement, reason: str) -> None:
        self._on_event(Said(step.step, f"line {running.location.line}: {reason}; skipped"))
        self._grouped.open.append(_rehearsed(running, skipped=reason))

    def _fail(
        self, step: PreparedStep, running: _ScriptStatement, error: StatementFailed, location: Location | None = None
    ) -> None:
        item, at = running.item, (error.report.position or 1) - 1
        location = location or locate(running.location.path, item.source, at, item.line, item.column)
        hint = "" if self._commits else "nothing was changed"
        message = f"{step.step.migration.id} would fail: {error.message}"
        self.failure = ScriptError(message, source.with_line_text(location), hint)
        self.failure.__cause__ = error
        if location is not running.location or not self._grouped.open:
            self._grouped.open.append(_rehearsed(running, failed=error.message))


def _of_hook(hook: PreparedHook | None) -> Iterator[_ScriptStatement]:
    if hook is not None:
        for segment in hook.script.segments:
            yield from _statements(segment, hook.source, hook.script.path)


def _statements(segment: Segment, opened: source.Source, path: str) -> Iterator[_ScriptStatement]:
    """Yields the statements of a segment, the last one of each piece with the piece, which may have COPY data."""
    for piece in segment.pieces:
        items = statements(opened.text(piece), piece.line, piece.column, escapes=piece.escapes)
        for item in items:
            location = locate(path, item.source, 0, item.line, item.column)
            yield _ScriptStatement(item, opened, piece if item is items[-1] else None, location)


def _rehearsed(
    running: _ScriptStatement, effects: Effects | None = None, skipped: str = "", failed: str = ""
) -> RehearsedStatement:
    return RehearsedStatement(running.location, shown(running.item.text), effects, skipped, failed)


def _locks_in_text(sql: str, standing: Iterable[StandingRelation]) -> Iterator[TakenLock]:
    """Yields the locks that the text of a statement shows, on existing relations; none without the parser."""
    from sqlmigrate.locks import locks_of

    by_name = {name: subject for subject in standing for name in (subject.plain, subject.name)}
    try:
        locks = locks_of(sql)
    except ConfigurationError:
        return
    for lock in locks:
        if subject := by_name.get(lock.relation):
            yield TakenLock(subject, lock.mode)
