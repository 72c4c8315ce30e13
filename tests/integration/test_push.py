"""migrate --push: the metrics go to a Pushgateway when the run is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.project import Project
from tests.webhook import Webhook, listening

pytestmark = pytest.mark.anywhere


@pytest.fixture
def gateway() -> Iterator[Webhook]:
    with listening() as hook:
        yield hook


def test_a_run_pushes_what_it_changed_whether_it_ends_well_or_not(project: Project, gateway: Webhook) -> None:
    project.add(1, "create table t (a int);", "drop table t;")
    assert project.cli("migrate", "--push", gateway.url).returncode == 0
    project.add(2, "select 1 / 0;")
    assert project.cli("migrate", SQLMIGRATE_PUSH=gateway.url).returncode == 1
    assert project.cli("rollback", "--steps", "1", "--yes", "--push", gateway.url).returncode == 0

    first, second, third = (body.decode() for body in gateway.bodies)
    assert "migration_success_total 1.0" in first
    assert "migration_failure_total 0.0" in first
    assert "migration_failure_total 1.0" in second
    assert "migration_rollback_total 1.0" in third


def test_a_gateway_that_is_not_there_is_a_warning(project: Project, gateway: Webhook) -> None:
    gateway.status = 500
    project.add(1, "create table t (a int);")

    ran = project.cli("migrate", "--push", gateway.url)

    assert ran.returncode == 0
    assert "the metrics were not pushed" in ran.stderr
    assert project.versions() == [("v1.0.0-001", True)]
