"""`--log-file`, `--log-format` and `--log-level`: what the person on call greps, and what a program reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.waiting import running, until, until_asleep
from tests.project import Project
from tests.servers import ROOT

pytestmark = pytest.mark.anywhere


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "sqlmigrate.log"


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def failures(log: Path) -> list[str]:
    """What `grep ERROR` finds."""
    return subprocess.run(["grep", "ERROR", str(log)], check=False, capture_output=True, text=True).stdout.splitlines()


def test_a_log_has_one_line_for_each_event(project: Project, log: Path) -> None:
    project.add(1, "create table a (id int);")

    run = project.cli("migrate", "--log-file", str(log), "--log-level", "debug")

    assert run.returncode == 0, run.stderr
    assert "✓ v1.0.0-001" in run.stderr
    began, running_, ran, finished = log.read_text().splitlines()
    assert " DEBUG began steps=1 pid=" in began
    assert " DEBUG running version=v1.0.0-001 " in running_
    assert ' DEBUG ran version=v1.0.0-001 action=apply line=1 statement="create table a (id int)" duration_ms=' in ran
    assert " INFO  finished version=v1.0.0-001 action=apply duration_ms=" in finished
    [[run_id]] = project.query("select distinct run_id from migrations_log")
    assert finished.endswith(f" run={run_id}")


def test_json_goes_to_the_file_and_text_to_the_terminal(project: Project, log: Path) -> None:
    project.add(1, "create table a (id int);")
    project.add(2, "create table b (id int);\nselect 1 / 0;")

    run = project.cli("migrate", SQLMIGRATE_LOG_FILE=str(log), SQLMIGRATE_LOG_FORMAT="json")

    assert run.returncode == 1
    assert "  ✓ v1.0.0-001" in run.stderr
    assert "error: " in run.stderr
    finished, failed = objects(log.read_text())
    assert finished["event"] == "finished"
    assert failed["run"] == finished["run"]
    assert failed["pid"] == finished["pid"]
    assert failed["kind"] == "MigrationFailed"
    assert failed["version"] == "v1.0.0-002"
    assert failed["sqlstate"] == "22012"
    assert failed["location"].endswith("/V1.0.0-002__step.up.sql:2:1")


def test_without_a_file_json_replaces_the_text_on_stderr(project: Project) -> None:
    project.add(1, "create table a (id int);")
    project.add(2, "select 1 / 0;")

    run = project.cli("migrate", "--log-format", "json", "--format", "json")

    assert [line["event"] for line in objects(run.stderr)] == ["finished", "failed"]
    assert json.loads(run.stdout)["error"]["kind"] == "MigrationFailed"


def test_text_without_a_file_changes_nothing(project: Project) -> None:
    project.add(1, "select 1 / 0;")

    plain, asked = project.cli("migrate"), project.cli("migrate", "--log-format", "text")

    assert asked.stderr == plain.stderr
    assert asked.stdout == plain.stdout


@pytest.mark.parametrize(("level", "kept"), [("error", 0), ("warning", 1), ("info", 2)])
def test_the_log_has_the_level_of_the_progress(project: Project, log: Path, level: str, kept: int) -> None:
    project.add(1, "do $$ begin raise warning 'careful'; end $$;")

    run = project.cli("migrate", "--log-file", str(log), "--log-level", level)

    assert run.returncode == 0, run.stderr
    assert len(log.read_text().splitlines()) == kept
    assert len(run.stderr.splitlines()) == kept


@pytest.mark.parametrize(
    ("arguments", "environment", "kind"),
    [
        (("migrate",), {}, "kind=MigrationFailed"),
        (("status",), {"DATABASE_URL": "host=/nowhere"}, "kind=ConnectionFailed"),
        (("migrate", "--target", "9.9.9-999"), {}, "kind=PlanRefused"),
        (("rollback",), {}, 'kind=ConfigurationError message="exactly one of --version and --steps is required"'),
        (("check", "--dir", "nowhere"), {}, "kind=ConfigurationError"),
        (("status",), {"DATABASE_URL": ""}, 'kind=ConfigurationError message="no database is configured"'),
        (("status", "--config", "nowhere.toml"), {}, "kind=ConfigurationError"),
        (("migrate", "--backup", "/proc/nowhere"), {}, "kind=BackupFailed"),
    ],
)
def test_grep_finds_every_failure(
    project: Project, log: Path, arguments: tuple[str, ...], environment: dict[str, str], kind: str
) -> None:
    project.add(1, "select 1 / 0;\n-- one\n-- two")

    run = project.cli(*arguments, SQLMIGRATE_LOG_FILE=str(log), **environment)

    assert run.returncode != 0
    [line] = failures(log)
    assert f" ERROR failed {kind}" in line


def test_a_signal_is_a_failure_in_the_log(project: Project, log: Path) -> None:
    project.add(1, "select pg_sleep(60);")
    with running(project, "migrate", "--log-file", str(log)) as process:
        until_asleep(project)
        process.terminate()
        process.wait()

    [line] = failures(log)
    assert 'message="v1.0.0-001 failed: interrupted by SIGTERM"' in line


def test_an_internal_error_is_a_failure_in_the_log(project: Project, log: Path) -> None:
    faulty = project.root / "sitecustomize.py"
    faulty.write_text("import sqlmigrate.planning.planner\nsqlmigrate.planning.planner.statuses = None\n")

    run = project.cli("migrate", "--log-file", str(log), PYTHONPATH=f"{project.root}{os.pathsep}{ROOT}")

    assert run.returncode == 1
    assert "TypeError: 'NoneType' object is not callable" in run.stderr
    [line] = failures(log)
    assert 'kind=SqlMigrateError message="internal error: TypeError"' in line


def test_a_log_file_that_was_moved_is_created_again(project: Project, log: Path) -> None:
    project.query("create table gate (is_open bool)", "insert into gate values (false)")
    wait = "perform from gate where is_open; exit when found; perform pg_sleep(0.02); commit;"
    project.add(1, "create table a (id int);")
    project.add(2, f"do $$ begin loop {wait} end loop; end $$;")
    with running(project, "migrate", "--log-file", str(log)) as process:
        until(lambda: "v1.0.0-001" in log.read_text() if log.exists() else False)
        log.rename(log.with_suffix(".1"))
        project.query("update gate set is_open = true")
        process.communicate()

    assert process.returncode == 0
    assert "finished version=v1.0.0-001" in log.with_suffix(".1").read_text()
    assert "finished version=v1.0.0-002" in log.read_text()
    assert "finished version=v1.0.0-002" not in log.with_suffix(".1").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--log-file", "/nowhere/log"),
            'could not open log file "/nowhere/log": No such file or directory\n  → create directory "/nowhere"\n',
        ),
        (("--log-format", "xml"), "log-format: 'xml' is not one of text, json"),
    ],
)
def test_a_log_file_that_cannot_be_opened_is_reported_before_the_run(
    project: Project, arguments: tuple[str, ...], message: str
) -> None:
    project.add(1, "create table a (id int);")

    run = project.cli("migrate", *arguments)

    assert run.returncode == 2
    assert message in run.stderr
    assert project.value("select to_regclass('a') is null")


def test_a_full_disk_is_one_warning_and_the_run_goes_on(project: Project) -> None:
    for number in range(1, 4):
        project.add(number, f"create table t{number} (id int);")

    run = project.cli("migrate", "--log-file", "/dev/full", "--log-level", "debug")

    assert run.returncode == 0
    assert run.stderr.count('warning: could not write log file "/dev/full": No space left on device') == 1
    assert len(project.versions()) == 3
    assert "Exception" not in run.stderr


def test_the_configuration_file_may_name_the_log_file(project: Project) -> None:
    project.add(1, "create table a (id int);")
    (project.root / "sqlmigrate.toml").write_text('log_file = "run.log"\nlog_format = "json"\n')

    run = project.cli("migrate")

    assert run.returncode == 0, run.stderr
    assert [line["event"] for line in objects((project.root / "run.log").read_text())] == ["finished"]


def test_a_run_with_nothing_to_do_loads_no_logging(project: Project) -> None:
    project.add(1, "select 1")
    project.cli("migrate")
    late = [
        "sqlmigrate.cli.logs",
        "sqlmigrate.cli.notify",
        "sqlmigrate.execution.backup",
        "logging.handlers",
        "urllib.request",
    ]
    program = (
        "import sys; from sqlmigrate.cli import main; main(['migrate'], standalone_mode=False);"
        f"print([name for name in {late} if name in sys.modules])"
    )

    run = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=project.root,
        env=project.environment(PYTHONPATH=str(ROOT)),
    )

    assert run.stdout.splitlines() == ["nothing to do", "[]"]
