"""How often the client waits for the server: what makes a run over a slow network slow."""

from __future__ import annotations

import pytest

from tests.project import Project
from tests.proxy import proxied

pytestmark = pytest.mark.usefixtures("unhurried")


def round_trips(project: Project, delay: float) -> int:
    """Returns the number of round trips of a run over everything, which is taken back afterwards."""
    with proxied(project.database, delay) as proxy:
        steps = project.migrator(database_url=proxy.conninfo).migrate().steps
    project.migrator().rollback(steps=len(steps))
    return proxy.round_trips


def test_a_hundred_migrations_in_at_most_ten_round_trips(project: Project) -> None:
    for number in range(1, 101):
        project.add(number, f"create table t{number} (id int primary key)", f"drop table t{number}")

    assert round_trips(project, delay=0) <= 10
    assert round_trips(project, delay=0.05) <= 10


def test_nothing_to_do_takes_five_round_trips_at_most(project: Project) -> None:
    project.add(1, "create table t ()")
    project.migrator().migrate()

    with proxied(project.database) as proxy:
        assert project.migrator(database_url=proxy.conninfo).migrate().steps == ()

    assert proxy.round_trips <= 5


@pytest.mark.parametrize("method", ["status", "info", "check", "validate", "history"])
def test_a_command_that_reads_takes_as_many_round_trips_for_many_migrations(project: Project, method: str) -> None:
    counts = []
    for total in (1, 20):
        for number in range(1, total + 1):
            project.add(number, f"create table t{number} ();")
        project.migrator().migrate()
        with proxied(project.database) as proxy:
            getattr(project.migrator(database_url=proxy.conninfo), method)()
        counts.append(proxy.round_trips)

    assert counts[1] <= counts[0] + 3  # a long answer arrives in pieces
