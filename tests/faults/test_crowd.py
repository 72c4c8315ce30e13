"""kill -9 while other people work on the same tables: nothing of theirs is touched."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from psycopg.conninfo import conninfo_to_dict

from sqlmigrate.model import Version
from tests.faults.crowd import crowd
from tests.faults.mix import MIGRATE, MIX, ROLLBACK, disagreements, kill, rerun, reset, struck, wait_until_alone
from tests.project import Project
from tests.servers import execute

LOG = logging.getLogger(__name__)


@pytest.fixture
def begun(mixed: Project) -> Iterator[str]:
    """The name of a database in which the tables exist, and the rest of `mixed` is pending."""
    mixed.migrator().migrate(Version(1, 0, 0, 1))
    name = conninfo_to_dict(mixed.database)["dbname"]
    execute(mixed.server.conninfo, f"create database {name}_begun template {name}")
    yield f"{name}_begun"
    execute(mixed.server.conninfo, f"drop database {name}_begun with (force)")


@pytest.mark.parametrize("times", [4, pytest.param(200, marks=pytest.mark.long)])
def test_migrate_touches_nothing_of_other_people(mixed: Project, begun: str, times: int) -> None:
    endure(mixed, MIGRATE, begun, times, seed=11)


@pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.long)])
def test_rollback_touches_nothing_of_other_people(mixed: Project, migrated: str, times: int) -> None:
    endure(mixed, ROLLBACK, migrated, times, seed=12)


def endure(project: Project, command: Sequence[str], template: str, times: int, seed: int) -> None:
    """Kills a command again and again, each time in a new database, among people at work."""
    reset(project, template)
    rerun(project, command)
    schema = project.schema()
    rng = random.Random(seed)
    outcomes, actions = Counter[int](), 0
    longest = 2.0
    while outcomes[-9] < times:
        assert outcomes[0] <= 3 * times, "the kills come too late to hit anything"
        reset(project, template)
        moment = rng.uniform(0.3, longest)
        with crowd(project, rng.randrange(10_000)) as people:
            code, stderr = struck(project, command, moment, kill)
            about = f"killed after {moment:.4f} s, exit code {code}:\n{stderr}"
            assert code in (-9, 0), about
            wait_until_alone(project)
            assert disagreements(project) == [], about
            rerun(project, command)
            assert disagreements(project) == [], about
        outcomes[code] += 1
        longest = max(longest * (0.8 if code == 0 else 1.1), 0.5)
        actions += people.leave()
        assert project.schema() == schema, about
    LOG.info("%s: exit codes %s, %d actions of other people", command[0], dict(outcomes), actions)
    assert actions > times
    assert len(project.versions()) == (len(MIX) if command is MIGRATE else 1)
