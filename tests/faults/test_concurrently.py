"""kill -9 within a statement that runs outside a transaction: a rerun leaves what one undisturbed run leaves."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import psycopg
import pytest

from sqlmigrate.model import Version
from tests.faults.mix import reset, wait_until_alone
from tests.faults.test_kill import doomed
from tests.faults.waiting import OURS, running, until
from tests.project import Project

BASE = """
create table t (id int primary key, a int, b text);
insert into t select n, n % 10, repeat('x', n % 5) from generate_series(1, 1000) n;
create index t_old on t (b);
create table p (id int, a int) partition by range (id);
create table p_1 partition of p for values from (0) to (10);
create table p_2 partition of p for values from (10) to (20);
create index p_id on p (id);
"""
STATEMENTS = {
    "named": "create index concurrently t_a on t (a)",
    "unnamed": "create index concurrently on t (a)",
    "if not exists": "create index concurrently if not exists t_a on t (a)",
    "unique": "create unique index concurrently t_a on public.t using btree (id, a)",
    "unnamed unique": "create unique index concurrently on only t (id, a)",
    "quoted": 'create index concurrently "T a" on "public"."t" (a)',
    "on a path": "set search_path = public, pg_temp; create index concurrently t_a on t (a)",
    "drop": "drop index concurrently t_old",
    "drop if exists": "drop index concurrently if exists t_old",
    "reindex index": "reindex index concurrently t_old",
    "reindex table": "reindex table concurrently t",
    "reindex schema": "reindex schema concurrently public",
    "reindex in parentheses": "reindex (verbose, concurrently) table public.t",
    "reindex parts": "reindex table concurrently p",
    "detach": "alter table p detach partition p_1 concurrently",
}
TABLES = {"detach": "p", "reindex parts": "p_1"}
WRITER, SNAPSHOT = "lock table {} in row exclusive mode", "select from {}"
INDEXES = """
select c.relname, i.indisvalid, i.indisready from pg_index i join pg_class c on c.oid = i.indexrelid
where c.relnamespace in ('public'::regnamespace, 'pg_toast'::regnamespace) and c.oid > 16384
  and (c.relnamespace = 'public'::regnamespace or not i.indisvalid) order by 1
"""
# Those that differ most; the unmarked run has them late in their work.
SAMPLE = ("unnamed", "if not exists", "unique", "drop", "reindex schema", "reindex parts")


@contextlib.contextmanager
def held_up(project: Project, sort: str, held: str) -> Iterator[None]:
    """An open transaction, which what runs concurrently has to wait for: early for a writer, late for a snapshot."""
    with psycopg.connect(project.database) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute(held.format(TABLES.get(sort, "t")).encode())
        yield


def prepare(project: Project, statement: str) -> tuple[str, list[tuple[object, ...]]]:
    """Gets ready to apply the second migration; what an undisturbed run leaves."""
    project.add(1, BASE)
    project.add(2, f"{statement};\ncreate table after ();\n")
    project.migrator().migrate()
    expected = project.schema(), project.query(INDEXES)
    reset(project)
    project.migrator().migrate(Version(1, 0, 0, 1))
    return expected


def until_it_waits(project: Project) -> None:
    until(lambda: project.value(f"select count(*) from pg_stat_activity where {OURS} and wait_event_type = 'Lock'"))


@pytest.mark.parametrize(
    ("sort", "held"),
    [
        pytest.param(sort, held, marks=[] if sort in SAMPLE and held is SNAPSHOT else [pytest.mark.long])
        for sort in STATEMENTS
        for held in (SNAPSHOT, WRITER)
    ],
)
def test_a_rerun_completes_an_interrupted_statement(project: Project, sort: str, held: str) -> None:
    expected = prepare(project, STATEMENTS[sort])
    with held_up(project, sort, held):
        with running(project, "migrate"):
            until_it_waits(project)
        wait_until_alone(project)
    assert project.versions()[1] == ("v1.0.0-002", False)

    project.migrator().migrate()

    assert (project.schema(), project.query(INDEXES)) == expected


@pytest.mark.long
@pytest.mark.parametrize("sort", STATEMENTS)
@pytest.mark.parametrize("held", [SNAPSHOT, WRITER])
def test_a_statement_that_ended_without_its_client_does_not_run_twice(project: Project, sort: str, held: str) -> None:
    expected = prepare(project, STATEMENTS[sort])
    with held_up(project, sort, held), running(project, "migrate"):
        until_it_waits(project)
    wait_until_alone(project)

    project.migrator().migrate()

    assert (project.schema(), project.query(INDEXES)) == expected


def test_an_unnamed_index_exists_once_after_repeated_kills(project: Project) -> None:
    expected = prepare(project, STATEMENTS["unnamed"])
    for _ in range(3):
        # The server may complete the statement without its client; then the next run has nothing to send.
        assert doomed(project, "create index concurrently on t", "sent") in (-signal.SIGKILL, 0)
        wait_until_alone(project)

    project.migrator().migrate()

    assert (project.schema(), project.query(INDEXES)) == expected


def test_an_invalid_index_that_if_not_exists_would_skip_is_an_error(project: Project) -> None:
    project.add(1, "create table t (id int); insert into t values (1), (1)")
    project.add(2, "create unique index concurrently t_id on t (id)")
    assert "could not create unique index" in project.cli("migrate").stderr
    project.query("delete from migrations where not success")
    project.add(2, "create index concurrently if not exists t_id on t (id)")

    run = project.cli("migrate")

    assert run.returncode == 1
    assert "index public.t_id exists but is invalid" in run.stderr
    assert "DROP INDEX CONCURRENTLY public.t_id, and run the command again" in run.stderr


def test_a_pending_detach_is_finalized(project: Project) -> None:
    expected = prepare(project, STATEMENTS["detach"])
    with held_up(project, "detach", SNAPSHOT):
        with running(project, "migrate"):
            until_it_waits(project)
        wait_until_alone(project)
    assert project.query("select inhrelid::regclass::text from pg_inherits where inhdetachpending") == [("p_1",)]

    project.migrator().migrate()

    assert (project.schema(), project.query(INDEXES)) == expected
    assert project.query("select 1 from pg_inherits where inhrelid = 'p_1'::regclass") == []


@pytest.mark.parametrize(
    "statement",
    [
        "create index concurrently t_old on t (a)",
        "drop index concurrently t_none",
        "alter table p detach partition t concurrently",
    ],
)
def test_a_rerun_does_not_treat_a_failed_statement_as_done(project: Project, statement: str) -> None:
    project.add(1, BASE)
    project.add(2, statement)
    first = project.cli("migrate")

    again = project.cli("migrate")

    assert (first.returncode, again.returncode) == (1, 1)
    assert first.stderr.partition("error: ")[2].splitlines()[0] in again.stderr
    assert ("v1.0.0-002", False) in project.versions()
