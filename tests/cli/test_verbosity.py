"""`--quiet` and `--verbose` of every command."""

from __future__ import annotations

import json
import re

import click
import pytest

from sqlmigrate.cli import main
from tests.cli.test_cli import add_series, on_terminal
from tests.project import Project

# Commands that change something, and commands whose output is the answer to a question.
SILENT = {
    "migrate": (),
    "rollback": ("--steps", "1", "--yes"),
    "approve": ("plan.json", "--yes"),
    "baseline": ("--version", "v1.0.0-002"),
    "repair": ("--yes",),
    "cleanup": ("--keep-days", "30"),
    "force-unlock": ("--yes",),
    "renumber": ("--yes",),
    "init": ("new",),
}
ANSWERS = {
    "plan": ((), "create table t2"),
    "status": ((), "v1.0.0-001"),
    "info": (("v1.0.0-001",), "checksum"),
    "check": ((), "1 pending"),
    "validate": ((), "valid"),
    "history": ((), "apply"),
    "lock-status": ((), "nobody holds"),
    "metrics": ((), "migration_"),
    "generate": (("step",), ".up.sql"),
    "rules": ((), "drop-table"),
    "completion": (("bash",), "complete"),
}


def prepared(project: Project) -> Project:
    add_series(project)
    project.cli("migrate", "--target", "v1.0.0-001")
    project.cli("plan", "--out", "plan.json")
    return project


def test_every_command_is_tested() -> None:
    assert set(SILENT) | set(ANSWERS) | {"embedded"} == set(main.commands)


@pytest.mark.parametrize("name", main.commands)
def test_every_command_has_both_options(name: str) -> None:
    flags = {flag for option in main.commands[name].params if isinstance(option, click.Option) for flag in option.opts}
    assert {"--quiet", "-q", "--verbose", "-v"} <= flags


@pytest.mark.parametrize("name", SILENT)
def test_a_quiet_command_that_changes_something_prints_nothing(project: Project, name: str) -> None:
    run = prepared(project).cli(name, *SILENT[name], "--quiet")

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ANSWERS)
def test_a_quiet_command_that_reports_prints_its_answer(project: Project, name: str) -> None:
    arguments, answer = ANSWERS[name]

    run = prepared(project).cli(name, *arguments, "-q")

    assert answer in run.stdout
    assert run.stderr == ""


def test_a_quiet_command_prints_its_error(project: Project) -> None:
    project.add(1, "select 1 / 0")

    run = project.cli("migrate", "--quiet")

    assert (run.returncode, run.stdout) == (1, "")
    assert "division by zero" in run.stderr


def test_a_quiet_command_prints_no_warning_and_no_notice(project: Project) -> None:
    project.add(1, "do $$ begin raise warning 'hear'; end $$;")
    project.write("V1.0.0-002__x.sql.txt", "")
    project.add(3, "-- nothing")

    for command in ("migrate", "status"):
        assert project.cli(command, "--quiet").stderr == ""


def test_a_quiet_command_still_asks(project: Project) -> None:
    prepared(project)

    code, screen = on_terminal(project, "rollback", "--steps", "1", "--quiet", answer="n\n")

    assert code == 2
    assert "rollback   v1.0.0-001" in re.sub(r"\x1b\[[\d;]*[mK]", "", screen).replace("roll back", "rollback ")
    assert "Roll back?" in screen


def test_a_quiet_command_writes_its_log_file_and_its_json(project: Project) -> None:
    add_series(project)

    run = project.cli("migrate", "--quiet", "--log-file", "run.log", "--format", "json")

    assert len(json.loads(run.stdout)["steps"]) == 2
    assert run.stderr == ""
    assert "finished" in (project.root / "run.log").read_text()


def test_quiet_and_verbose_exclude_each_other(project: Project) -> None:
    run = project.cli("status", "--quiet", "--verbose")

    assert (run.returncode, "--quiet and --verbose cannot be combined" in run.stderr) == (2, True)
    assert project.cli("status", "--quiet", SQLMIGRATE_VERBOSE="true").returncode == 0
