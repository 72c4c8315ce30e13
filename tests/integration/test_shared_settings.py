"""The limits of many migrations in one message, which are set once, and the durability of the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from sqlmigrate.errors import MigrationFailed
from sqlmigrate.server.connection import Connection, Result
from tests.project import Project

NAMES = ("lock_timeout", "statement_timeout", "synchronous_commit")


@pytest.fixture
def plain(project: Project) -> Project:
    """Six migrations that cannot change the session; the fourth changes a table that exists."""
    project.query("create table busy (a int)")
    for number in range(1, 7):
        project.add(number, f"create table t{number} ();", f"drop table t{number};")
    project.add(4, "alter table busy add column b int;", "alter table busy drop column b;")
    return project


def with_busy_table(project: Project, **settings: str) -> MigrationFailed:
    with psycopg.connect(project.database) as other:
        other.execute("lock table busy in access share mode")
        with pytest.raises(MigrationFailed, match="lock timeout") as failed:
            project.migrator(lock_retries="0", **settings).migrate()
    return failed.value


def test_the_lock_timeout_of_the_settings_holds(plain: Project) -> None:
    failed = with_busy_table(plain, lock_timeout="50ms")

    assert failed.step.migration.id == "v1.0.0-004"
    assert [version for version, success in plain.versions() if success] == [f"v1.0.0-00{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("number", [1, 4, 6])
def test_the_lock_timeout_of_a_directive_holds_for_its_migration(plain: Project, number: int) -> None:
    plain.add(4, "create table t4 ();", "drop table t4;")
    plain.add(number, "-- sqlmigrate: lock-timeout=50ms\nalter table busy add column b int;")

    assert with_busy_table(plain, lock_timeout="10min").step.migration.id == f"v1.0.0-00{number}"


def test_the_statement_timeout_of_the_settings_holds(plain: Project) -> None:
    with psycopg.connect(plain.database) as other:
        other.execute("lock table busy in access share mode")
        with pytest.raises(MigrationFailed, match="statement timeout"):
            plain.migrator(statement_timeout="100ms", lock_timeout="10min").migrate()


def test_the_next_migrations_have_the_settings_of_the_session(plain: Project) -> None:
    show = f"select name, setting, reset_val, source from pg_settings where name in {NAMES}"
    plain.add(7, f"create table probe as {show};", "drop table probe;")
    plain.add(8, "vacuum t1;\nselect 1;")
    plain.add(9, f"vacuum t1;\ncreate table later as {show};")

    plain.migrator(lock_timeout="7s").migrate()

    probed = {row[0]: row[1:] for row in plain.query("select * from probe")}
    assert probed["lock_timeout"][0] == "7000"
    assert probed["synchronous_commit"][0] == probed["synchronous_commit"][1]
    assert probed["synchronous_commit"][2] != "session"
    assert plain.value("select setting = reset_val from later where name = 'synchronous_commit'")


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


@pytest.mark.parametrize("way", ["migrate", "rollback"])
def test_only_the_last_commit_waits_for_the_disk(plain: Project, sent: list[str], way: str) -> None:
    if way == "rollback":
        plain.migrator().migrate()
        sent.clear()

    plain.migrator().migrate() if way == "migrate" else plain.migrator().rollback(steps=6)
    number = {"migrate": 5, "rollback": 1}[way]  # of commits; most of the rollbacks share a transaction

    (message,) = (text for text in sent if "set synchronous_commit = off;" in text)
    *earlier, last, rest = message.split("\ncommit;\n")
    assert len(earlier) == number
    assert "synchronous_commit = default;" in last
    assert not [text for text in earlier if "synchronous_commit = default" in text]
    assert "set local synchronous_commit = off" not in last
    assert rest.splitlines()[2:] == ["reset lock_timeout;", "reset statement_timeout;", "reset synchronous_commit;"]
