"""Reports the notices of the server, each with the step that caused it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.events import Event
    from sqlmigrate.execution.prepared import PreparedStep


class Notices:
    """Reports notices at once, but those of a step that shares its transaction when the step is committed.

    Until then the steps before it cannot be reported, and it may run again.
    """

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._held: dict[str, list[tuple[str, str]]] = {}
        self._joined = ""

    def follow(self, steps: Sequence[PreparedStep], number: int) -> None:
        """Takes the steps that were sent, and the number of those that have run."""
        running = steps[number] if number < len(steps) else None
        self._joined = running.step.migration.id if running is not None and running.is_joined else ""

    def take(self, notices: Sequence[tuple[str, str]]) -> None:
        """Reports notices of the server, or holds them."""
        if self._joined:
            self._held.setdefault(self._joined, []).extend(notices)
        else:
            self._report(notices)

    def report_held(self, migration: str) -> None:
        """Reports the notices of a migration that is committed."""
        self._report(self._held.pop(migration, ()))

    def end(self, *, is_undone: bool) -> None:
        """Reports the notices of the steps that were not committed, or drops them if their transaction is undone."""
        held, self._held, self._joined = self._held, {}, ""
        if not is_undone:
            self._report([notice for notices in held.values() for notice in notices])

    def _report(self, notices: Sequence[tuple[str, str]]) -> None:
        on_event, last = self._on_event, len(notices)
        for number, (severity, message) in enumerate(notices, 1):
            on_event(Notice(severity, message, number < last))
