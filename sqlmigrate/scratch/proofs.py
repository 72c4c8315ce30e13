"""The use cases of `Migrator` that need a throw-away database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.files import source

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.scratch.roundtrip import RoundTrip
    from sqlmigrate.target import Target

_NEWEST = 99


class Proofs:
    """What a run on a throw-away server proves."""

    _settings: Settings
    _on_event: Callable[[Event], None]
    _target: Target

    def round_trip(self, postgres: int = _NEWEST) -> RoundTrip:
        """Applies each migration on an embedded server, rolls it back and applies it again; needs no database.

        Args:
            postgres: The major version of PostgreSQL, or the newest that is installed.

        Raises:
            ConfigurationError: The embedded server is not installed.
            PlanRefused, MigrationFailed: A file has errors, or an up file fails.
        """
        from sqlmigrate.execution.runner import checked
        from sqlmigrate.model import Plan
        from sqlmigrate.scratch.roundtrip import round_trip

        files = source.find(self._settings.dir)
        checked(Plan((), tuple(files.problems)))
        return round_trip(self._settings, files, postgres)
