"""Tests the workflows: actionlint accepts them, their steps succeed, and their permissions are minimal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sqlmigrate.authoring.scaffold import init
from tests.delivery.workflows import SHELL, Run, jobs, read
from tests.project import Project
from tests.servers import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
# The variable in which each job passes the database of its service.
DATABASE = {"basic": "DATABASE_URL", "matrix": "SQLMIGRATE_TEST_SERVER"}


def run_job(name: str, directory: Path, environment: dict[str, str]) -> str:
    job = jobs("migration-test.yml")[name]
    values = {"matrix.python": "3.11", "matrix.postgres": "18"}
    return Run(directory, environment, values).steps(job["steps"], job.get("env", {}))


@pytest.mark.workflow
@pytest.mark.parametrize("name", ["basic", "quality", "matrix"])
def test_the_steps_of_a_job_pass(name: str, project: Project, tmp_path: Path) -> None:
    directory = tmp_path / "checkout"
    directory.mkdir()

    run_job(name, directory, {DATABASE[name]: project.database} if name in DATABASE else {})

    if name == "basic":
        assert project.value("select bool_and(success) from migrations")
    if name == "quality":
        assert "::warning file=migrations/V9.0.0-001__unsafe.up.sql,line=1" in lint_of_an_unsafe_file(directory)


def lint_of_an_unsafe_file(directory: Path) -> str:
    (directory / "migrations" / "V9.0.0-001__unsafe.up.sql").write_text("create index i on rules (id);\n")
    steps = jobs("migration-test.yml")["quality"]["steps"]
    (script,) = [step["run"] for step in steps if "validate" in step.get("run", "")]
    done = subprocess.run([*SHELL, script], check=False, capture_output=True, text=True, cwd=directory)
    assert done.returncode == 1
    return done.stdout


@pytest.mark.container
@pytest.mark.workflow
def test_the_steps_of_the_job_with_containers_build_the_image(tmp_path: Path) -> None:
    steps = jobs("migration-test.yml")["container"]["steps"]
    (test_step,) = [step for step in steps if step.get("run") == "make test-containers"]
    others = [step for step in steps if step is not test_step]

    Run(tmp_path, {}, {}).steps(others, {})


def test_each_job_has_a_test() -> None:
    assert set(jobs("migration-test.yml")) == {"basic", "quality", "matrix", "container"}


@pytest.mark.workflow
def test_actionlint_reports_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "GOBIN": str(tmp_path)}
    subprocess.run(["go", "install", ACTIONLINT], check=True, env=environment)

    init(str(tmp_path / "new"))
    generated = tmp_path / "new" / ".github" / "workflows" / "migrations.yml"

    done = subprocess.run(
        [tmp_path / "actionlint", *WORKFLOWS, generated], check=False, capture_output=True, text=True, cwd=tmp_path
    )

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_only_read_permissions_by_default(path: Path) -> None:
    assert read(path)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda path: path.name)
def test_actions_are_pinned_and_scripts_contain_no_expressions(path: Path) -> None:
    text = path.read_text()

    for action in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action), action
    steps = [step for job in read(path).get("jobs", {"": read(path).get("runs")}).values() for step in job["steps"]]
    assert not [step for step in steps if "${{" in step.get("run", "")]


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "1 migration applied"),
        ({"command": "migrate", "args": '--dry-run\n--target "v1.0.0-001"'}, "create table t"),
        ({"command": "plan"}, "ACCESS EXCLUSIVE|digest"),
        ({"command": "validate", "args": "migrations/V1.0.0-001__step.up.sql"}, "no findings in 1 file"),
        ({"command": "metrics"}, "migration_up"),
        ({"command": "metrics", "extras": "metrics"}, "migration_up"),
        ({"command": "status", "extras": ""}, "1 pending"),
    ],
)
def test_the_action_runs_a_command(project: Project, tmp_path: Path, inputs: dict[str, str], text: str) -> None:
    project.add(1, "create table t (a int);")
    action = read(ROOT / "action.yml")
    defaults = {name: str(description["default"]) for name, description in action["inputs"].items()}
    chosen = defaults | {"python": sys.executable} | inputs
    values = {f"inputs.{name}": value for name, value in chosen.items()}
    paths = {"github.action_path": str(ROOT), "runner.temp": str(tmp_path / "temp")}

    output = Run(project.root, {"DATABASE_URL": project.database}, {**values, **paths}).steps(
        action["runs"]["steps"], {}
    )

    assert re.search(text, output), output
