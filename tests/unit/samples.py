"""Migrations, rows and steps to test with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlmigrate.model import Action, Applied, Migration, Step, Version

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def version(number: int) -> Version:
    return Version(1, 0, 0, number)


def migration(number: int | str, *, down: bool = True, checksum: str = "same") -> Migration:
    """v1.0.0-number, or a repeatable one of that name."""
    if isinstance(number, str):
        return Migration(f"R__{number}", None, number, f"m/R__{number}.sql", checksum)
    one = version(number)
    path = f"m/V1.0.0-{number:03d}__step"
    return Migration(str(one), one, "step", f"{path}.up.sql", checksum, f"{path}.down.sql" if down else None)


def row(number: int | str, **changes: Any) -> Applied:
    """Its row in the history, as it is after a run that went well."""
    identity = f"R__{number}" if isinstance(number, str) else str(version(number))
    done = Applied(identity, "step", "A step", "same", WHEN, 1234, "dba", True, "", "apply", 2, 2, 2, "")  # noqa: FBT003
    return replace(done, **changes)


def failed(number: int | str, **changes: Any) -> Applied:
    return row(number, success=False, statements_done=0, statements_begun=0, **changes)


def partial(number: int, action: Action = Action.APPLY) -> Applied:
    return row(number, success=False, statements_done=1, statements_begun=2, action=action.value)


def step(number: int | str, action: Action = Action.APPLY) -> Step:
    return Step(migration(number), action)


def numbers(steps: tuple[Step, ...]) -> list[int | str]:
    """The steps' migrations as they are named here."""
    return [one.migration.version.sequence if one.migration.version else one.migration.name for one in steps]
