"""Steps that are ready to run: their scripts are read and checked, from the point that an earlier run reached."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ScriptError
from sqlmigrate.execution import resumption
from sqlmigrate.files import source
from sqlmigrate.model import Action, Location, Plan, Problem, Progress
from sqlmigrate.sql.segments import PIECE_SIZE, Cuts, cuts_of, is_unfinished

if TYPE_CHECKING:
    from sqlmigrate.model import Migration, Step
    from sqlmigrate.sql.psql import ClientState
    from sqlmigrate.sql.segments import Script, Segment


class PreparedHook(NamedTuple):
    """A hook that runs in the transaction of a migration."""

    script: Script
    source: source.Source


@dataclass(slots=True)
class PreparedStep:
    """A step with its script, and the state of its execution.

    The script was read with `cuts`, for a session that starts as `client`. `before` and `after` are the hooks of its
    first and last transaction; `opened` is true after the first transaction has committed. `durable` means that the
    last commit waits for the disk, `first` and `last` that no other step of the run precedes or follows. `earlier_row`
    is a migration whose row the script must not delete, or empty. `next` is the index of the segment to run next, and
    `begun` is true if this is a statement outside a transaction block that may have been started, and `begun_state`
    what existed before it; `other_states` are those of the other statements that an earlier run started side by side.
    `keeps_session` is true if the step cannot change the session, `is_joined` if it shares a transaction with another
    step, `has_row` if the history table has a row for the migration. `tries` counts the retries, and `started` is the
    monotonic time of the first message, or 0.
    """

    step: Step
    script: Script
    source: source.Source
    cuts: Cuts
    client: ClientState
    begun: bool = False
    begun_state: str = ""
    other_states: list[str] = field(default_factory=list)
    has_row: bool = False
    before: PreparedHook | None = None
    after: PreparedHook | None = None
    durable: bool = False
    first: bool = False
    last: bool = False
    earlier_row: str = ""
    next: int = 0
    opened: bool = False
    keeps_session: bool = False
    is_joined: bool = False
    tries: int = 0
    started: float = 0.0

    @property
    def segment(self) -> Segment:
        """The segment to run next."""
        return self.script.segments[self.next]

    @property
    def ordinary(self) -> bool:
        """Whether the step can be sent together with others: one small segment that has not been started."""
        segments = self.script.segments
        is_fresh = self.cuts == Cuts() and self.next == 0 and len(segments) == 1 and segments[0].transactional
        if not is_fresh or segments[0].size >= PIECE_SIZE:
            return False
        return not any(piece.ends_message for piece in segments[0].pieces)

    @property
    def is_plain(self) -> bool:
        """Whether no statement of the step and its hooks can change the session, unless an event trigger runs code."""
        return self.ordinary and self.script.is_plain and self.before is None and self.after is None

    @property
    def is_brief_rollback(self) -> bool:
        """Whether the step only drops objects, in a short time, and its file sets no limits for itself."""
        return self.step.action is Action.ROLL_BACK and self.script.only_drops and not self.script.directives

    @property
    def description(self) -> str:
        """The description in the script, or the name of the migration in words."""
        return self.script.description or self.step.migration.name.replace("_", " ")

    @property
    def progress(self) -> Progress:
        """The progress to record when the next segment is done."""
        end = self.segment.end
        begun = end + bool(self.other_states)
        return Progress(self.script.statements, end, begun, self.segment.done_checksum)

    @property
    def progress_begun(self) -> Progress:
        """The progress to record before the next segment, a statement outside a transaction block, is started."""
        first = self.segment.first
        done = self.script.segments[self.next - 1].done_checksum if self.next else self.script.skipped_checksum
        return Progress(self.script.statements, first, first + 1, done)

    @property
    def on_last_segment(self) -> bool:
        """Whether no segment follows the next one."""
        return self.next >= len(self.script.segments) - 1


class Prepared(NamedTuple):
    """A plan, with the problems of its scripts added, and its steps ready to run."""

    plan: Plan
    steps: list[PreparedStep]


def prepare(plan: Plan, client: ClientState, *, pooled: bool) -> Prepared:
    """Reads and checks the scripts of a plan. The caller checks the resulting plan for errors.

    Args:
        plan: The plan; its scripts are read even if it has errors.
        client: The start of the session that will run it.
        pooled: Whether a transaction pooler is in use, so that consecutive transactions share no session.

    Raises:
        ScriptError: A file cannot be opened.
    """
    hooks = (plan.hooks.before_each, plan.hooks.after_each, plan.hooks.after_error)
    before, after, on_error = (prepare_hook(hook, client) if hook else None for hook in hooks)
    steps = [_prepared(step, client) for step in plan.steps]
    problems = [problem for step in steps for problem in _problems(step, pooled=pooled)]
    problems += [problem for hook in (before, after, on_error) if hook for problem in _unsuitable(hook.script)]
    final = plan.migrations[-1:]
    for step in steps:
        step.first, step.last = step is steps[0], step is steps[-1]
        # A trailing hook that writes nothing does not wait for the disk, so the last migration has to.
        step.durable = step.step in final or step.last
        if step.step.action is not Action.HOOK:
            step.before, step.after = before, after
    return Prepared(plan._replace(problems=(*plan.problems, *problems)) if problems else plan, steps)


def prepare_hook(hook: Migration, client: ClientState) -> PreparedHook:
    """Reads a hook.

    Raises:
        ScriptError: The file was changed after its checksum was computed.
    """
    script, opened = source.open_script(hook.up, client=client)
    if opened.checksum != hook.checksum and not script.errors:
        raise source.changed(hook.up)
    return PreparedHook(script, opened)


def with_cuts(step: PreparedStep, cuts: Cuts) -> None:
    """Reads the script of a step again, with other segments.

    Raises:
        ScriptError: The file was changed.
    """
    script, opened = source.open_script(step.step.path, cuts, step.client)
    if opened.checksum != step.source.checksum:
        raise source.changed(step.step.path)
    step.script, step.source, step.cuts, step.next = script, opened, cuts, 0


def observe_strings(step: PreparedStep, place: Location, *, escapes: bool) -> bool:
    """Reads the script again from a statement on, as the server will; returns whether this is the first time.

    Raises:
        ScriptError: The file was changed, or cannot be run when it is read so.
    """
    line, column = place.line or 1, place.column or 1
    if any(observed[:2] == (line, column) for observed in step.client.observed):
        return False
    step.client = step.client._replace(observed=(*step.client.observed, (line, column, escapes)))
    with_cuts(step, Cuts(step.segment.first, step.cuts.alone, step.cuts.before))
    for problem in step.script.errors:
        raise ScriptError(problem.message, problem.location, problem.hint)
    return True


def _unsuitable(hook: Script) -> list[Problem]:
    """Returns the problems that prevent a hook from running in the transaction of a migration."""
    pieces = [piece for segment in hook.segments for piece in segment.pieces]
    is_plain = all(segment.transactional and not segment.begin for segment in hook.segments)
    is_plain = is_plain and len({piece.escapes for piece in pieces}) < 2
    if is_plain and len(hook.segments) < 2 and not any(piece.rows for piece in pieces):
        return list(hook.problems)
    message = "the hook contains a statement that cannot run in the transaction of a migration"
    return [Problem("hook", message, Location(hook.path), "remove CONCURRENTLY, VACUUM, COPY data, BEGIN and COMMIT")]


def _prepared(step: Step, client: ClientState) -> PreparedStep:
    cuts = cuts_of(step)
    begun = is_unfinished(step) and step.row is not None and step.row.statements_begun > step.row.statements_done
    state = step.row.begun_state if begun and step.row is not None else ""
    client = resumption.client_of(step, client)
    others: list[str] = []
    if state.startswith("["):  # of several statements, which were started side by side
        begun, state, others = False, "", [*filter(None, json.loads(state))]
    opened = source.open_script(step.path, cuts, client)
    return PreparedStep(step, *opened, cuts, client, begun, state, others, step.row is not None)


def _problems(prepared: PreparedStep, *, pooled: bool) -> list[Problem]:
    step, script = prepared.step, prepared.script
    problems = list(script.problems)
    if (
        step.action is not Action.ROLL_BACK
        and not script.errors
        and prepared.source.checksum != step.migration.checksum
    ):
        message = "the file was changed while it was being read"
        problems.append(Problem("changed", message, Location(step.path), "run the command again"))
    if pooled and len(script.segments) > 1 and script.sets_session:
        problems.append(_needs_session(step))
    if step.row is not None and prepared.cuts.skip and script.skipped_checksum != step.row.done_checksum:
        is_partial = bool(step.row.done_checksum)
        problems.append(_prefix_changed(step, prepared.cuts.skip) if is_partial else _marked_as_failed(step))
    if prepared.cuts.skip:
        problems += resumption.problems(step, source.OpenedScript(script, prepared.source))
    return problems


def _needs_session(step: Step) -> Problem:
    return Problem(
        "pooler",
        "the script changes session settings and needs several transactions; a transaction pooler keeps no session",
        Location(step.path),
        "connect to PostgreSQL directly, or write schema-qualified names instead of setting search_path",
    )


def _marked_as_failed(step: Step) -> Problem:
    """Only the row of a script that is partly done has a checksum of the statements that are done."""
    condition = f"version = '{step.migration.id}'"
    return Problem(
        "taken-for-failed",
        f"{step.migration.id} was applied completely, but its row was changed to success = false",
        Location(step.path),
        f"to keep it applied: UPDATE … SET success = true WHERE {condition};"
        f" to run it again: DELETE … WHERE {condition}",
    )


def _prefix_changed(step: Step, done: int) -> Problem:
    return Problem(
        "done-part-changed",
        f"the committed part of {step.migration.id}, up to statement {done}, was changed afterwards",
        Location(step.path),
        "restore that part of the file, and change only the statements after it",
    )
