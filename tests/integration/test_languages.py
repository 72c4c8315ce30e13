"""A server that reports errors in another language: nothing is recognized by the English text of a message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import Project
from tests.servers import OwnServer, execute, local

pytestmark = pytest.mark.debian  # only Debian's server has translations

LANGUAGES = ("de", "ja", "ru")
DEFERRED = """create table p (id int primary key);
create table c (id int references p deferrable initially deferred);
"""


@pytest.fixture(scope="module", params=LANGUAGES)
def translated(request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGUAGE", request.param)  # which gettext prefers to lc_messages, unless this is C
        with local() as server:
            execute(server.conninfo, "alter system set lc_messages = 'C.UTF-8'")
            execute(server.conninfo, "alter system set max_locks_per_transaction = 10")
            server.stop("fast")
            server.start()
            yield server


@pytest.fixture
def foreign(translated: OwnServer, tmp_path: Path) -> Project:
    """A project whose server speaks another language."""
    (tmp_path / "migrations").mkdir()
    execute(translated.conninfo, "drop database if exists foreign_test", "create database foreign_test")
    return Project(translated, translated.database("foreign_test"), tmp_path)


def test_a_statement_that_needs_a_commit_before_it_gets_one(foreign: Project) -> None:
    foreign.add(1, DEFERRED)
    foreign.add(2, "insert into p values (1); insert into c values (1); alter table c add column b int;")
    foreign.add(3, "insert into p values (2); insert into c values (2); do $$ begin alter table c add d int; end $$;")
    foreign.add(4, "create type mood as enum ('sad')")
    foreign.add(5, "alter type mood add value 'ok'; create table m (v mood default 'ok')")

    run = foreign.cli("migrate")

    assert run.returncode == 0, run.stderr
    assert len(foreign.versions()) == 5


def test_a_statement_that_takes_too_many_locks_gets_a_commit_before_it(foreign: Project) -> None:
    foreign.add(1, "".join(f"create table t{number} (a int primary key);" for number in range(5000)))

    run = foreign.cli("migrate")

    assert run.returncode == 0, run.stderr
    assert "runs the file again in segments" in run.stderr


@pytest.mark.parametrize(
    ("text", "offers"), [("select pg_sleep(5);", 1), ("select pg_cancel_backend(pg_backend_pid());", 0)]
)
def test_only_a_timeout_gets_the_hint_to_raise_it(foreign: Project, text: str, offers: int) -> None:
    foreign.add(1, text)

    stderr = foreign.cli("migrate", "--statement-timeout", "300ms").stderr

    assert "SQLSTATE: 57014" in stderr
    assert "canceling" not in stderr
    assert stderr.count("increase --statement-timeout") == offers


def test_a_lost_lock_is_recognized(foreign: Project) -> None:
    foreign.add(1, "select pg_advisory_unlock_all()")

    run = foreign.cli("migrate")

    assert run.returncode == 1
    assert "the migration lock was lost" in run.stderr


def test_a_read_only_server_is_recognized(foreign: Project) -> None:
    foreign.add(1, "create table t ()")
    foreign.query("alter database foreign_test set default_transaction_read_only = on")

    assert "default_transaction_read_only is on" in foreign.cli("migrate").stderr


def test_an_error_has_its_place(foreign: Project) -> None:
    path = foreign.add(1, "create table t (a int);\nselect 1/0;")
    foreign.add(2, "create index concurrently t_a on t (a)")

    run = foreign.cli("migrate")

    assert f"{path}:2:1: " in run.stderr
    assert "division by zero" not in run.stderr
    path.write_text("create table t (a int);")
    assert foreign.cli("migrate").returncode == 0
