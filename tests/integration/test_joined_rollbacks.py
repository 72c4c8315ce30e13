"""Rollbacks that only drop something: several of them run in one transaction, unless one fails or waits for a lock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from sqlmigrate.errors import MigrationFailed
from sqlmigrate.events import Finished, Notice, Ran
from sqlmigrate.server.connection import Connection, Result
from tests.polling import LIMIT, until
from tests.project import Project

TRANSACTIONS = "select count(distinct xmin::text) from migrations_log where action = 'rollback' and outcome = 'success'"
LEFT = "select coalesce(array_agg(version order by version), '{}') from migrations"


def versions(*numbers: int) -> list[str]:
    return [f"v1.0.0-{number:03}" for number in numbers]


@pytest.fixture
def tables(project: Project) -> Project:
    for number in range(1, 41):
        project.add(number, f"create table t{number} (a int primary key, b int);", f"drop table t{number};")
    return project


def rolled_back(project: Project, steps: int) -> list[str]:
    """Rolls back, and returns the versions of the events, in order."""
    project.events.clear()
    project.migrator().rollback(steps=steps)
    return [event.step.migration.id for event in project.events if isinstance(event, Finished)]


def test_sixteen_rollbacks_share_a_transaction(tables: Project) -> None:
    tables.migrator().migrate()

    assert rolled_back(tables, 40) == versions(*range(40, 0, -1))

    assert tables.value(TRANSACTIONS) == 4  # the first rollback is alone, and 39 follow
    assert tables.value(LEFT) == []
    assert tables.value("select count(*) from pg_class where relname ~ '^t[0-9]'") == 0
    assert tables.value("select bool_and(duration_ms >= 0) from migrations_log")


@pytest.mark.parametrize(
    ("down", "transactions"),
    [
        ("drop table t5;", 2),
        ("-- Drops t5.\ndrop index if exists nothing;\n\nDROP TABLE IF EXISTS t5;", 2),
        ("alter table t5 drop column b; drop table t5;", 2),
        ("alter table t5 alter column b type bigint; drop table t5;", 4),
        ("alter table t5 drop column b, alter column a type bigint; drop table t5;", 4),
        ("delete from t5; drop table t5;", 4),
        ("do $$ begin drop table t5; end $$;", 4),
        ("create table drops (a int); drop table t5;", 4),
        ("-- sqlmigrate: lock-timeout=3s\ndrop table t5;", 4),
        ("-- sqlmigrate: lock-retries=0\ndrop table t5;", 4),
    ],
)
def test_only_drops_without_limits_of_their_own_share_a_transaction(
    tables: Project, down: str, transactions: int
) -> None:
    tables.add(5, "create table t5 (a int primary key, b int);", down)
    tables.migrator().migrate("v1.0.0-008")

    assert rolled_back(tables, 8) == versions(*range(8, 0, -1))

    assert tables.value(TRANSACTIONS) == transactions


@pytest.mark.parametrize("blocked", [1, 4, 5, 7, 8])
def test_a_failure_undoes_no_rollback_before_it(tables: Project, blocked: int) -> None:
    tables.migrator().migrate("v1.0.0-008")
    tables.query(f"create view reader as select b from t{blocked}")

    with pytest.raises(MigrationFailed, match=f"rollback of v1.0.0-00{blocked} failed: cannot drop table t{blocked}"):
        tables.migrator().rollback(steps=8)

    assert tables.value(LEFT) == versions(*range(1, blocked + 1))
    assert tables.value("select count(*) from pg_class where relname ~ '^t[0-9]$'") == blocked

    tables.query("drop view reader")
    assert rolled_back(tables, blocked) == versions(*range(blocked, 0, -1))


def test_a_syntax_error_undoes_no_rollback_before_it(tables: Project) -> None:
    tables.add(5, "create table t5 ();", "drop table t5 nothing;")
    tables.migrator().migrate("v1.0.0-008")

    with pytest.raises(MigrationFailed, match="syntax error") as failed:
        tables.migrator().rollback(steps=8)

    assert failed.value.location is not None
    assert failed.value.location.line == 1
    assert tables.value(LEFT) == versions(*range(1, 6))


def test_a_locked_table_is_waited_for_without_the_locks_of_other_rollbacks(tables: Project) -> None:
    tables.migrator().migrate("v1.0.0-008")
    with psycopg.connect(tables.database) as other:
        other.execute("lock table t4 in access share mode")
        with pytest.raises(MigrationFailed, match="lock timeout") as failed:
            tables.migrator(lock_timeout="2s", lock_retries="0").rollback(steps=8)

    assert failed.value.step.migration.id == "v1.0.0-004"
    assert tables.value(LEFT) == versions(1, 2, 3, 4)
    assert tables.value(TRANSACTIONS) == 4
    assert rolled_back(tables, 4) == versions(4, 3, 2, 1)


def test_a_short_lock_timeout_stays_short(tables: Project) -> None:
    tables.migrator().migrate("v1.0.0-008")
    with psycopg.connect(tables.database) as other:
        other.execute("lock table t8 in access share mode")
        with pytest.raises(MigrationFailed, match="lock timeout"):
            tables.migrator(lock_timeout="10ms", lock_retries="0").rollback(steps=8)

    assert tables.value(LEFT) == versions(*range(1, 9))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that are sent."""
    texts: list[str] = []
    transmit: Callable[..., Iterator[Result]] = Connection.transmit

    def transmit_and_keep(connection: Connection, text: str, *arguments: Any) -> Iterator[Result]:
        texts.append(text)
        return transmit(connection, text, *arguments)

    monkeypatch.setattr(Connection, "transmit", transmit_and_keep)
    return texts


def test_a_rollback_with_a_transaction_of_its_own_is_tried_once(tables: Project, sent: list[str]) -> None:
    for number in (3, 5):
        tables.add(number, f"create table t{number} ();", f"comment on table t{number} is ''; drop table t{number};")
    tables.migrator().migrate("v1.0.0-005")
    tables.query("create view reader as select b from t4")

    with pytest.raises(MigrationFailed, match="cannot drop table t4"):
        tables.migrator().rollback(steps=5)

    assert len([text for text in sent if "drop table t4;" in text]) == 1


def test_a_person_can_cancel_rollbacks_that_share_a_transaction(
    tables: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlmigrate.execution.envelope._JOINED_WAIT", 600_000)
    tables.migrator().migrate("v1.0.0-008")
    waiting = "wait_event_type = 'Lock'"
    cancel = f"select pg_cancel_backend(pid) from pg_stat_activity where datname = current_database() and {waiting}"
    with psycopg.connect(tables.database) as other, ThreadPoolExecutor() as pool:
        other.execute("lock table t4 in access share mode")
        running = pool.submit(tables.migrator(lock_timeout="10min").rollback, steps=8)
        until(lambda: tables.backends(waiting))
        tables.query(cancel)
        with pytest.raises(MigrationFailed, match="canceling statement due to user request") as failed:
            running.result(timeout=LIMIT)

    assert failed.value.location is not None
    assert failed.value.location.path.endswith("V1.0.0-004__step.down.sql")
    assert tables.value(LEFT) == versions(*range(1, 8))
    assert rolled_back(tables, 7) == versions(*range(7, 0, -1))


def story(project: Project) -> list[str]:
    """The reported notices and statements, and the versions that were rolled back, in order."""
    lines = []
    for event in project.events:
        match event:
            case Finished(step):
                lines.append(step.migration.id)
            case Notice(message=text) | Ran(statement=text):
                lines.append(text)
    return lines


NOTICES = [
    *versions(8, 7, 6),
    'table "nothing" does not exist, skipping',
    *versions(5, 4),
    "drop cascades to view v3",
    *versions(3, 2, 1),
]


@pytest.fixture
def notices(tables: Project) -> Project:
    tables.add(5, "create table t5 ();", "drop table if exists nothing; drop table t5;")
    tables.add(3, "create table t3 (a int); create view v3 as select a from t3;", "drop table t3 cascade;")
    tables.migrator().migrate("v1.0.0-008")
    tables.events.clear()
    return tables


def test_a_notice_precedes_the_end_of_its_rollback(notices: Project) -> None:
    notices.migrator().rollback(steps=8)

    assert story(notices) == NOTICES
    assert notices.value(TRANSACTIONS) == 2


def test_a_notice_is_reported_once_if_a_rollback_fails(notices: Project) -> None:
    notices.query("create view reader as select b from t2")

    with pytest.raises(MigrationFailed, match="cannot drop table t2"):
        notices.migrator().rollback(steps=8)

    assert story(notices) == NOTICES[: NOTICES.index("v1.0.0-002")]


def test_a_timed_statement_precedes_the_end_of_its_rollback(tables: Project) -> None:
    tables.migrator().migrate("v1.0.0-006")
    tables.query("create view reader as select b from t2")
    tables.events.clear()

    with pytest.raises(MigrationFailed, match="cannot drop table t2"):
        tables.migrator(log_level="debug").rollback(steps=6)

    assert story(tables) == [line for n in (6, 5, 4, 3) for line in (f"drop table t{n}", f"v1.0.0-00{n}")]


def test_all_waits_of_a_transaction_together_are_shorter_than_the_deadlock_timeout(
    tables: Project, sent: list[str]
) -> None:
    tables.migrator().migrate()

    rolled_back(tables, 40)

    timeout = tables.value("select setting::int from pg_settings where name = 'deadlock_timeout'")
    waits = [int(wait) for text in sent for wait in re.findall(r"set local lock_timeout = (\d+);", text)]
    joined = [wait for wait in waits if 0 < wait < timeout]
    assert len(joined) == 3  # transactions
    assert all(16 * wait < timeout / 2 for wait in joined)
