"""`migrate --parallel`: what does not depend on each other runs side by side, and leaves what a serial run leaves."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
from collections.abc import Iterator

import psycopg
import pytest

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.sql import parser
from tests.faults.mix import reset, wait_until_alone
from tests.faults.waiting import OURS, running, until
from tests.project import Project
from tests.terminal import terminal

TABLES = ("a", "b", "c", "d")
BASE = "".join(f"create table {name} (id int primary key, x int, y int);\n" for name in TABLES)


def prepare(project: Project, *ups: str, tables: str = BASE) -> None:
    """Applies migration 1, which creates the tables, and writes the others."""
    project.add(1, tables)
    project.migrator().migrate()
    for number, up in enumerate(ups, 2):
        project.add(number, up)


@contextlib.contextmanager
def locked(project: Project, *tables: str, mode: str = "row exclusive") -> Iterator[psycopg.Connection]:
    """A transaction that holds up every index build on the tables."""
    with psycopg.connect(project.database) as connection:
        for table in tables:
            connection.execute(f"lock table {table} in {mode} mode".encode())
        yield connection


def waiting(project: Project) -> list[str]:
    """The programs of sqlmigrate's that wait for a lock."""
    rows = project.query(
        f"select application_name from pg_stat_activity where {OURS} and wait_event_type = 'Lock' order by 1"
    )
    return [row[0] for row in rows]


def applied(project: Project) -> list[str]:
    return [version for version, success in project.versions() if success]


def test_independent_migrations_wait_side_by_side(project: Project) -> None:
    prepare(project, "create index a_x on a (x)", "create index b_x on b (x)")
    with locked(project, "a", "b"):
        process = project.start("migrate", "--parallel", "2")
        until(lambda: waiting(project) == ["sqlmigrate v1.0.0-002", "sqlmigrate v1.0.0-003"])
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert applied(project) == ["v1.0.0-001", "v1.0.0-002", "v1.0.0-003"]


EIGHT = "".join(f"create index concurrently {name}_x on {name} (x);\n" for name in TABLES)


def valid_indexes(project: Project) -> list[str]:
    rows = project.query(
        "select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid"
        " where i.indisvalid and c.relnamespace = 'public'::regnamespace and c.relname ~ '_[xy]$' order by 1"
    )
    return [row[0] for row in rows]


def test_statements_of_one_file_that_stand_alone_wait_side_by_side(project: Project) -> None:
    prepare(project, f"-- sqlmigrate: transaction=off\n{EIGHT}")
    with locked(project, *TABLES):
        process = project.start("migrate", "--parallel", "3")
        until(lambda: len(waiting(project)) == 3)
        assert waiting(project) == [f"sqlmigrate v1.0.0-002 {number}/4" for number in (1, 2, 3)]
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert valid_indexes(project) == ["a_x", "b_x", "c_x", "d_x"]
    assert project.query("select statements, statements_done, statements_begun, begun_state from migrations")[1] == (
        4,
        4,
        4,
        "",
    )


def test_a_failure_in_a_file_keeps_what_is_done_and_a_rerun_continues(project: Project) -> None:
    prepare(project, EIGHT.replace("create index concurrently b_x", "create unique index concurrently b_x"))
    project.query("insert into b values (1, 1), (2, 1)")

    run = project.cli("migrate", "--parallel", "4")

    assert run.returncode == 1
    assert "could not create unique index" in run.stderr
    assert "V1.0.0-002__step.up.sql:2:1" in run.stderr
    assert project.query("select success, statements_done from migrations where version = 'v1.0.0-002'") == [(False, 1)]
    assert set(valid_indexes(project)) >= {"a_x"}
    project.query("delete from b where id = 2")

    again = project.cli("migrate")

    assert again.returncode == 0, again.stderr
    assert valid_indexes(project) == ["a_x", "b_x", "c_x", "d_x"]
    assert project.query("select indexrelid::regclass::text from pg_index where not indisvalid") == []


def log(project: Project) -> list[tuple[object, ...]]:
    return project.query("select version, outcome from migrations_log where version <> 'v1.0.0-001' order by id")


def test_a_failure_lets_the_others_end_and_stops_before_the_next_barrier(project: Project) -> None:
    prepare(
        project,
        "create unique index a_x on a (x)",
        "create index b_x on b (x)",
        "create table barrier ()",
    )
    project.query("insert into a values (1, 1), (2, 1)")
    with locked(project, "b"):
        process = project.start("migrate", "--parallel", "2")
        until(lambda: waiting(project) == ["sqlmigrate v1.0.0-003"])
    _, stderr = process.communicate()

    assert process.returncode == 1
    assert 'v1.0.0-002 failed: could not create unique index "a_x"' in stderr
    assert "V1.0.0-002__step.up.sql:1:1" in stderr
    assert "applied before the failure: v1.0.0-003" in stderr
    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", False), ("v1.0.0-003", True)]
    assert sorted(log(project)) == [("v1.0.0-002", "failure"), ("v1.0.0-003", "success")]
    project.query("delete from a where id = 2")

    again = project.cli("migrate", "--parallel", "2")

    assert again.returncode == 0, again.stderr
    assert applied(project)[1:] == ["v1.0.0-002", "v1.0.0-003", "v1.0.0-004"]
    assert log(project)[2:] == [("v1.0.0-002", "success"), ("v1.0.0-004", "success")]


def test_two_failures_are_recorded_and_shown(project: Project) -> None:
    prepare(project, "create unique index a_x on a (x)", "create unique index b_x on b (x)")
    project.query("insert into a values (1, 1), (2, 1)", "insert into b values (1, 1), (2, 1)")
    with locked(project, "a", "b"):
        process = project.start("migrate", "--parallel", "2")
        until(lambda: len(waiting(project)) == 2)
    _, stderr = process.communicate()

    assert process.returncode == 1
    assert 'v1.0.0-002 failed: could not create unique index "a_x"' in stderr
    assert 'v1.0.0-003 failed: could not create unique index "b_x"' in stderr
    assert applied(project) == ["v1.0.0-001"]
    assert sorted(log(project)) == [("v1.0.0-002", "failure"), ("v1.0.0-003", "failure")]


def test_what_is_not_started_when_another_one_fails_stays_pending(project: Project) -> None:
    prepare(project, *(f"create unique index {name}_x on {name} (x)" for name in TABLES))
    project.query("insert into a values (1, 1), (2, 1)")
    with locked(project, "b"):
        process = project.start("migrate", "--parallel", "2")
        until(lambda: waiting(project) == ["sqlmigrate v1.0.0-003"])
        until(lambda: len(project.backends("state = 'idle' and application_name = 'sqlmigrate'")) == 2)
    process.communicate()

    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", False), ("v1.0.0-003", True)]


def test_a_lock_timeout_is_retried_beside_another_migration(project: Project) -> None:
    prepare(project, "create index a_x on a (x)", "create index b_x on b (x)")
    with locked(project, "a"):
        process = project.start("migrate", "--parallel", "2", "--lock-timeout", "100ms")
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("v1.0.0-002: canceling statement due to lock timeout" in line for line in lines)
        until(lambda: applied(project)[1:] == ["v1.0.0-003"])
    process.communicate()
    assert process.returncode == 0
    assert applied(project)[1:] == ["v1.0.0-002", "v1.0.0-003"]


KINDS = (
    "create index a_y on a (y)",
    "create index concurrently b_y on b (y)",
    "create index concurrently c_partial on c (y) where y > 0",
    "create index concurrently d_expression on d ((x + y))",
    "reindex table concurrently a",
    "reindex index b_pkey",
    "refresh materialized view concurrently m",
    "vacuum (analyze) c",
    "alter table d validate constraint d_x",
    "drop index concurrently a_y",
    "drop index b_y; analyze b",
    "create table barrier (a int)",
    "-- sqlmigrate: transaction=off\nset maintenance_work_mem = '32MB';\n"
    + "".join(f"create index concurrently {name}_both on {name} (x, y);\n" for name in TABLES),
    "create index concurrently c_z on c (y, x); analyze c",
    "vacuum d; analyze d",
)
MORE = """
create table source (a int primary key, b int);
create materialized view m as select a, count(*) as n from source group by a;
create unique index m_a on m (a);
alter table d add constraint d_x check (x > 0) not valid;
"""
ROWS = "".join(f"insert into {name} select n, n, n from generate_series(1, 2000) n;\n" for name in TABLES)


def test_the_schema_equals_that_of_a_serial_run(project: Project) -> None:
    prepare(project, *KINDS, tables=f"{BASE}{MORE}{ROWS}")
    project.migrator().migrate()
    serial = project.schema(), log(project)
    reset(project)

    project.migrator(parallel="3").migrate()

    assert project.schema() == serial[0]
    assert sorted(log(project)) == sorted(serial[1])
    assert project.query("select indexrelid::regclass::text from pg_index where not indisvalid") == []
    assert project.value("select bool_and(ended_at is not null) from migrations_runs")


def test_concurrent_builds_do_not_deadlock_whatever_they_wait_for(project: Project) -> None:
    """Each of them waits for every older snapshot: those of the other builds, and that of the ordinary one."""
    kinds = (
        "create index concurrently a_partial on a (y) where y > 0",
        "create index concurrently b_expression on b ((x + y))",
        "create index concurrently c_y on c (y)",
        "create index d_y on d (y)",
    )
    prepare(project, *kinds, tables=f"{BASE}{ROWS}")
    with locked(project, *TABLES) as writer:
        process = project.start("migrate", "--parallel", "4")
        until(lambda: len(waiting(project)) == 4)
        with psycopg.connect(project.database) as snapshot:
            snapshot.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            snapshot.execute("select")
            writer.rollback()
            until(lambda: "v1.0.0-005" in applied(project))
            until(lambda: len(waiting(project)) == 3)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "deadlock" not in project.value("select string_agg(error_msg, ' ') from migrations_log")
    assert len(applied(project)) == 5


@pytest.mark.parametrize("seed", range(3))
def test_many_concurrent_builds_end(project: Project, seed: int) -> None:
    rng = random.Random(seed)
    tables = [f"t{number}" for number in range(6)]
    kinds = ("{} (y) where x > 0", "{} ((x + y))", "{} (y)")
    ups = [
        f"create index {rng.choice(['', 'concurrently '])}i{number} on {rng.choice(kinds).format(table)}"
        for number, table in enumerate(tables * 2)
    ]
    created = "".join(
        f"create table {name} (x int, y int); insert into {name} select n, n from generate_series(1, 999) n;"
        for name in tables
    )
    prepare(project, *ups, tables=created)

    assert len(project.migrator(parallel="4").migrate().steps) == len(ups)

    assert (
        project.value("select count(*) from pg_index i where indisvalid and indrelid::regclass::text ~ '^t[0-9]'") == 12
    )
    assert project.query("select version from migrations_log where outcome = 'failure'") == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("create index i on part_1 (a)", "create index j on part_2 (a)"),
        ("create index i on child (b)", "create index j on parent (b)"),
        ("refresh materialized view m", "create index j on source (a)"),
    ],
)
def test_dependent_migrations_run_one_after_the_other(project: Project, first: str, second: str) -> None:
    prepare(
        project,
        first,
        second,
        tables="create table p (a int) partition by range (a);"
        "create table part_1 partition of p for values from (0) to (10);"
        "create table part_2 partition of p for values from (10) to (20);"
        "create table parent (a int primary key, b int); create table child (a int references parent, b int);"
        "create table source (a int); create materialized view m as select * from source;",
    )
    table, mode = ("source", "access exclusive") if first.startswith("refresh") else (first.split()[4], "row exclusive")
    with locked(project, table, mode=mode):
        process = project.start("migrate", "--parallel", "2")
        until(lambda: waiting(project) == ["sqlmigrate v1.0.0-002"])
        assert [row[0] for row in project.query("select version from migrations order by 1")][2:] == []
    process.communicate()
    assert process.returncode == 0
    assert log(project) == [("v1.0.0-002", "success"), ("v1.0.0-003", "success")]


def test_a_hook_around_each_migration_makes_every_migration_a_barrier(project: Project) -> None:
    prepare(project, "create index a_x on a (x)", "create index b_x on b (x)")
    project.write("before_each.sql", "select 1")
    with locked(project, "a", "b"):
        process = project.start("migrate", "--parallel", "2")
        until(lambda: waiting(project) == ["sqlmigrate v1.0.0-002"])
        assert (
            "v1.0.0-002: a hook runs with each migration"
            in project.cli("migrate", "--dry-run", "--parallel", "2").stdout
        )
    process.communicate()
    assert process.returncode == 0


def test_the_hook_after_an_error_runs_once_at_the_end(project: Project) -> None:
    prepare(project, "create unique index a_x on a (x)", "create index b_x on b (x)")
    project.query("create table told (version text)", "insert into a values (1, 1), (2, 1)")
    project.write("after_error.sql", "insert into told select current_setting('sqlmigrate.version')")

    assert project.cli("migrate", "--parallel", "2").returncode == 1

    assert project.query("select version from told") == [("v1.0.0-002",)]


def test_each_migration_records_its_own_duration(project: Project) -> None:
    prepare(project, "create index a_x on a (x)", "create index b_x on b (x)", "create table barrier ()")
    with locked(project, "a"):
        process = project.start("migrate", "--parallel", "2")
        until(lambda: applied(project)[1:] == ["v1.0.0-003"])
        project.query("select pg_sleep(0.5)")
    process.communicate()
    slow, fast = (project.value(f"select duration_ms from migrations where version = 'v1.0.0-00{n}'") for n in (2, 3))
    assert slow >= 500
    logged = project.query("select version, duration_ms from migrations_log where version > 'v1.0.0-001' order by id")
    assert dict(logged)["v1.0.0-002"] == slow
    assert dict(logged)["v1.0.0-003"] == fast


def test_the_session_of_a_file_holds_for_its_statements_side_by_side(project: Project) -> None:
    prepare(
        project,
        "-- sqlmigrate: transaction=off\nset search_path = s; set role builder;\n"
        "create index concurrently one_x on one (x); create index concurrently two_x on two (x);",
        tables="create schema s; create table s.one (x int); create table s.two (x int);"
        "create role builder; grant all on schema s to builder;"
        "alter table s.one owner to builder; alter table s.two owner to builder;",
    )
    try:
        run = project.cli("migrate", "--parallel", "2")
        assert run.returncode == 0, run.stderr
        owners = project.query(
            "select relname, relowner::regrole::text from pg_class where relname ~ '(one|two)_x' order by 1"
        )
        assert owners == [("one_x", "builder"), ("two_x", "builder")]
    finally:
        project.query("drop owned by builder", "drop role builder")


def test_the_session_of_a_worker_starts_as_that_of_the_run(project: Project) -> None:
    """A migration may change the defaults of the database; they hold from the next run on."""
    name = project.value("select current_database()")
    prepare(
        project,
        f"alter database {name} set search_path = s",
        "create index on_x on one (x)",
        "create index other_x on two (x)",
        tables="create schema s; create table s.one (x int); create table s.two (x int);"
        "create table one (x int); create table two (x int);",
    )
    project.migrator(parallel="2").migrate()
    rows = project.query(
        "select indrelid::regclass::text from pg_index where indexrelid::regclass::text ~ '_x$' order by 1"
    )
    assert rows == [("public.one",), ("public.two",)]


END_HOLDER = """
select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database
where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and d.datname = current_database()
"""


def test_a_run_waits_for_the_workers_of_a_run_whose_connection_was_ended(project: Project) -> None:
    prepare(project, "create index concurrently a_x on a (x)", "create index concurrently b_x on b (x)")
    with locked(project, "a", "b"), running(project, "migrate", "--parallel", "2") as process:
        until(lambda: len(waiting(project)) == 2)
        process.send_signal(signal.SIGSTOP)
        project.query(END_HOLDER)
        waits = project.cli("migrate", "--lock-wait", "300ms")
        assert waits.returncode == 4
        assert len(waiting(project)) == 2
        process.send_signal(signal.SIGCONT)
        _, stderr = process.communicate()
    assert process.returncode == 1
    assert "the connection was lost" in stderr
    project.migrator().migrate()
    assert len(applied(project)) == 3
    assert project.query("select indexrelid::regclass::text from pg_index where not indisvalid") == []


def test_no_worker_commits_after_the_run_has_lost_the_lock(project: Project) -> None:
    prepare(project, "create index a_x on a (x)", "create index b_x on b (x)")
    with running(project, "migrate", "--parallel", "2") as process:
        with locked(project, "a", "b"):
            until(lambda: len(waiting(project)) == 2)
            process.send_signal(signal.SIGSTOP)
            project.query(END_HOLDER)
        ours = f"select count(*) from pg_stat_activity where {OURS} and state = 'active'"
        until(lambda: project.value(ours) == 0)
        assert project.value("select count(*) from pg_class where relname in ('a_x', 'b_x')") == 0
        assert project.versions()[1:] == [("v1.0.0-002", False), ("v1.0.0-003", False)]
        process.send_signal(signal.SIGCONT)
        _, stderr = process.communicate()
    assert process.returncode == 1
    assert "the connection was lost" in stderr or "the migration lock was lost" in stderr
    project.migrator().migrate()
    assert len(applied(project)) == 3


def test_fewer_connections_than_wanted_are_enough(project: Project) -> None:
    prepare(project, "create index a_x on a (x)", "create index b_x on b (x)")
    owned = ("a", "b", *(f"migrations{suffix}" for suffix in ("", "_log", "_runs", "_totals")))
    project.query(
        "create role limited login connection limit 2",
        "grant all on schema public to limited",
        *(f"alter table {table} owner to limited" for table in owned),
    )
    try:
        run = project.cli("migrate", "--parallel", "3", SQLMIGRATE_DB_USER="limited")
        assert run.returncode == 0, run.stderr
        assert "1 of 3 connections could be opened" in run.stderr
        assert len(applied(project)) == 3
    finally:
        project.query("drop owned by limited cascade", "drop role limited")


def test_the_hooks_of_a_run_run_once_before_and_after_the_wave(project: Project) -> None:
    prepare(project, "create index concurrently a_x on a (x)", "create index b_x on b (x)")
    project.query("create table told (id int generated always as identity, what text)")
    for name in ("before_migrate", "after_migrate"):
        count = "select count(*) from pg_class where relname in ('a_x', 'b_x')"
        project.write(f"{name}.sql", f"insert into told (what) select '{name} ' || ({count})")

    run = project.cli("migrate", MIGRATION_CONCURRENCY="2")

    assert run.returncode == 0, run.stderr
    assert project.query("select what from told order by id") == [("before_migrate 0",), ("after_migrate 2",)]
    assert project.value("select count(*) from migrations_runs where ended_at is null") == 0


def test_the_statement_timeout_ends_one_migration_of_a_wave(project: Project) -> None:
    prepare(project, "create index concurrently a_x on a (x)", "create index concurrently b_x on b (x)")
    with locked(project, "a"):
        run = project.cli("migrate", "--parallel", "2", "--statement-timeout", "300ms")

    assert run.returncode == 1
    assert "v1.0.0-002 failed: canceling statement due to statement timeout" in run.stderr
    assert "increase --statement-timeout" in run.stderr
    assert project.versions()[1:] == [("v1.0.0-002", False), ("v1.0.0-003", True)]


def test_a_directive_of_a_file_holds_for_its_statements_side_by_side(project: Project) -> None:
    prepare(project, f"-- sqlmigrate: statement-timeout=300ms\n{EIGHT}")
    with locked(project, "b"):
        run = project.cli("migrate", "--parallel", "4")

    assert run.returncode == 1
    assert "V1.0.0-002__step.up.sql:3:1: v1.0.0-002 failed: canceling statement due to statement timeout" in run.stderr
    assert "increase --statement-timeout" in run.stderr
    assert project.cli("migrate").returncode == 0
    assert len(valid_indexes(project)) == 4


def test_a_rollback_stays_serial(project: Project) -> None:
    project.add(1, BASE, "drop table a, b, c, d")
    project.add(2, "create index a_x on a (x)", "drop index a_x")
    project.add(3, "create index b_x on b (x)", "drop index b_x")
    project.migrator(parallel="2").migrate()
    project.migrator(parallel="2").rollback(steps=3)
    assert applied(project) == []


@pytest.mark.parametrize("number", [1, 70])
def test_a_long_wave_and_a_long_run_of_dependent_migrations_end(project: Project, number: int) -> None:
    tables = "".join(f"create table t{n} (x int);" for n in range(number))
    prepare(project, *(f"create index i{n} on t{n % number} (x)" for n in range(70)), tables=tables)
    assert len(project.migrator(parallel="3").migrate().steps) == 70


# What a person sees


def test_the_line_on_a_terminal_shows_what_runs_side_by_side(project: Project) -> None:
    prepare(project, "create index a_x on a (x)", "create index b_x on b (x)")
    command = project.command("migrate", "--parallel", "2", "--lock-timeout", "0")
    with terminal(command, project.environment(), project.root, 160) as screen:
        with locked(project, "a", "b"):
            screen.until_match(r"… v1.0.0-002  \d+ s, blocked by pid \d+; v1.0.0-003  \d+ s, blocked by pid \d+")
        assert screen.end() == 0
        done = [row.split()[1] for row in screen.rows if "✓" in row]
        assert sorted(done) == ["v1.0.0-002", "v1.0.0-003"]


def test_a_failure_is_shown_while_the_others_still_run(project: Project) -> None:
    prepare(project, "create unique index a_x on a (x)", "create index b_x on b (x)")
    project.query("insert into a values (1, 1), (2, 1)")
    with locked(project, "b"):
        process = project.start("migrate", "--parallel", "2")
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        shown = next(line for line in lines if "failed" in line)
        assert shown == ('  v1.0.0-002 failed: could not create unique index "a_x"; waiting for what runs beside it\n')
    process.communicate()
    assert process.returncode == 1


def test_lock_status_shows_each_connection_of_the_run(project: Project) -> None:
    prepare(project, "create index concurrently a_x on a (x)", "create index concurrently b_x on b (x)")
    with locked(project, "a", "b"):
        process = project.start("migrate", "--parallel", "2")
        until(lambda: len(waiting(project)) == 2)
        text = project.cli("lock-status").stdout
        running = json.loads(project.cli("lock-status", "--format", "json").stdout)["running"]
        states = [row["state"] for row in json.loads(project.cli("status", "--format", "json").stdout)["migrations"]]
    process.communicate()
    assert "migration    apply v1.0.0-002  step" in text
    assert re.search(r"^beside       sqlmigrate v1.0.0-003, pid \d+$", text, re.MULTILINE)
    assert [other["application"] for other in running["beside"]] == ["sqlmigrate v1.0.0-003"]
    assert states == ["applied", "running", "running"]


def test_force_unlock_ends_the_connections_of_a_run(project: Project) -> None:
    prepare(project, "create index concurrently a_x on a (x)", "create index concurrently b_x on b (x)")
    with locked(project, "a", "b"):
        process = project.start("migrate", "--parallel", "2")
        until(lambda: len(waiting(project)) == 2)
        assert project.cli("force-unlock", "--yes").returncode == 0
        _, stderr = process.communicate()
        assert waiting(project) == []
    assert process.returncode == 1
    assert "the connection was lost" in stderr
    assert project.has_free_lock()


def test_each_format_of_a_plan_shows_its_waves(project: Project) -> None:
    prepare(project, "analyze a", "analyze b", "analyze public.a", "create table c_d ()", EIGHT)
    page = project.root / "plan.html"
    file = project.root / "plan.json"

    text = project.cli("plan", "--parallel", "2", "--html", str(page), "--out", str(file)).stdout
    markdown = project.cli("plan", "--parallel", "2", "--format", "markdown").stdout
    serial = project.cli("plan").stdout

    clash = "v1.0.0-002 and v1.0.0-004: both touch public.a"
    assert text.partition("waves on 2 connections")[2].partition("\n\n")[0].splitlines()[1:] == [
        "  1  v1.0.0-002, v1.0.0-003",
        f"       {clash}",
        "  2  v1.0.0-004",
        "  3  v1.0.0-005",
        "       v1.0.0-005: CREATE TABLE may depend on any migration",
        "  4  v1.0.0-006, statements 1 to 4 side by side",
    ]
    assert f"- v1.0.0-002, v1.0.0-003 ({clash})" in re.sub(
        r"\\(.)|&#(\d+);", lambda m: m[1] or chr(int(m[2])), markdown
    )
    assert f'<li>v1.0.0-002, v1.0.0-003<br><span class="hint">{clash}</span></li>' in page.read_text()
    planned = json.loads(file.read_text())
    assert planned["connections"] == 2
    assert planned["waves"][0] == {"steps": ["v1.0.0-002", "v1.0.0-003"], "reason": clash, "statements": []}
    assert planned["waves"][-1] == {"steps": ["v1.0.0-006"], "reason": "", "statements": [[1, 4]]}
    assert "waves" not in serial
    assert planned["digest"] in serial
    assert project.cli("migrate", "--plan", str(file), "--parallel", "2").returncode == 0


def test_without_the_parser_parallel_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(project, "analyze a", "analyze b")
    monkeypatch.setattr(parser, "_library", _missing)
    with pytest.raises(ConfigurationError, match="grammar is not installed"):
        project.migrator(parallel="2").migrate()
    assert len(applied(project)) == 1
    project.migrator().migrate()


def _missing() -> object:
    raise ConfigurationError("PostgreSQL's grammar is not installed", hint="pip install 'sqlmigrate[lint]'")


# What a rerun knows


def failed_at_the_second_of_four(project: Project) -> None:
    prepare(project, EIGHT.replace("create index concurrently b_x", "create unique index concurrently b_x"))
    project.query("insert into b values (1, 1), (2, 1)")
    assert project.cli("migrate", "--parallel", "4").returncode == 1
    assert project.query(INVALID) == [("b_x",)]


INVALID = "select indexrelid::regclass::text from pg_index where not indisvalid"


@pytest.mark.parametrize("options", [(), ("--parallel", "4")])
@pytest.mark.parametrize(
    "text",
    [
        EIGHT.replace("create index concurrently b_x on b (x);\n", ""),
        EIGHT.replace(
            "create index concurrently b_x", "delete from b where id = 2;\ncreate unique index concurrently b_x"
        ),
        EIGHT.replace("create index concurrently b_x", "vacuum b;\ncreate index concurrently b_x"),
        EIGHT.replace("b_x on b (x)", "b_y on b (y)"),
        EIGHT.replace("b_x on b (x)", "b_y on b (y)").replace(
            "create index concurrently d_x", "select 1;\ncreate index concurrently d_x"
        ),
        "".join(EIGHT.splitlines(keepends=True)[number] for number in (0, 3, 2, 1)),
    ],
    ids=[
        "removed",
        "with a statement before it",
        "with one outside a transaction",
        "replaced",
        "in two groups",
        "in another order",
    ],
)
def test_the_rest_of_a_file_may_be_changed_after_a_failure(
    project: Project, text: str, options: tuple[str, ...]
) -> None:
    failed_at_the_second_of_four(project)
    project.add(2, text)

    again = project.cli("migrate", *options)

    assert again.returncode == 0, again.stderr
    assert project.query(INVALID) == []
    assert len(valid_indexes(project)) == text.count("create")
    assert project.query("select begun_state from migrations where version = 'v1.0.0-002'") == [("",)]


def test_an_index_of_another_person_is_not_taken_for_done(project: Project) -> None:
    prepare(project, EIGHT)
    project.query("create index b_x on b (y)")

    first = project.cli("migrate", "--parallel", "4")
    second = project.cli("migrate", "--parallel", "4")
    project.query("drop index b_x")
    third = project.cli("migrate", "--parallel", "4")

    assert (first.returncode, second.returncode, third.returncode) == (1, 1, 0)
    assert all('relation "b_x" already exists' in run.stderr for run in (first, second))
    assert project.value("select pg_get_indexdef('b_x'::regclass)").endswith("USING btree (x)")


def test_an_invalid_index_that_if_not_exists_would_keep_is_an_error(project: Project) -> None:
    prepare(project, EIGHT.replace("concurrently b_x", "concurrently if not exists b_x"))
    project.query("insert into b values (1, 1), (2, 1)")
    with psycopg.connect(project.database, autocommit=True) as other, pytest.raises(psycopg.errors.UniqueViolation):
        other.execute("create unique index concurrently b_x on b (x)")

    run = project.cli("migrate", "--parallel", "4")

    assert run.returncode == 1
    assert "index public.b_x exists but is invalid" in run.stderr
    assert "V1.0.0-002__step.up.sql:2:1" in run.stderr


def test_a_run_that_died_after_its_last_commit_is_not_interrupted(project: Project) -> None:
    prepare(project, "analyze a", "analyze b")
    project.migrator(parallel="2").migrate()
    project.query("update migrations_runs set ended_at = null")
    assert "interrupted" not in project.cli("history").stdout
    project.add(4, "analyze c")

    project.migrator().migrate()

    assert project.query("select * from migrations_log where outcome = 'failure'") == []
    assert project.value("select count(*) from migrations_runs where ended_at is null") == 0


def test_a_newer_migration_that_is_applied_does_not_make_a_killed_one_late(project: Project) -> None:
    prepare(project, "create index a_x on a (x)", "create index b_x on b (x)")
    with locked(project, "a"):
        with running(project, "migrate", "--parallel", "2") as process:
            until(lambda: applied(project)[1:] == ["v1.0.0-003"])
            process.kill()
        wait_until_alone(project)
    assert project.versions()[1:] == [("v1.0.0-002", False), ("v1.0.0-003", True)]
    assert "v1.0.0-002 was interrupted" in project.cli("validate").stdout

    again = project.cli("migrate")

    assert again.returncode == 0, again.stderr
    assert len(applied(project)) == 3
