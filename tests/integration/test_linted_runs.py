"""`--lint`: what the linter finds refuses a run before anything is sent; `plan` and `--dry-run` show it."""

from __future__ import annotations

import json
import sys

import pytest

from tests.project import Project

pytestmark = pytest.mark.anywhere

UNSAFE = "create index t_a_idx on t (a);"


@pytest.fixture
def unsafe(project: Project) -> Project:
    project.add(1, "create table t (a int not null);", "drop table t;")
    project.migrator().migrate()
    project.add(2, UNSAFE, "drop index t_a_idx;")
    return project


def indexes(project: Project) -> int:
    count = project.value("select count(*) from pg_indexes where indexname = 't_a_idx'")
    assert isinstance(count, int)
    return count


def test_nothing_is_sent(unsafe: Project) -> None:
    done = unsafe.cli("migrate", "--lint", "warning")
    assert done.returncode == 1
    assert "V1.0.0-002__step.up.sql:1:1: CREATE INDEX" in done.stderr
    assert "[index-not-concurrent]" in done.stderr
    assert "create index concurrently t_a_idx" in done.stderr
    assert "-- sqlmigrate: ignore=RULE (reason)" in done.stderr
    assert len(unsafe.versions()) == 1
    assert unsafe.value("select count(*) from migrations_log") == 1
    assert indexes(unsafe) == 0


@pytest.mark.parametrize("way", ["mended", "ignored", "less", "off"])
def test_the_error_shows_how_to_continue(unsafe: Project, way: str) -> None:
    level = {"less": "error", "off": "off"}.get(way, "warning")
    if way == "mended":
        unsafe.add(2, "create index concurrently t_a_idx on t (a);")
    elif way == "ignored":
        unsafe.add(2, f"-- sqlmigrate: ignore=index-not-concurrent (no rows)\n{UNSAFE}")
    done = unsafe.cli("migrate", SQLMIGRATE_LINT=level)
    assert done.returncode == 0, done.stderr
    assert indexes(unsafe) == 1


def test_a_plan_file_is_linted_too(unsafe: Project) -> None:
    made = unsafe.cli("plan", "--out", "plan.json")
    assert made.returncode == 0, made.stderr
    assert unsafe.cli("migrate", "--plan", "plan.json", "--lint", "warning").returncode == 1
    assert indexes(unsafe) == 0
    done = unsafe.cli("migrate", "--plan", "plan.json")
    assert done.returncode == 0, done.stderr


def test_the_plan_shows_and_then_refuses(unsafe: Project) -> None:
    done = unsafe.cli("plan", "--lint", "warning", "--out", "plan.json", "--format", "json")
    assert done.returncode == 1
    shown = json.loads(done.stdout)
    assert [finding["rule"] for finding in shown["findings"]] == ["index-not-concurrent"]
    assert [problem["code"] for problem in shown["error"]["problems"]] == ["lint"]
    assert json.loads((unsafe.root / "plan.json").read_text())["findings"] == shown["findings"]


def test_plan_dry_run_and_validate_report_the_same_findings(unsafe: Project) -> None:
    plan, dry_run = (
        json.loads(unsafe.cli(*command, "--format", "json").stdout) for command in (["plan"], ["migrate", "--dry-run"])
    )
    file = str(unsafe.directory / "V1.0.0-002__step.up.sql")
    validated = json.loads(unsafe.cli("validate", file, "--format", "json").stdout)
    assert plan["findings"] == dry_run["findings"] == validated["findings"] != []


def test_a_rollback_is_linted_as_down_files(unsafe: Project) -> None:
    unsafe.migrator().migrate()
    unsafe.add(2, UNSAFE, "drop table t;")
    done = unsafe.cli("rollback", "--steps", "1", "--yes", "--lint", "warning")
    assert done.returncode == 1
    assert "V1.0.0-002__step.down.sql:1:1" in done.stderr
    assert indexes(unsafe) == 1


def test_without_the_linter_a_run_works_and_lint_names_the_missing_extra(unsafe: Project) -> None:
    program = (
        "import importlib.util, sys\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'postgast' else found(name, *rest)\n"
        "from sqlmigrate.cli import main\n"
        "main()\n"
    )
    (unsafe.root / "without.py").write_text(program)

    def run(*arguments: str) -> tuple[int, str]:
        done = unsafe.run([sys.executable, "without.py", *arguments])
        return done.returncode, done.stdout + done.stderr

    code, said = run("migrate", "--lint", "error")
    assert (code, "pip install 'sqlmigrate[lint]'" in said) == (2, True)
    code, said = run("migrate", "--dry-run")
    assert (code, "not linted: pip install 'sqlmigrate[lint]'" in said) == (0, True)
    assert UNSAFE in said
    assert run("migrate")[0] == 0
    assert indexes(unsafe) == 1
