"""Runs consecutive statements outside a transaction block side by side: what is recorded before and after them."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlmigrate.errors import SqlMigrateError, StatementFailed
from sqlmigrate.execution import recovery
from sqlmigrate.execution.alone import Alone, message_of, place_of
from sqlmigrate.execution.catalog import several, state_before
from sqlmigrate.execution.diagnosis import failure_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlmigrate.execution.diagnosis import Failure
    from sqlmigrate.execution.prepared import PreparedStep


class Several(Alone):
    """Records that several statements may have been started, before, and which of them are done, afterwards.

    The row of the migration counts only the statements that are done without a gap. It keeps the states before the
    others, so that a rerun asks the catalog about each.
    """

    _done: Mapping[int, str] = MappingProxyType({})  # the states before statements that an earlier run completed
    _beyond: Sequence[str] = ()  # the states before statements that follow the group

    def start(self, step: PreparedStep, numbers: Sequence[int]) -> dict[int, str]:
        """Records that the statements of these segments may have been started.

        Returns the state before each, for those that are not done; the catalog shows that the others are.

        Raises:
            SqlMigrateError: The same as `Alone.is_done`, or the server would read a statement differently.
        """
        self._done = done = self._completed(step, numbers)
        self._beyond = step.other_states
        step.other_states = [*done.values(), *self._beyond]
        left = [number for number in numbers if number not in done]
        if not left:
            return {}
        for number in left:
            self._envelope.check_settings(message_of(step, number), [step])
        texts = (message_of(step, number).text.strip() for number in left)
        literal = self._connection.literal
        expressions = several([*(state_before(text, literal) for text in texts), *map(literal, step.other_states)])
        progress = step.progress_begun._replace(begun=step.script.segments[numbers[-1]].end)
        recorded = self._transact(step, self._envelope.journal(step, progress, 0, expressions))[-2].value or b"[]"
        states = dict(zip(left, json.loads(recorded), strict=False))
        step.other_states += filter(None, states.values())
        return states

    def _completed(self, step: PreparedStep, numbers: Iterable[int]) -> dict[int, str]:
        """Returns the segments whose statements an earlier run started and completed, with the states before them."""
        first, done = step.next, {}
        try:
            for number in numbers:
                step.next = number
                if self.is_done(step):
                    done[number] = step.begun_state
                step.begun = False
        finally:
            step.next = first
        return done

    def end(
        self, step: PreparedStep, states: Mapping[int, str], errors: Mapping[int, SqlMigrateError], elapsed_ms: int
    ) -> Failure | SqlMigrateError | None:
        """Returns the first failure, after recording what is done; the caller records a group without a failure.

        Args:
            step: The step; its next segment becomes that of the failure.
            states: What `start` returned.
            errors: What failed, by the number of the segment.
            elapsed_ms: The duration of the group.
        """
        failed = {**self._kept_indexes(step, states, errors), **errors}
        if not failed:
            step.other_states, step.begun = [*self._beyond], True
            return None
        step.next = first = min(failed)
        left = {number: state for number, state in ({**self._done, **states}).items() if number >= first}
        for number, error in failed.items():
            if isinstance(error, StatementFailed) and error.report.sqlstate in recovery.REFUSALS:
                left[number] = states[number] if recovery.left_index(self._connection, states[number]) else ""
        step.other_states = [*filter(None, left.values()), *self._beyond]
        step.begun, step.begun_state = bool(step.other_states), ""
        progress = step.progress_begun
        self._journal(step, progress if step.begun else progress._replace(begun=progress.done), elapsed_ms)
        return self._failure(step, failed)

    def _kept_indexes(
        self, step: PreparedStep, states: Mapping[int, str], errors: Mapping[int, SqlMigrateError]
    ) -> dict[int, SqlMigrateError]:
        found: dict[int, SqlMigrateError] = {}
        for number in states.keys() - errors.keys():
            try:
                self.check_index(states[number], place_of(step, message_of(step, number)))
            except SqlMigrateError as error:
                found[number] = error
        return found

    def _failure(self, step: PreparedStep, failed: Mapping[int, SqlMigrateError]) -> Failure | SqlMigrateError:
        first, *others = sorted(failed)
        error = failed[first]
        also = [
            f"statement {step.script.segments[number].end} failed too: {failed[number].message}" for number in others
        ]
        error.hint = "\n".join(filter(None, [error.hint, *also]))
        if not isinstance(error, StatementFailed):
            return error
        return failure_of(error, message_of(step), 0, [step])
