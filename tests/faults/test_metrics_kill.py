"""A run that is killed: metrics, log and state agree, and the failure is counted once and for good."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle

import pytest

from tests.faults.mix import MIGRATE, MIX, ROLLBACK, disagreements, rerun, reset
from tests.faults.waiting import OURS, running, until
from tests.project import Project
from tests.prometheus import Watch, read

_LOG = logging.getLogger(__name__)
_NOT_ENDED = "select count(*) from migrations_runs where ended_at is null"
_FAILURES = "select count(*) from migrations_log where outcome = 'failure'"
_TOOK = "select extract(epoch from ended_at - began_at) from migrations_runs"
_TABLES = "select to_regclass('migrations_runs') is not null"


def interrupted(project: Project) -> int:
    return int(project.value(_NOT_ENDED)) if project.value(_TABLES) else 0


def killed_in_the_run(project: Project, command: Sequence[str], seconds: float) -> int:
    """Kills it so long after the run's first word in the database; the exit code."""
    with running(project, *command) as process:
        until(lambda: process.poll() is not None or interrupted(project))
        time.sleep(seconds)
    return process.returncode


def counted(project: Project, action: str) -> int:
    log = f"select count(*) from migrations_log where outcome = 'success' and action = '{action}'"
    return int(project.value(log)) if project.value(_TABLES) else 0


def agree(project: Project, failures: int, about: str) -> None:
    """What the metrics say against state and log."""
    seen = read(project)
    assert seen["migration_failure_total"] == failures, about
    assert seen["migration_success_total"] == counted(project, "apply"), about
    assert seen["migration_rollback_total"] == counted(project, "rollback"), about
    applied = sum(success for _, success in project.versions()) if project.value(_TABLES) else 0
    assert seen["migration_pending"] == len(MIX) - applied, about
    assert seen["migration_success_total"] - seen["migration_rollback_total"] == applied, about
    assert seen["migration_lock_held"] == 0, about


@pytest.mark.parametrize("times", [8, pytest.param(100, marks=pytest.mark.long)])
def test_a_killed_run_is_counted_once(mixed: Project, times: int) -> None:
    mixed.migrator().migrate()
    takes = float(mixed.value(_TOOK))
    rng = random.Random(7)
    outcomes: Counter[int] = Counter()
    while outcomes.total() < times or outcomes[1] <= times // 2:
        reset(mixed)
        moment = rng.uniform(0, takes)
        with Watch.over(mixed) as watch:
            code = killed_in_the_run(mixed, MIGRATE, moment)
            wait_until_others_are_gone(mixed)
            failures = interrupted(mixed)
            assert failures == 0 or code == -9
            agree(mixed, failures, f"killed after {moment:.4f} s")
            rerun(mixed, MIGRATE)
        about = f"run again, killed after {moment:.4f} s"
        assert watch.decreases == [], about
        assert watch.readings > 1
        assert disagreements(mixed) == [], about
        assert interrupted(mixed) == 0, about
        assert mixed.value(_FAILURES) == failures, about
        agree(mixed, failures, about)
        outcomes[failures] += 1
        takes *= 1 if failures else 0.8  # the machine may be quicker than it was
    _LOG.info("%s kills: %s interrupted, %s when it was done", outcomes.total(), outcomes[1], outcomes[0])


@pytest.mark.parametrize("times", [2, pytest.param(25, marks=pytest.mark.long)])
def test_a_history_of_killed_runs_adds_up(mixed: Project, times: int) -> None:
    """Up and down again and again on one database, each run killed, and the log pruned on the way."""
    mixed.migrator().migrate()
    takes = float(mixed.value(_TOOK))
    reset(mixed)
    rng = random.Random(8)
    failures = 0
    with Watch.over(mixed) as watch:
        for number, command in enumerate(cycle((MIGRATE, ROLLBACK))):
            if number >= 2 * times and failures:
                break
            killed_in_the_run(mixed, command, rng.uniform(0, takes))
            wait_until_others_are_gone(mixed)
            takes *= 1 if interrupted(mixed) else 0.8
            failures += interrupted(mixed)
            assert read(mixed)["migration_failure_total"] == failures
            rerun(mixed, command)
            mixed.query("update migrations_log set logged_at = logged_at - interval '3 days'")
            mixed.migrator().cleanup(1)
            assert read(mixed)["migration_failure_total"] == failures
    assert watch.decreases == []
    applied = sum(success for _, success in mixed.versions())
    assert watch.highest["migration_success_total"] - watch.highest["migration_rollback_total"] == applied


def wait_until_others_are_gone(project: Project) -> None:
    """The watch's own connection stays."""
    others = f"select count(*) from pg_stat_activity where {OURS} and application_name <> 'sqlmigrate exporter'"
    until(lambda: project.value(others) == 0)
