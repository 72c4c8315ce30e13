"""Steps made ready to be run: their scripts read and found runnable, as far as they are not done already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import PlanRefused
from sqlmigrate.files import source
from sqlmigrate.model import Action, Location, Problem, Progress
from sqlmigrate.sql.script import PIECE_SIZE, Cuts, cuts_of, is_unfinished

if TYPE_CHECKING:
    from sqlmigrate.model import Migration, Plan, Step
    from sqlmigrate.sql.script import Script, Segment


class Hook(NamedTuple):
    """A hook that runs in a migration's transaction."""

    script: Script
    source: source.Source


@dataclass(slots=True)
class Work:
    """A step, its script as far as it is to be run, and how it went so far.

    `before` and `after` are the hooks that run in its first and last transaction, `opened` is set when the first has
    run. `durable` means that its commit waits for the disk, `last` that nothing follows it.
    """

    step: Step
    script: Script
    source: source.Source
    cuts: Cuts
    begun: bool = False
    before: Hook | None = None
    after: Hook | None = None
    durable: bool = False
    last: bool = False
    next: int = 0
    opened: bool = False
    tries: int = 0
    started: float = 0.0

    @property
    def segment(self) -> Segment:
        """The segment to be run next."""
        return self.script.segments[self.next]

    @property
    def ordinary(self) -> bool:
        """One segment, from the start, small enough to travel with others, which it must not change the reading of."""
        segments = self.script.segments
        fresh = self.cuts == Cuts() and self.next == 0 and len(segments) == 1 and segments[0].transactional
        return fresh and segments[0].size < PIECE_SIZE and not any(piece.ends_message for piece in segments[0].pieces)

    @property
    def description(self) -> str:
        """What the script says of itself, or its name in words."""
        return self.script.description or self.step.migration.name.replace("_", " ")

    @property
    def progress(self) -> Progress:
        """How far the script is when its next segment is done."""
        end = self.segment.end
        return Progress(self.script.statements, end, end, self.segment.done_checksum)

    @property
    def progress_begun(self) -> Progress:
        """How far it is before that, when the statement that the next segment is may have been begun."""
        first = self.segment.first
        before = self.script.segments[self.next - 1].done_checksum if self.next else self.script.skipped_checksum
        return Progress(self.script.statements, first, first + 1, before)

    @property
    def on_last_segment(self) -> bool:
        """Whether nothing follows the next segment."""
        return self.next >= len(self.script.segments) - 1


def load(plan: Plan, *, pooled: bool) -> list[Work]:
    """The work of a plan.

    Args:
        plan: steps, and what is known to stand in their way.
        pooled: behind a transaction pooler, where statements in several transactions share no session.

    Raises:
        PlanRefused: with every error of the plan and of every script.
    """
    hooks = (plan.hooks.before_each, plan.hooks.after_each, plan.hooks.after_error)
    before, after, on_error = (loaded(hook) if hook else None for hook in hooks)
    work = [_work(step) for step in plan.steps]
    problems = [*plan.errors, *(problem for one in work for problem in _problems(one, pooled=pooled))]
    problems += [problem for hook in (before, after, on_error) if hook for problem in _unfit(hook.script)]
    if problems:
        raise PlanRefused(problems)
    for one in work:
        one.last = one is work[-1]
        # A hook that writes nothing leaves its commit nothing to wait for, nor what was committed before it.
        one.durable = one.step in plan.migrations[-1:] or one.last
        if one.step.action is not Action.HOOK:
            one.before, one.after = before, after
    return work


def found_in(plan: Plan, *, pooled: bool) -> list[Problem]:
    """What the scripts of a plan and its hooks have in them that stands in its way: what `load` would refuse."""
    hooks = [plan.hooks.before_each, plan.hooks.after_each, plan.hooks.after_error]
    found = [problem for step in plan.steps for problem in _problems(_work(step), pooled=pooled)]
    return found + [problem for hook in hooks if hook for problem in _unfit(source.read(hook.up))]


def loaded(hook: Migration) -> Hook:
    """A hook, ready to be sent as it was found."""
    return Hook(source.read(hook.up), source.Source(hook.up, hook.stamp))


def _unfit(hook: Script) -> list[Problem]:
    """What can't travel in the transaction of a migration."""
    pieces = [piece for segment in hook.segments for piece in segment.pieces]
    plain = all(segment.transactional and not segment.begin for segment in hook.segments)
    if plain and len(hook.segments) < 2 and not any(piece.rows or piece.ends_message for piece in pieces):
        return list(hook.problems)
    what = "a hook that runs in a transaction of ours must be fit for it"
    return [Problem("hook", what, Location(hook.path), "no CONCURRENTLY, VACUUM, COPY data, BEGIN or COMMIT here")]


def _work(step: Step) -> Work:
    cuts = cuts_of(step)
    begun = is_unfinished(step) and step.row is not None and step.row.statements_begun > step.row.statements_done
    return Work(step, *source.open_script(step.path, cuts), cuts, begun)


def _problems(work: Work, *, pooled: bool) -> list[Problem]:
    step, script = work.step, work.script
    found = list(script.problems)
    if step.action is not Action.ROLL_BACK and work.source.stamp != step.migration.stamp:
        found.append(Problem("changed", "the file was changed in this moment", Location(step.path), "run again"))
    if pooled and len(script.segments) > 1 and script.sets_session:
        found.append(_needs_session(step))
    if step.row is not None and work.cuts.skip and script.skipped_checksum != step.row.done_checksum:
        found.append(_prefix_changed(step, work.cuts.skip) if step.row.done_checksum else _taken_for_failed(step))
    return found


def _needs_session(step: Step) -> Problem:
    return Problem(
        "pooler",
        "the file sets the session for what can't be in one transaction, and a transaction pooler keeps no session",
        Location(step.path),
        "connect to PostgreSQL directly, or qualify the names instead of setting the search_path",
    )


def _taken_for_failed(step: Step) -> Problem:
    """A run keeps the checksum of what it has done so far, and none of what it has done to the end."""
    row = f"version = '{step.migration.id}'"
    return Problem(
        "taken-for-failed",
        f"{step.migration.id} was run to its end, and somebody has set its row to success = false",
        Location(step.path),
        f"it stays applied: UPDATE … SET success = true WHERE {row}; it is to run again: DELETE … WHERE {row}",
    )


def _prefix_changed(step: Step, done: int) -> Problem:
    return Problem(
        "done-part-changed",
        f"{step.migration.id} is done up to its statement {done}, and this part of the file was changed since",
        Location(step.path),
        "put that part back as it was, and mend only what follows it",
    )
