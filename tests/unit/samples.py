"""Sample migrations, rows and steps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlmigrate.model import Action, Applied, Migration, Step, Version

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def version(number: int) -> Version:
    return Version(1, 0, 0, number)


def migration(number: int | str, *, down: bool = True, checksum: str = "same") -> Migration:
    """Returns migration v1.0.0-number, or the repeatable migration of that name."""
    if isinstance(number, str):
        return Migration(f"R__{number}", None, number, f"m/R__{number}.sql", checksum)
    path = f"m/V1.0.0-{number:03d}__step"
    return Migration(
        str(version(number)), version(number), "step", f"{path}.up.sql", checksum, f"{path}.down.sql" if down else None
    )


def row(number: int | str, **changes: Any) -> Applied:
    """Returns the row of a migration in the history table after a successful run."""
    identity = f"R__{number}" if isinstance(number, str) else str(version(number))
    done = Applied(
        identity,
        "step",
        "A step",
        "same",
        WHEN,
        1234,
        "dba",
        success=True,
        error_msg="",
        action="apply",
        statements=2,
        statements_done=2,
        statements_begun=2,
        done_checksum="",
    )
    return done._replace(**changes)


def failed(number: int | str, **changes: Any) -> Applied:
    return row(number, success=False, statements_done=0, statements_begun=0, **changes)


def partial(number: int | str, action: Action = Action.APPLY) -> Applied:
    return row(number, success=False, statements_done=1, statements_begun=2, action=action.value)


def step(number: int | str, action: Action = Action.APPLY) -> Step:
    return Step(migration(number), action)


def numbers(steps: tuple[Step, ...]) -> list[int | str]:
    """Returns the numbers or names from which the steps' migrations were made."""
    return [step.migration.version.sequence if step.migration.version else step.migration.name for step in steps]
