"""Finds out which steps, and which statements of one step, may run side by side."""

from __future__ import annotations

from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

from sqlmigrate.model import Action, Wave
from sqlmigrate.planning.relations import event_trigger, relations
from sqlmigrate.planning.waves import Stretch, footprint, groups
from sqlmigrate.planning.work import Work, work_of
from sqlmigrate.sql.scanner import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlmigrate.execution.prepared import PreparedStep
    from sqlmigrate.history.tables import Tables
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.sql.segments import Segment

# The catalog is read before each wave, for at most so many steps.
_LONGEST_WAVE = 64
_DIVIDED = "its own statements run side by side"


class Division:
    """Divides the steps of a run into waves, with the catalog that a connection sees.

    Any statement may change what the names of the statements after it mean, so the catalog is read before each wave.
    """

    def __init__(self, connection: Connection, tables: Tables, steps: Sequence[PreparedStep]) -> None:
        self._connection = connection
        self._tables = tables
        trigger = event_trigger(connection)
        self._barrier = f"the event trigger {trigger} runs code with its statements" if trigger else ""
        is_divided = [not trigger and _is_divided(step) for step in steps]
        self._is_divided = any(is_divided)
        self._works = [self._work(step, is_divided=divided) for step, divided in zip(steps, is_divided, strict=True)]
        starts = [not first.barrier and not second.barrier for first, second in pairwise(self._works)]
        self._next_start = [len(steps)] * (len(steps) + 1)  # the next step that could share a wave with its successor
        for position in reversed(range(len(starts))):
            self._next_start[position] = position if starts[position] else self._next_start[position + 1]

    @property
    def is_serial(self) -> bool:
        """Whether nothing can run side by side."""
        return self._next_start[0] == len(self._works) and not self._is_divided

    def next(self, position: int) -> tuple[int, bool]:
        """Returns how many steps come next, and whether they run side by side."""
        start = self._next_start[position]
        if start > position:
            return start - position, False
        count = self._count(self._works[position : position + _LONGEST_WAVE])
        return count, count > 1

    def segments(self, step: PreparedStep) -> range:
        """Returns the next segments of a step; if there are several of them, their statements run side by side."""
        rest = step.script.segments[step.next : step.next + _LONGEST_WAVE]
        alone = () if self._barrier else takewhile(lambda segment: not segment.transactional, rest)
        return range(step.next, step.next + self._count(_work_of_segment(step, segment) for segment in alone))

    def _count(self, works: Iterable[Work]) -> int:
        """Returns how many of the works, from the first one on, run side by side.

        The catalog is not read if the names show that only one does.
        """
        members: list[Work] = []
        for work in works:
            if work.barrier or any(not work.relations.isdisjoint(member.relations) for member in members):
                break
            members.append(work)
        return self._grouped(members, [""] * len(members), is_preview=False)[0].end if len(members) > 1 else 1

    def waves(self, steps: Sequence[PreparedStep]) -> Iterator[Wave]:
        """Yields the waves as far as the catalog shows them now."""
        position = 0
        while position < len(steps):
            for group in self._groups(steps, position):
                members = steps[position + group.start : position + group.end]
                inside = tuple(self._inside(members[0])) if len(members) == 1 else ()
                yield Wave(tuple(step.step for step in members), "" if inside else group.reason, inside)
            position += group.end

    def _groups(self, steps: Sequence[PreparedStep], position: int) -> list[Stretch]:
        """Divides the steps from a position on, up to the next barrier, or that barrier alone."""
        members = steps[position : position + _LONGEST_WAVE]
        works = [*takewhile(lambda work: not work.barrier, self._works[position : position + len(members)])]
        works = works or self._works[position : position + 1]
        return self._grouped(works, [step.step.migration.id for step in members], is_preview=True)

    def _grouped(self, works: Sequence[Work], names: Sequence[str], *, is_preview: bool) -> list[Stretch]:
        found = relations(self._connection, (name for work in works for name in work.relations), self._tables)
        return groups([footprint(work, found, is_preview=is_preview) for work in works], names)

    def _inside(self, step: PreparedStep) -> Iterator[tuple[int, int]]:
        """Yields the first and the last statement of each group of statements that run side by side."""
        run: list[Segment] = []
        for segment in (*step.script.segments, None):
            if segment is not None and not segment.transactional and not self._barrier:
                run.append(segment)
                continue
            works = [_work_of_segment(step, member) for member in run]
            for group in self._grouped(works, [""] * len(run), is_preview=True):
                if group.end - group.start > 1:
                    yield run[group.start].first + 1, run[group.end - 1].end
            run = []

    def _work(self, step: PreparedStep, *, is_divided: bool) -> Work:
        if barrier := self._barrier or _barrier(step):
            return Work(barrier=barrier)
        work = work_of(text for segment in step.script.segments for text in _texts(step, segment))
        return Work(barrier=_DIVIDED) if is_divided and not work.barrier else work


def _barrier(step: PreparedStep) -> str:
    if step.step.action is not Action.APPLY:
        return "a hook may depend on any migration"
    if step.before or step.after:
        return "a hook runs with each migration"
    pieces = [piece for segment in step.script.segments for piece in segment.pieces]
    return (
        "its strings or its COPY data cannot be analysed"
        if any(piece.escapes or piece.rows for piece in pieces)
        else ""
    )


def _is_divided(step: PreparedStep) -> bool:
    """Whether a step has consecutive statements outside a transaction block that name different relations."""
    works = (Work(barrier="-") if each.transactional else _work_of_segment(step, each) for each in step.script.segments)
    return any(
        not first.barrier and not second.barrier and first.relations.isdisjoint(second.relations)
        for first, second in pairwise(works)
    )


def _work_of_segment(step: PreparedStep, segment: Segment) -> Work:
    return work_of(_texts(step, segment))


def _texts(step: PreparedStep, segment: Segment) -> Iterator[str]:
    for piece in segment.pieces:
        for item in statements(step.source.text(piece), piece.line, piece.column, escapes=piece.escapes):
            yield item.text
