"""The work of the client grows as the number of migrations does: counted as the calls of Python functions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from sqlmigrate import Migrator
from sqlmigrate.authoring import generator, renumber
from sqlmigrate.authoring.renumber import RenumberRequest
from sqlmigrate.files import listing
from sqlmigrate.lint import linter
from sqlmigrate.model import Action, Applied, PlanRequest
from tests.project import Project
from tests.unit.samples import row

# Each call of a migrator, in an order in which all of them have work to do.
CALLS: dict[str, Callable[[Migrator], object]] = {
    "plan": lambda migrator: migrator.plan(),
    "migrate": lambda migrator: migrator.migrate(),
    "migrate without pending migrations": lambda migrator: migrator.migrate(),
    "status": lambda migrator: migrator.status(),
    "check": lambda migrator: migrator.check(),
    "info": lambda migrator: migrator.info(),
    "history": lambda migrator: migrator.history(),
    "review": lambda migrator: migrator.review(PlanRequest(Action.APPLY)),
    "validate": lambda migrator: migrator.validate(),
    "plan_rollback": lambda migrator: migrator.plan_rollback(steps=1_000_000),
    "rollback": lambda migrator: migrator.rollback(steps=1_000_000),
}
COUNTS = (1, 80, 160, 320)  # the first calls import modules


# Twice the work has the factor 2, a quadratic term 4; the file system gives the files in another order each time.
_LINEAR = 3


def _counted(call: Callable[[], object]) -> int:
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


def test_twice_the_migrations_take_at_most_twice_the_work(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linter, "_MANY", 1_000_000)  # nothing is counted in its other processes
    work: dict[str, list[int]] = {name: [] for name in CALLS}
    for total in COUNTS:
        for number in range(1, total + 1):
            project.add(number, f"create table t{number} (a int);", f"drop table t{number};")
        for name, call in CALLS.items():
            work[name].append(_counted(lambda call=call: call(project.migrator())))  # type: ignore[misc]
    assert _more_than_twice(work) == {}


def _more_than_twice(work: Mapping[str, Iterable[int]]) -> dict[str, float]:
    growth = {name: (large - medium) / (medium - small) for name, (_, small, medium, large) in work.items()}
    return {name: factor for name, factor in growth.items() if factor > _LINEAR}


def _renumber(directory: Path, rows: list[Applied]) -> None:
    renumbering = renumber.plan([str(directory)], rows, RenumberRequest())
    assert len(renumbering.moves) == len(rows)
    renumber.do(renumbering.moves)


# Each call without a database, in a directory where two migrations have each version, and the first is applied.
OFFLINE: dict[str, Callable[[Path, list[Applied]], object]] = {
    "unread": lambda directory, _: listing.unread([str(directory)]),
    "generate": lambda directory, _: generator.plan([str(directory)], generator.MigrationRequest("more")),
    "renumber": _renumber,
}


def test_twice_the_files_take_at_most_twice_the_work(tmp_path: Path) -> None:
    work: dict[str, list[int]] = {name: [] for name in OFFLINE}
    for total in COUNTS:
        directory = tmp_path / str(total)
        directory.mkdir()
        for number in range(1, total + 1):
            for name in ("applied.up.sql", "applied.down.sql", "twin.up.sql", "twin.down.sql", "twin.up.sql.bak"):
                (directory / f"V1.0.0-{number:03d}__{name}").write_text("select 1;")
        rows = [row(number, name="applied") for number in range(1, total + 1)]
        for name, call in OFFLINE.items():
            work[name].append(_counted(partial(call, directory, rows)))
    assert _more_than_twice(work) == {}
