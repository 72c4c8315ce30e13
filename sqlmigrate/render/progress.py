"""The events of a run as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click import style

from sqlmigrate import duration, events
from sqlmigrate.render.phrases import count, named

if TYPE_CHECKING:
    from sqlmigrate.model import Holder


def line(event: events.Event) -> str:  # noqa: C901, PLR0912  # one case per event
    """Returns the line for an event."""
    match event:
        case events.Finished(step, took):
            return f"  {style('✓', fg='green')} {named(step)}  {style(duration.shown(took), dim=True)}"
        case events.Running(step):
            return f"  … {named(step)}"
        case events.Began(run_id, pid, steps):
            return style(f"  run {run_id} started: {count(steps, 'step')}, backend pid {pid}", dim=True)
        case events.BackingUp(directory):
            return f"  … backing up to {directory}"
        case events.BackedUp(path, restore, size):
            length = style(f"{size:,} bytes", dim=True)
            return f"  {style('✓', fg='green')} backup  {path}  {length}\n    restore: {restore}"
        case events.WaitingForServer(reason):
            return style(f"  waiting for the server: {reason}", fg="yellow")
        case events.WaitingForLock(holder):
            return style(f"  waiting for the migration lock{_held_by(holder)}", fg="yellow")
        case events.Blocked(application, blockers):
            return "\n".join(style(f"  {application} is blocked by {blocker}", fg="yellow") for blocker in blockers)
        case events.Advancing(application, phase, done, total):
            return f"  … {application}: {phase} {f'{100 * done // total} %' if total else done or ''}".rstrip()
        case events.Retrying(step, reason, blockers, pause):
            blocked_by = "".join(f"; blocked by {blocker}" for blocker in blockers)
            return style(f"  {step.migration.id}: {reason}{blocked_by}; retrying in {pause:.1f} s", fg="yellow")
        case events.Said(step, message):
            return style(f"    {step.migration.id}: {message}", dim=True)
        case events.PassedOver(_, command):
            return style(f"    {command}: skipped", dim=True)
        case events.Notice(severity, message):
            text = f"{severity}: {message}".replace("\n", "\n    ")
            return style(f"    {text}", dim=severity != "WARNING" or None)
        case events.Warned(message):
            return style(f"  warning: {message}", fg="yellow")
    return str(event)


def _held_by(holder: Holder | None) -> str:
    return f", held by {holder}" if holder else ""
