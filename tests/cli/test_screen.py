"""The screen: many migrations, narrow and resized windows, wide characters, no colour, and dumb terminals."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest

from tests.cli.test_terminal import GATE, gated, locked, migrating, open_gate
from tests.project import Project
from tests.terminal import Terminal, terminal


def test_a_run_of_200_migrations_has_a_line_for_each_below_its_version(project: Project) -> None:
    for number in range(1, 121):
        project.write(f"V1.0.0-{number:03d}__step_{number}.up.sql", "select 1;")
    for number in range(1, 80):
        project.write(f"V1.1.0-{number:03d}__step_{number}.up.sql", f"select pg_sleep({1.1 if number == 7 else 0});")
    project.write("R__names.sql", "select 1;")
    with migrating(project) as screen:
        assert screen.end() == 0
        rows = [re.sub(r"\d+ ms|\d+\.\d s(  slow)?", "<took>", row) for row in screen.rows]

    assert re.search(r"v1\.1\.0-007  step_7  \d+\.\d s  slow\n", screen.text)
    assert rows == [
        "v1.0.0  120 migrations",
        *(f"  ✓ v1.0.0-{number:03d}  step_{number}  <took>" for number in range(1, 121)),
        "v1.1.0  79 migrations",
        *(f"  ✓ v1.1.0-{number:03d}  step_{number}  <took>" for number in range(1, 80)),
        "repeatable  1 migration",
        "  ✓ R__names  <took>",
        "200 migrations applied in <took>; the database is at v1.1.0-079, nothing is pending",
    ]


@pytest.mark.parametrize("directories", [1, 2])
def test_a_short_run_and_a_run_of_one_version_have_no_headings(project: Project, directories: int) -> None:
    for number in range(1, 13 if directories == 1 else 6):
        for minor in range(directories):
            project.write(f"V1.{minor}.0-{number:03d}__step.up.sql", "select 1;")

    assert all(line.startswith("  ✓ ") for line in project.cli("migrate").stderr.splitlines())


def test_a_rollback_has_headings_and_says_where_the_database_is(project: Project) -> None:
    for number in range(1, 8):
        for minor in range(2):
            project.write(f"V1.{minor}.0-{number:03d}__step.up.sql", "select 1;")
            project.write(f"V1.{minor}.0-{number:03d}__step.down.sql", "select 1;")
    project.migrator().migrate()

    part, rest = project.cli("rollback", "--steps", "12", "--yes"), project.cli("rollback", "--steps", "2", "--yes")

    assert [line for line in part.stderr.splitlines() if not line.startswith("  ✓")] == [
        "v1.1.0  7 migrations",
        "v1.0.0  5 migrations",
    ]
    assert re.fullmatch(
        r"12 migrations rolled back in \S+ m?s; the database is at v1\.0\.0-002, 12 migrations are pending\n",
        part.stdout,
    )
    assert re.fullmatch(
        r"2 migrations rolled back in \S+ m?s; no version is applied, 14 migrations are pending\n", rest.stdout
    )


@pytest.mark.parametrize("columns", [40, 30, 24])
def test_a_narrow_window_shows_each_migration_in_one_line(project: Project, columns: int) -> None:
    gated(project)
    name = "add_the_columns_for_the_delivery_addresses"
    project.add(1, "select 1;", name=name)
    project.add(2, f"select 1; {GATE}", name=name)
    with migrating(project, columns=columns) as screen:
        screen.until("… v1.0.0-002")
        screen.until_match(r"… v1.0.0-002.*  \d")
        assert len(screen.rows) == 2, screen.text
        open_gate(project)
        assert screen.end() == 0
        first, second = screen.rows[:2]

    assert first.startswith("  ✓ v1.0.0-001")
    assert second.startswith("  ✓ v1.0.0-002")
    assert columns < 40 or re.fullmatch(r"  ✓ v1\.0\.0-001  add_the_\w*…  \d+ m?s", first)
    assert columns < 40 or re.fullmatch(r"  ✓ v1\.0\.0-002  add_\w*…?  \d+\.\d s  slow|  ✓ v1.* s  slow", second)


def test_a_line_with_wide_characters_fits_into_the_window(project: Project) -> None:
    project.query("create table t (a int)")
    project.add(1, "-- sqlmigrate: lock-timeout=1min\nalter table t add column b int;")
    with psycopg.connect(project.database, application_name="the app") as other:
        other.execute("/* " + "數據庫遷移" * 30 + " */ lock table t")
        with migrating(project, columns=120) as screen:
            screen.until_match(r"… v1.0.0-001  step  \d+ s, blocked by .*數.*…")
            screen.until_another_second()
            assert len([row for row in screen.rows if "…" in row]) == 1, screen.text
            other.rollback()
            assert screen.end() == 0
            assert "…" not in screen.text


def test_the_line_follows_the_size_of_the_window(project: Project) -> None:
    gated(project)
    project.add(1, "select 1;")
    project.add(2, f"select 1; {GATE}", name="add_the_columns_for_the_delivery_addresses")
    with migrating(project) as screen:
        screen.until_match(r"addresses  \d+ s, statement 2 of 2")
        screen.resize(40)
        screen.until_match(r"… v1.0.0-002  \d+ s, statement 2 of 2")
        assert len(screen.rows) == 2, screen.text
        screen.resize(100)
        screen.until_match(r"addresses  \d+ s, statement 2 of 2")
        assert len(screen.rows) == 2, screen.text
        open_gate(project)
        assert screen.end() == 0
        assert [row[:14] for row in screen.rows] == ["  ✓ v1.0.0-001", "  ✓ v1.0.0-002", "2 migrations a"]


def test_a_terminal_that_reports_no_size_is_taken_for_80_columns(project: Project) -> None:
    gated(project)
    project.add(1, GATE, name="a" * 200)
    with migrating(project) as screen:
        screen.report_no_size()
        screen.until_match(r"… v1.0.0-001  a{50,}…  \d+ s")
        open_gate(project)
        assert screen.end() == 0


@pytest.mark.parametrize(
    ("variable", "value", "colours"),
    [("TERM", "xterm", 1), ("NO_COLOR", "", 1), ("NO_COLOR", "1", 0), ("TERM", "dumb", 0)],
)
@pytest.mark.parametrize("sql", ["select 1;", "select 1 / 0;"], ids=["done", "failed"])
def test_no_color_and_a_dumb_terminal_are_respected(
    project: Project, variable: str, value: str, colours: int, sql: str
) -> None:
    project.add(1, sql)
    with terminal(project.command("migrate"), project.environment(**{variable: value}), project.root) as screen:
        screen.end()
        assert (b"\x1b[3" in screen.received) == bool(colours)
        assert "migration applied" in screen.text or "division by zero" in screen.text


def test_no_color_keeps_the_line_that_is_redrawn(project: Project) -> None:
    gated(project)
    project.add(1, GATE)
    with migrating(project, NO_COLOR="1") as screen:
        screen.until_match(r"\d+ s")
        screen.until_another_second()
        assert len(screen.rows) == 1, screen.text
        open_gate(project)
        assert screen.end() == 0
        assert "…" not in screen.text


def test_a_dumb_terminal_gets_lines_and_no_control_sequences(project: Project) -> None:
    project.add(1, "select 1;")
    with locked(project) as other, migrating(project, TERM="dumb") as screen:
        screen.until_match(r"waiting for the migration lock for ([2-9]|\d\d) s, held by")
        other.close()
        assert screen.end() == 0
        assert b"\x1b" not in screen.received
        assert len([row for row in screen.rows if "waiting" in row]) > 1, screen.text


@pytest.mark.parametrize(
    ("interrupt", "code", "message"),
    [
        (lambda screen: screen.press("\x03"), 130, "error: interrupted by SIGINT"),
        (lambda screen: screen.process.terminate(), 143, "error: interrupted by SIGTERM"),
        (lambda screen: screen.press("\x04"), 2, "error: not confirmed, nothing was changed"),
    ],
)
def test_a_signal_at_a_prompt_ends_the_command_as_at_any_moment(
    project: Project, interrupt: Callable[[Terminal], None], code: int, message: str
) -> None:
    project.add(1, "select 1;", down="select 1;")
    project.migrator().migrate()
    command = project.command("rollback", "--steps", "1")
    with terminal(command, project.environment(), project.root) as screen:
        screen.until("Roll back? [y/N]:")
        interrupt(screen)
        assert screen.end() == code
        assert message in screen.rows
    assert project.versions() == [("v1.0.0-001", True)]


def test_ctrl_c_leaves_nothing_of_the_line_that_was_redrawn(project: Project) -> None:
    gated(project)
    project.add(1, f"select 1; {GATE}", name="add_the_columns_for_the_delivery_addresses")
    with migrating(project, columns=36) as screen:
        screen.until_match(r"… v1.0.0-001  \d+ s, statement 2")
        screen.press("\x03")
        assert screen.end() == 130
        assert "…" not in screen.text
        assert screen.rows[0] == "error: v1.0.0-001 failed: interrupte"


def test_a_retry_does_not_say_again_who_blocks_the_migration(project: Project) -> None:
    project.query("create table t (a int)")
    project.add(1, "-- sqlmigrate: lock-timeout=1s\n-- sqlmigrate: lock-retries=9\nalter table t add column b int;")
    with psycopg.connect(project.database) as other:
        other.execute("lock table t")
        with migrating(project, columns=200) as screen:
            screen.until_match(r"(?s)retrying in.*retrying in")
            other.rollback()
            assert screen.end() == 0

    assert len([row for row in screen.rows if "is blocked by pid" in row]) <= 1, screen.text
    assert len([row for row in screen.rows if "; retrying in" in row]) >= 2, screen.text
