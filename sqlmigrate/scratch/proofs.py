"""The use cases of `Migrator` that need a throw-away database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.files import source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.scratch.drift import Drift
    from sqlmigrate.scratch.roundtrip import RoundTrip
    from sqlmigrate.target import Target

_NEWEST = 99
_EXPLAINED = "`sqlmigrate drift` shows the definitions: change the database or the files, or set drift_ignore"


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

    def drift(self, ignored: Sequence[str] = ()) -> Drift:
        """Compares the database with what the applied migrations make on an embedded server. Changes nothing.

        Args:
            ignored: Shell patterns for differences to ignore, besides those of the settings: `index public.tmp_*`.

        Raises:
            ConfigurationError: The embedded server is not installed.
            PlanRefused, MigrationFailed: The files fail on the embedded server.
        """
        from sqlmigrate.scratch.drift import drift

        patterns = (*self._settings.drift_ignore, *ignored)
        return drift(self._target, self._settings, source.find(self._settings.dir), patterns)

    def require_no_drift(self) -> None:
        """Checks, before a run, that nobody has changed the schema besides the migrations.

        Raises:
            PlanRefused: The database differs from what the applied migrations make.
        """
        from sqlmigrate.errors import PlanRefused
        from sqlmigrate.model import Problem

        if found := self.drift().differences:
            raise PlanRefused([Problem("drift", f"{each.change.value}: {each.key}") for each in found], _EXPLAINED)
