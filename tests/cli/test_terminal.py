"""What a person sees on a terminal, in each state of a run."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from sqlmigrate.server.lock import key_of
from tests.faults.waiting import running
from tests.project import Project
from tests.terminal import Terminal, terminal

pytestmark = pytest.mark.slow

# A statement that runs until the test opens the gate, and waits for no lock.
GATE = "do $$ begin while not exists (select from gate) loop perform pg_sleep(0.02); end loop; end $$;"
# Runs for a minute, or until the client ends.
SLOW = """create function slow(i int) returns int language plpgsql immutable as
'begin if i = 2000 then perform pg_sleep(60); end if; return i; end'"""
FILL = "create table t as select i, repeat('x', 500) as filler from generate_series(1, 3000) i"


@contextlib.contextmanager
def migrating(project: Project, *options: str, columns: int = 100, **environment: str) -> Iterator[Terminal]:
    command = project.command("migrate", *options)
    with terminal(command, project.environment(**environment), project.root, columns) as screen:
        yield screen


def gated(project: Project) -> None:
    project.query("create table gate (a int)")


def open_gate(project: Project) -> None:
    project.query("insert into gate values (1)")


@contextlib.contextmanager
def locked(project: Project) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Another run holds the migration lock."""
    with psycopg.connect(project.database, autocommit=True, application_name="the other") as other:
        other.execute("select pg_advisory_lock(%s)", [key_of("public.migrations")])
        yield other


# Running


def test_a_long_migration_shows_its_time_and_its_statement_in_one_line(project: Project) -> None:
    gated(project)
    project.add(1, f"create table t (a int);\n-- the long part\n{GATE}\nselect 1;", name="fill")
    with migrating(project) as screen:
        screen.until_match(r"… v1.0.0-001  fill  \d+ s, statement 2 of 3")
        screen.until_another_second()
        assert len(screen.rows) == 1, screen.text
        open_gate(project)
        assert screen.end() == 0
        assert [re.sub(r"\d+\.\d s|\d+ min \d\d s", "<took>", row) for row in screen.rows] == [
            "  ✓ v1.0.0-001  fill  <took>  slow",
            "1 migration applied in <took>; the database is at v1.0.0-001, nothing is pending",
        ]


def test_the_line_names_the_running_migration_of_a_message_with_several(project: Project) -> None:
    gated(project)
    for number in (1, 2, 4):
        project.add(number, "select 1; select 2;")
    project.add(3, f"select 1;\nselect 2;\n{GATE}", name="long")
    with migrating(project) as screen:
        screen.until_match(r"… v1.0.0-003  long  \d+ s, statement 3 of 3")
        assert "✓ v1.0.0-002" in screen.text
        assert "v1.0.0-004" not in screen.text
        open_gate(project)
        assert screen.end() == 0


@pytest.mark.parametrize(
    ("script", "statement"),
    [
        (f"select 1; vacuum; select 2; {GATE} select 3;", "statement 4 of 5"),
        (f"-- sqlmigrate: transaction=off\nselect 1;\n{GATE}\nselect 3;", "statement 2 of 3"),
        (f"begin; select 1; commit; begin; {GATE} select 3; commit;", "statement 2 of 3"),
        (f"create table c (a int);\ncopy c from stdin;\n1\n\\.\n{GATE}", "statement 3 of 3"),
        (f"savepoint a; select 1; rollback to a; {GATE}", "statement 4 of 4"),
        (f"set local role pg_monitor; reset role; {GATE}", "statement 3 of 3"),
    ],
)
def test_each_kind_of_script_shows_its_statement(project: Project, script: str, statement: str) -> None:
    gated(project)
    project.add(1, script)
    with migrating(project) as screen:
        screen.until(statement)
        open_gate(project)
        assert screen.end() == 0, screen.text


@pytest.mark.parametrize(
    "script",
    [GATE, f"set application_name = 'mine'; {GATE}", "".join(["select 1;"] * 1001) + GATE],
    ids=["of one statement", "that names itself", "of more than 1000 statements"],
)
def test_a_script_without_a_number_shows_its_time(project: Project, script: str) -> None:
    gated(project)
    project.add(1, script)
    with migrating(project) as screen:
        screen.until_match(r"… v1.0.0-001  step  \d+ s")
        screen.until_another_second()
        assert "statement" not in screen.text
        open_gate(project)
        assert screen.end() == 0


def test_a_script_keeps_the_application_name_that_it_sets(project: Project) -> None:
    project.add(1, "set application_name = 'mine'; create table t as select current_setting('application_name') as a;")

    project.migrator().migrate()

    assert project.value("select a from t") == "mine"


def test_a_role_without_a_second_connection_sees_the_time(project: Project) -> None:
    gated(project)
    project.query("drop role if exists lonely_terminal", "create role lonely_terminal login connection limit 1")
    project.query("grant create on schema public to lonely_terminal", "grant select on gate to lonely_terminal")
    project.add(1, f"select 1; {GATE}")
    url = psycopg.conninfo.make_conninfo(project.database, user="lonely_terminal")
    try:
        with migrating(project, DATABASE_URL=url) as screen:
            screen.until("cannot be shown")
            screen.until_match(r"… v1.0.0-001  step  \d+ s")
            assert "statement" not in screen.rows[-1]
            open_gate(project)
            assert screen.end() == 0
    finally:
        project.query("drop owned by lonely_terminal", "drop role lonely_terminal")


@pytest.mark.parametrize(
    ("script", "shown"),
    [(f"select 1; {GATE}", "step  X s"), (f"select 1; vacuum; {GATE}", "step  X s, statement 3 of 3")],
)
def test_a_long_rehearsal_shows_its_time(project: Project, script: str, shown: str) -> None:
    gated(project)
    project.add(1, script)
    command = project.command("validate", "--dry-run")
    with terminal(command, project.environment(), project.root) as screen:
        screen.until_match(f"… v1.0.0-001  {shown}$".replace("X", r"\d+"))
        screen.until_another_second()
        open_gate(project)
        assert screen.end() == 0
        assert "…" not in screen.text


def test_a_long_hook_shows_its_time(project: Project) -> None:
    gated(project)
    project.add(1, "select 1;")
    project.write("before_migrate.sql", f"select 1; {GATE}")
    with migrating(project) as screen:
        screen.until_match(r"… before_migrate  \d+ s, statement 2 of 2$")
        open_gate(project)
        assert screen.end() == 0


@pytest.mark.parametrize(
    ("script", "progress"),
    [
        ("create index on t (slow(i));", r"index build \d+ % of \d+ blocks: scanning table"),
        ("create index concurrently on t (slow(i));", r"index build \d+ % of \d+ blocks: scanning table"),
        ("set vacuum_cost_delay = 100; set vacuum_cost_limit = 1; vacuum t;", r"VACUUM \d+ % of \d+ blocks: "),
        ("analyze t;", r"ANALYZE 100 % of \d+ blocks: computing statistics"),
        ("create index i on t (i); cluster t using i;", r"CLUSTER .*: rebuilding index"),
        ("vacuum full t;", r"VACUUM FULL .*: rebuilding index"),
        ("copy t (i) from stdin;\n{rows}\\.\n", r"COPY 1,999 rows"),
        ("copy (select slow(i) from t) to '/dev/null';", r"COPY 1,999 rows"),
    ],
)  # fmt: skip
def test_the_progress_of_a_long_statement_is_shown(project: Project, script: str, progress: str) -> None:
    project.query(FILL, SLOW)
    if progress.startswith(("ANALYZE", "CLUSTER", "VACUUM FULL")):
        project.query("update t set i = -2000 where i = 2000", "create index on t (slow(i))")
        project.query("create or replace function slow(i int) returns int language plpgsql immutable as "
                      "'begin if i = -2000 then perform pg_sleep(60); end if; return i; end'")  # fmt: skip
    if "stdin" in script:
        project.query(
            "create function hold() returns trigger language plpgsql as "
            "'begin if new.i = 2000 then perform pg_sleep(60); end if; return new; end'",
            "create trigger hold before insert on t for each row execute function hold()",
        )
    project.add(1, script.replace("{rows}", "".join(f"{number}\n" for number in range(1, 3000))))
    with migrating(project) as screen:
        screen.until_match(rf"… v1.0.0-001  step  \d+ s, .*{progress}")


# Not a terminal


def lines_until(process: subprocess.Popen[str], seconds: int) -> list[str]:
    """Returns the lines on stderr up to the one that says that the wait has lasted so long, or longer."""
    assert process.stderr is not None
    lines = [process.stderr.readline()]
    while "is blocked by" in lines[-1] or int((re.findall(r"(\d+) s\b", lines[-1]) or ["0"])[0]) < seconds:
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    return lines


def test_without_a_terminal_a_long_migration_writes_few_lines(project: Project) -> None:
    gated(project)
    project.add(1, f"select 1; {GATE}")
    with running(project, "migrate", "--log-file", "log") as process:
        lines = lines_until(process, 5)
        open_gate(project)
        assert process.wait(60) == 0

    assert len(lines) <= 3  # at 1, 2 and 5 s
    assert all(line.startswith("  … v1.0.0-001  step  ") for line in lines)
    assert lines[-1].endswith(" s, statement 2 of 2\n")
    logged = [line for line in (project.root / "log").read_text().splitlines() if " working " in line]
    assert len(logged) == len(lines)
    assert re.search(r"INFO  working version=v1.0.0-001 action=apply seconds=\d+ statement=2 statements=2 ", logged[-1])


def test_without_a_terminal_a_wait_for_the_lock_writes_few_lines(project: Project) -> None:
    project.add(1, "select 1;")
    with locked(project) as other, running(project, "migrate") as process:
        lines = lines_until(process, 5)
        other.close()
        assert process.wait(60) == 0

    assert len(lines) <= 4
    assert lines[0].startswith("  waiting for the migration lock, held by pid")
    assert re.match(r"  waiting for the migration lock for \d s, held by pid", lines[-1])


def test_without_a_terminal_a_wait_for_the_server_writes_few_lines(project: Project) -> None:
    project.add(1, "select 1;")
    url = psycopg.conninfo.make_conninfo(project.database, host="127.0.0.1", port="1")
    with running(project, "migrate", "--connect-wait", "1min", DATABASE_URL=url) as process:
        lines = lines_until(process, 5)

    assert len(lines) <= 4
    assert lines[0].startswith("  waiting for the server: connection failed")
    assert re.match(r"  waiting for the server for \d s: connection failed", lines[-1])


def test_without_a_terminal_a_long_backup_writes_few_lines(project: Project) -> None:
    project.query("create table t (a int)")
    project.add(1, "select 1;")
    with psycopg.connect(project.database, application_name="the app") as other:
        other.execute("lock table t")
        with running(project, "migrate", "--backup", "kept") as process:
            lines = lines_until(process, 5)
            other.rollback()
            assert process.wait(60) == 0

    assert [line for line in lines if line.startswith("  sqlmigrate backup is blocked by pid")]
    beats = [line for line in lines if line.startswith("  … backing up to kept for ")]
    assert len(beats) == len(lines) - 1 <= 3


def test_a_blocked_migration_says_again_who_blocks_it(project: Project) -> None:
    project.query("create table t (a int)")
    project.add(1, "-- sqlmigrate: lock-timeout=1min\nalter table t add column b int;")
    with psycopg.connect(project.database, application_name="the app") as other:
        pid = other.info.backend_pid
        other.execute("lock table t")
        with running(project, "migrate") as process:
            lines = lines_until(process, 2)
            other.rollback()
            assert process.wait(60) == 0

    assert [line for line in lines if line.startswith(f"  sqlmigrate v1.0.0-001 is blocked by pid {pid} ")]
    assert re.match(rf"  … v1.0.0-001  step  \d s, blocked by pid {pid} \(.*the app", lines[-1])
