"""How long things may take: by directive, option, environment and file, as the server has it."""

from __future__ import annotations

import psycopg
import pytest

from sqlmigrate.server.lock import key_of
from tests.project import Project

pytestmark = pytest.mark.anywhere

# What each source says of both limits, the nearest first.
SOURCES = ("directive", "option", "variable", "environment", "file", "default")
LIMITS = {
    "directive": ("1s", "11min"),
    "option": ("2s", "12min"),
    "variable": ("3s", "13min"),
    "environment": ("4s", "14min"),
    "file": ("6s", "16min"),
    "default": ("5s", "0"),
}
FOUND = "create table found as select current_setting('lock_timeout') a, current_setting('statement_timeout') b"


NAMES = ("LOCK", "STATEMENT")


def said(given: dict[str, tuple[str, str]], source: str) -> list[tuple[str, str]]:
    """What a source says of both, if it says anything."""
    return [limits for name, limits in given.items() if name == source]


@pytest.mark.parametrize("nearest", SOURCES)
def test_the_source_with_the_highest_priority_wins(project: Project, nearest: str) -> None:
    given = {source: LIMITS[source] for source in SOURCES[SOURCES.index(nearest) :]}
    head = "".join(f"-- sqlmigrate: lock-timeout={a} statement-timeout={b}\n" for a, b in said(given, "directive"))
    project.add(1, f"{head}{FOUND};")
    text = "".join(f'lock_timeout = "{a}"\nstatement_timeout = "{b}"\n' for a, b in said(given, "file"))
    text += "[environments.night]\n"
    text += "".join(f'lock_timeout = "{a}"\nstatement_timeout = "{b}"\n' for a, b in said(given, "environment"))
    (project.root / "sqlmigrate.toml").write_text(text)
    options = [f"--lock-timeout={a} --statement-timeout={b}" for a, b in said(given, "option")]
    variables = {
        f"SQLMIGRATE_{name}_TIMEOUT": value
        for both in said(given, "variable")
        for name, value in zip(NAMES, both, strict=True)
    }

    run = project.cli("migrate", "--env", "night", *" ".join(options).split(), **variables)

    assert run.returncode == 0, run.stderr
    assert project.query("select * from found") == [LIMITS[nearest]]


@pytest.mark.parametrize(
    ("head", "options", "file", "tries"),
    [
        ("-- sqlmigrate: lock-retries=0\n", ("--lock-retries", "3"), "lock_retries = 2", 1),
        ("", ("--lock-retries", "1"), "lock_retries = 3", 2),
        ("", (), "lock_retries = 1", 2),
    ],
)
def test_a_lock_is_retried_as_often_as_configured(
    project: Project, head: str, options: tuple[str, ...], file: str, tries: int
) -> None:
    project.query("create table t (a int)")
    project.add(1, f"{head}alter table t add column b int;")
    (project.root / "sqlmigrate.toml").write_text(f'{file}\nlock_timeout = "100ms"\n')
    with psycopg.connect(project.database) as reader:
        reader.execute("select * from t")
        run = project.cli("migrate", *options)

    assert run.returncode == 1
    assert run.stderr.count("canceling statement due to lock timeout") == tries


@pytest.mark.parametrize(
    ("head", "options", "says"),
    [
        ("", ("--lock-timeout", "300ms"), "lock timeout"),
        ("-- sqlmigrate: lock-timeout=300ms\n", ("--lock-timeout", "1h"), "lock timeout"),
        ("", ("--lock-timeout", "1h", "--statement-timeout", "300ms"), "statement timeout"),
    ],
)
def test_a_rehearsal_applies_the_limits_to_each_migration(
    project: Project, head: str, options: tuple[str, ...], says: str
) -> None:
    project.query("create table busy (a int)")
    project.add(1, "create table t (a int);")
    project.add(2, f"{head}alter table busy add column b int;")
    with psycopg.connect(project.database) as reader:
        reader.execute("select * from busy")
        run = project.cli("validate", "--dry-run", "--timeout", "20s", *options)

    assert run.returncode == 1
    assert f"v1.0.0-002 would fail: canceling statement due to {says}" in run.stderr


@pytest.mark.parametrize(
    ("options", "variables", "file"),
    [
        (("--lock-wait", "300ms"), {"SQLMIGRATE_LOCK_WAIT": "1min"}, 'lock_wait = "1min"'),
        ((), {"SQLMIGRATE_LOCK_WAIT": "300ms"}, 'lock_wait = "1min"'),
        ((), {}, 'lock_wait = "300ms"'),
    ],
)
def test_a_run_waits_for_another_run_as_long_as_configured(
    project: Project, options: tuple[str, ...], variables: dict[str, str], file: str
) -> None:
    project.add(1, "select 1;")
    (project.root / "sqlmigrate.toml").write_text(file)
    with psycopg.connect(project.database) as other:
        other.execute("select pg_advisory_lock(%s)", [key_of("public.migrations")])
        run = project.cli("migrate", *options, **variables)

    assert run.returncode == 4
    assert "could not obtain the migration lock within 0.3 s" in run.stderr


@pytest.mark.parametrize(("options", "file"), [(("--timeout", "1s"), 'timeout = "1h"'), ((), 'timeout = "1s"')])
def test_a_run_stops_after_its_timeout(project: Project, options: tuple[str, ...], file: str) -> None:
    project.add(1, "select pg_sleep(120);")
    (project.root / "sqlmigrate.toml").write_text(file)

    run = project.cli("migrate", *options)

    assert run.returncode == 1
    assert "the run took longer than 1 s" in run.stderr
    assert project.has_free_lock()
