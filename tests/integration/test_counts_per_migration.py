"""What a migration costs: results and round trips on the wire, and opened files, counted at two sizes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sqlmigrate import Migrator
from tests.project import Project
from tests.proxy import proxied

SMALL, LARGE = 100, 300
STATEMENTS = 3
UP = """create table t{n} (id bigint generated always as identity primary key, name text not null);
create index on t{n} (name);
comment on table t{n} is 'The table of migration {n}';
"""
DOWN = """drop index t{n}_name_idx;
comment on table t{n} is null;
drop table t{n};
"""


class Counts(NamedTuple):
    """Results and round trips on the wire, and opened migration files."""

    results: float
    round_trips: float
    files: float


# Each call, in an order in which all of them have work to do, and what a migration costs at most: the results of its
# statements and seven more; a file is read for its checksum, by the scanner and to be sent.
CALLS: dict[str, tuple[Callable[[Migrator], object], Counts]] = {
    "migrate": (lambda migrator: migrator.migrate(), Counts(STATEMENTS + 7.1, 0.02, 3)),
    "migrate without pending migrations": (lambda migrator: migrator.migrate(), Counts(0, 0, 1)),
    "status": (lambda migrator: migrator.status(), Counts(0, 0, 1)),
    "check": (lambda migrator: migrator.check(), Counts(0, 0, 1)),
    "rollback": (lambda migrator: migrator.rollback(steps=LARGE), Counts(STATEMENTS + 7.1, 0.02, 3)),
}


class OpenedFiles:
    """Counts the opened files of a directory; Python cannot remove an audit hook."""

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._count = 0
        sys.addaudithook(self._hook)

    @contextmanager
    def below(self, directory: Path) -> Iterator[Callable[[], int]]:
        self._directory, self._count = directory, 0
        try:
            yield lambda: self._count
        finally:
            self._directory = None

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._directory is not None and event == "open" and isinstance(arguments[0], str):
            self._count += Path(arguments[0]).is_relative_to(self._directory)


@pytest.fixture(scope="module")
def opened_files() -> OpenedFiles:
    return OpenedFiles()


def _counts(project: Project, opened_files: OpenedFiles, call: Callable[[Migrator], object]) -> Counts:
    assert project.has_free_lock()  # or else this run waits for the end of the connection of the run before
    with proxied(project.database) as proxy, opened_files.below(project.directory) as files:
        call(project.migrator(database_url=proxy.conninfo))
        return Counts(proxy.results, proxy.round_trips, files())


@pytest.mark.usefixtures("unhurried")
def test_the_counts_of_each_migration_are_bounded(project: Project, opened_files: OpenedFiles) -> None:
    counts: dict[str, list[Counts]] = {name: [] for name in CALLS}
    for total in (SMALL, LARGE):
        for n in range(1, total + 1):
            project.add(n, UP.format(n=n), DOWN.format(n=n))
        for name, (call, _) in CALLS.items():
            counts[name].append(_counts(project, opened_files, call))

    for name, (_, most) in CALLS.items():
        small, large = counts[name]
        growth = Counts(*((more - less) / (LARGE - SMALL) for less, more in zip(small, large, strict=True)))
        assert all(cost <= limit for cost, limit in zip(growth, most, strict=True)), (name, growth, most)
        assert small.files <= SMALL * most.files, name
        assert small.round_trips <= 10, name
