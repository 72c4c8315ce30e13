"""What a person reads while it happens: a line an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click import style

from sqlmigrate import duration, events
from sqlmigrate.render.phrases import count, named

if TYPE_CHECKING:
    from sqlmigrate.model import Holder


def line(one: events.Event) -> str:  # noqa: C901, PLR0912  # a case an event
    """A line of progress."""
    match one:
        case events.Finished(step, took):
            return f"  {style('✓', fg='green')} {named(step)}  {style(duration.shown(took), dim=True)}"
        case events.Running(step):
            return f"  … {named(step)}"
        case events.Began(run_id, pid, steps):
            return style(f"  run {run_id}: {count(steps, 'step')}, backend {pid}", dim=True)
        case events.BackingUp(directory):
            return f"  … backing up to {directory}"
        case events.BackedUp(path, restore, size):
            bytes_long = style(f"{size:,} bytes", dim=True)
            return f"  {style('✓', fg='green')} backup  {path}  {bytes_long}\n    restore: {restore}"
        case events.WaitingForLock(other):
            return style(f"  waiting for the migration lock{_held(other)}", fg="yellow")
        case events.Blocked(application, blockers):
            return "\n".join(style(f"  {application} waits for {blocker}", fg="yellow") for blocker in blockers)
        case events.Advancing(application, what, done, total):
            return f"  … {application}: {what} {f'{100 * done // total} %' if total else done or ''}".rstrip()
        case events.Retrying(step, reason, blockers, pause):
            who = "".join(f"; blocked by {blocker}" for blocker in blockers)
            return style(f"  {step.migration.id}: {reason}{who}; again in {pause:.1f} s", fg="yellow")
        case events.Said(step, message):
            return style(f"    {step.migration.id}: {message}", dim=True)
        case events.PassedOver(_, command):
            return style(f"    {command}: passed over", dim=True)
        case events.Notice(severity, message):
            return style(f"    {severity}: {message}", dim=severity != "WARNING" or None)
        case events.Warned(message):
            return style(f"  warning: {message}", fg="yellow")
    return str(one)


def _held(other: Holder | None) -> str:
    return f", held by {other}" if other else ""
