"""Shows the events of a command on a screen. Imported when there is an event to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate import events
from sqlmigrate.cli.pace import Pace
from sqlmigrate.render.progress import ProgressLines, live, notices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.cli.screen import Screen


class Feed:
    """Decides which events are shown, and whether as a line or in the line that is redrawn."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._pace = Pace()
        self._lines = ProgressLines()
        self._notices: list[events.Notice] = []
        self._running: dict[str, events.Event] = {}  # the last event of each step that was sent and has not ended

    def show(self, event: events.Event, levels: Sequence[str]) -> None:
        """Shows an event, if its level is one of `levels`."""
        if isinstance(event, events.Notice):
            self._gather(event, levels)
            return
        if isinstance(event, events.Began):
            self._lines.begin(event.steps)
        self._note(event)
        shows_level = events.level_of(event) in levels
        if self._screen.can_redraw and isinstance(event, events.LIVE):
            if shows_level or "info" in levels:
                running = [self._running[identity] for identity in sorted(self._running)]
                beside = running if len(running) > 1 and event in running else ()
                self._screen.redraw(lambda cells: live(event, cells, beside))
        elif shows_level and not isinstance(event, events.Advancing) and self._pace.is_due(event):
            self._screen.append("\n".join(self._lines.lines(event, self._screen.cells)))

    def _note(self, event: events.Event) -> None:
        """Notes which steps run; of those that were sent in one message, only the first one."""
        match event:
            case events.Running(step):
                self._running[step.migration.id] = event
            case events.Working(step) if step.migration.id in self._running:
                self._running[step.migration.id] = event
            case events.Finished(step) | events.StepFailed(step):
                self._running.pop(step.migration.id, None)

    def _gather(self, notice: events.Notice, levels: Sequence[str]) -> None:
        """Keeps a notice until the last one that came with it: a loop may raise thousands."""
        if events.level_of(notice) in levels:
            self._notices.append(notice)
        if self._notices and not notice.has_next:
            gathered, self._notices = self._notices, []
            self._screen.append(notices(gathered))
