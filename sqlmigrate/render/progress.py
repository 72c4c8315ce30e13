"""The events of a run as lines of text."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from click import style

from sqlmigrate import events
from sqlmigrate.config import duration
from sqlmigrate.model import Action
from sqlmigrate.render.cells import cut, width
from sqlmigrate.render.escape import printable
from sqlmigrate.render.phrases import count, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlmigrate.model import Holder, Step

_SLOW = 1000  # milliseconds
_LONG_RUN = 10  # steps, above which a run has headings
_SHORTEST_NAME = 8  # cells; a shorter rest of a name says nothing
_STATE = 24  # cells for what holds a step up, before its name


class ProgressLines:
    """Renders the events of one command. A long run of several versions has a heading for each version."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._group = ""

    def lines(self, event: events.Event, cells: int = 0) -> list[str]:
        """Returns the lines for an event; they fit into `cells`, if it is given, by shortening the migration's name."""
        return [*self._heading(getattr(event, "step", None)), printable(line(event, cells))]

    def begin(self, steps: tuple[Step, ...]) -> None:
        """Decides about the headings of a run."""
        sizes = Counter(filter(None, map(_group_of, steps)))
        self._sizes = dict(sizes) if len(steps) > _LONG_RUN and len(sizes) > 1 else {}

    def _heading(self, step: Step | None) -> list[str]:
        group = _group_of(step) if step else ""
        if group not in self._sizes or group == self._group:
            return []
        self._group = group
        return [f"{style(group, bold=True)}  {count(range(self._sizes[group]), 'migration')}"]


def _group_of(step: Step) -> str:
    """Returns the version without its sequence number; a hook belongs to the group before it."""
    if step.action is Action.HOOK:
        return ""
    version = step.migration.version
    return f"v{version.major}.{version.minor}.{version.patch}" if version else "repeatable"


def live(event: events.Event, cells: int, beside: Sequence[events.Event] = ()) -> str:
    """Returns the line for an event that has not ended, which fits into `cells`, without a line feed.

    `beside` are the last events of all steps that run at the same time, if there are several.
    """
    if beside:
        return cut(printable(f"  … {'; '.join(map(_short, beside))}"), cells)
    return cut(printable(line(event, cells).replace("\n", " ")), cells)


def _short(event: events.Event) -> str:
    """Returns the step, its time and how far it is; of a blocker only the PID, as lines name each."""
    match event:
        case events.Working(step):
            pids = ", ".join(blocker.prepared or f"pid {blocker.pid}" for blocker in event.blockers)
            state = style(f", blocked by {pids}", fg="yellow") if pids else _state(event)
            return f"{step.migration.id}  {duration.whole(event.seconds)}{state}"
        case events.Running(step):
            return step.migration.id
    return ""


def line(event: events.Event, cells: int = 0) -> str:  # noqa: C901, PLR0912  # one case per event
    """Returns the line for an event; with `cells`, the names of migrations are shortened so that it fits."""
    match event:
        case events.Finished(step, took):
            done = "  rolled back" if step.action is Action.ROLL_BACK else ""  # `redo` does both
            return _with_name(f"  {style('✓', fg='green')} ", step, f"{done}  {_took(took)}", "", cells)
        case events.Ran(step, number, statement, took):
            return style(f"    {step.migration.id}:{number}  {statement}  {duration.shown(took)}", dim=True)
        case events.Running(step):
            return _with_name("  … ", step, "", "", cells)
        case events.Working(step):
            return _with_name("  … ", step, f"  {duration.whole(event.seconds)}", _state(event), cells)
        case events.Began(run_id, pid, steps):
            return style(f"  run {run_id} started: {count(steps, 'step')}, backend pid {pid}", dim=True)
        case events.BackingUp(directory, seconds):
            return f"  … backing up to {directory}{_elapsed(seconds)}"
        case events.BackedUp(path, restore, size):
            return f"{_backed_up(path, size)}\n    restore: {restore}"
        case events.WaitingForServer(reason, seconds):
            return style(f"  waiting for the server{_elapsed(seconds)}: {reason}", fg="yellow")
        case events.WaitingForLock(holder, seconds):
            return style(f"  waiting for the migration lock{_elapsed(seconds)}{_held_by(holder)}", fg="yellow")
        case events.Blocked(application, blockers):
            return "\n".join(style(f"  {application} is blocked by {blocker}", fg="yellow") for blocker in blockers)
        case events.Advancing(application):
            return f"  … {application}: {event}"
        case events.Retrying():
            return style(_retrying(event), fg="yellow")
        case events.StepFailed(step, message):
            return style(f"  {step.migration.id} failed: {message}; waiting for what runs beside it", fg="yellow")
        case events.Said(step, message):
            return style(f"    {step.migration.id}: {message}", dim=True)
        case events.PassedOver(_, command):
            return style(f"    {command}: skipped", dim=True)
        case events.Notice():
            return notices([event])
        case events.Warned(message):
            return style(f"  warning: {message}", fg="yellow")
    return str(event)


def _backed_up(path: str, size: int) -> str:
    return f"  {style('✓', fg='green')} backup  {path}  {style(f'{size:,} bytes', dim=True)}"


def _retrying(event: events.Retrying) -> str:
    blocked_by = "".join(f"; blocked by {blocker}" for blocker in event.blockers)
    return f"  {event.step.migration.id}: {event.reason}{blocked_by}; retrying in {event.pause:.1f} s"


def notices(gathered: Sequence[events.Notice]) -> str:
    """Returns the lines for notices that came together."""
    blocks = groupby(gathered, lambda event: event.severity == "WARNING")
    return "\n".join(_block(group, is_dim=not is_warning) for is_warning, group in blocks)


def _block(group: Iterable[events.Notice], *, is_dim: bool) -> str:
    lines = "\n".join([f"{event.severity}: {event.message}" for event in group])
    text = printable("    " + lines.replace("\n", "\n    "))
    return style(text, dim=True) if is_dim else text


def _with_name(head: str, step: Step, tail: str, state: str, cells: int) -> str:
    """Returns the line of a step; if it does not fit, its name is shortened, or left out."""
    name = printable(named(step))
    identity = printable(step.migration.id)
    left = cells - width(head) - width(tail) - min(width(state), _STATE)
    if cells and width(name) > left:
        is_long_enough = left >= width(identity) + 2 + _SHORTEST_NAME or not step.migration.version
        name = cut(name, left) if is_long_enough and left > 0 else identity
    return f"{head}{name}{tail}{state}"


def _took(milliseconds: int) -> str:
    text = duration.shown(milliseconds)
    return style(f"{text}  slow", fg="yellow") if milliseconds >= _SLOW else style(text, dim=True)


def _state(event: events.Working) -> str:
    """Returns the statement, and what holds it up or how far it is."""
    parts = [""]
    if event.statement and event.statements > 1:
        parts.append(f"statement {event.statement} of {event.statements}")
    if event.blockers:
        parts.append(style(f"blocked by {'; '.join(map(str, event.blockers))}", fg="yellow"))
    elif event.progress:
        parts.append(str(event.progress))
    return ", ".join(parts)


def _elapsed(seconds: int) -> str:
    return f" for {duration.whole(seconds)}" if seconds else ""


def _held_by(holder: Holder | None) -> str:
    return f", held by {holder}" if holder else ""
