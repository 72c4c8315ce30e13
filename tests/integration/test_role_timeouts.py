"""Timeouts that an administrator gives to a role or a database end neither a run nor its lock."""

from __future__ import annotations

import pytest

from tests import versions
from tests.integration.test_pgbouncer import bouncer
from tests.project import Project

pytestmark = pytest.mark.slow

SLOW = "create table t{0} (a int); select pg_sleep(0.4);"
SLOW_SEGMENTS = "create table t{0} (a int); create index concurrently on t{0} (a); select pg_sleep(0.4);"
SETTINGS = {
    "transaction_timeout": "'250ms'",
    "statement_timeout": "'250ms'",
    "idle_in_transaction_session_timeout": "'1ms'",
    "idle_session_timeout": "'20s'",  # a slow client is idle before it can switch it off
}


def set_for_role(project: Project, setting: str) -> None:
    """Sets a timeout that would end each run; a server that does not have it must not be asked for it either."""
    if project.server.version < versions.SETTINGS.get(setting, 0):
        return
    name = project.value("select current_database()")
    project.query(f"alter role postgres in database {name} set {setting} = {SETTINGS[setting]}")


@pytest.mark.parametrize("script", [SLOW, SLOW_SEGMENTS])
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_timeout_of_the_role_does_not_end_a_migration(project: Project, setting: str, script: str) -> None:
    for number in (1, 2, 3):
        project.add(number, script.format(number), f"drop table t{number}; select pg_sleep(0.4)")
    set_for_role(project, setting)

    run = project.cli("migrate")
    back = project.cli("rollback", "--steps", "3", "--yes")

    assert (run.returncode, back.returncode) == (0, 0), (run.stderr, back.stderr)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_timeout_of_the_role_does_not_end_a_rehearsal(project: Project, setting: str) -> None:
    for number in (1, 2):
        project.add(number, SLOW.format(number))
    set_for_role(project, setting)

    run = project.cli("validate", "--dry-run")

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_script_has_its_documented_limits(project: Project, setting: str) -> None:
    project.add(
        1, "create table found as select current_setting('statement_timeout') a, current_setting('lock_timeout') b"
    )
    set_for_role(project, setting)

    assert project.cli("migrate", "--statement-timeout", "7s").returncode == 0
    assert project.query("table found") == [("7s", "5s")]


@pytest.mark.debian
@pytest.mark.parametrize("script", [SLOW, SLOW_SEGMENTS])
@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("setting", ["transaction_timeout", "idle_in_transaction_session_timeout", "statement_timeout"])
def test_a_timeout_of_the_role_ends_no_run_behind_a_pooler(
    project: Project, setting: str, mode: str, script: str
) -> None:
    set_for_role(project, setting)
    with bouncer(project, mode) as through:
        for number in (1, 2, 3):
            through.add(number, script.format(number))

        run = through.cli("migrate")

        assert run.returncode == 0, run.stderr
        assert through.has_free_lock()


def test_a_run_switches_off_the_idle_timeout_of_the_role(project: Project) -> None:
    project.add(1, "create table found as select current_setting('idle_session_timeout') a")
    set_for_role(project, "idle_session_timeout")

    assert project.cli("migrate").returncode == 0
    assert project.query("table found") == [("0",)]
