"""The workflows: read by actionlint, their steps run as a runner runs them, their permissions the least."""

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
# The database that a job's service would be, under the job's own names for it.
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
    (step,) = [one["run"] for one in jobs("migration-test.yml")["quality"]["steps"] if "validate" in one.get("run", "")]
    done = subprocess.run([*SHELL, step], check=False, capture_output=True, text=True, cwd=directory)
    assert done.returncode == 1
    return done.stdout


@pytest.mark.container
@pytest.mark.workflow
def test_the_steps_of_the_job_with_containers_build_the_image(tmp_path: Path) -> None:
    steps = jobs("migration-test.yml")["container"]["steps"]
    (itself,) = [step for step in steps if step.get("run") == "make test-containers"]
    others = [step for step in steps if step is not itself]

    Run(tmp_path, {}, {}).steps(others, {})


def test_every_job_is_run_here() -> None:
    assert set(jobs("migration-test.yml")) == {"basic", "quality", "matrix", "container"}


@pytest.mark.workflow
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "GOBIN": str(tmp_path)}
    subprocess.run(["go", "install", ACTIONLINT], check=True, env=environment)

    init(str(tmp_path / "new"))
    made = tmp_path / "new" / ".github" / "workflows" / "migrations.yml"

    done = subprocess.run(
        [tmp_path / "actionlint", *WORKFLOWS, made], check=False, capture_output=True, text=True, cwd=tmp_path
    )

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_unless_a_job_says_so(path: Path) -> None:
    assert read(path)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda path: path.name)
def test_actions_are_pinned_and_no_script_has_another_s_text_in_it(path: Path) -> None:
    text = path.read_text()

    for used in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", used), used
    steps = [step for job in read(path).get("jobs", {"": read(path).get("runs")}).values() for step in job["steps"]]
    assert not [step for step in steps if "${{" in step.get("run", "")]


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "1 migration applied"),
        ({"command": "migrate", "args": '--dry-run\n--target "v1.0.0-001"'}, "create table t"),
    ],
)
def test_the_action_runs_a_command(project: Project, tmp_path: Path, inputs: dict[str, str], said: str) -> None:
    project.add(1, "create table t (a int);")
    action = read(ROOT / "action.yml")
    given = {name: str(one["default"]) for name, one in action["inputs"].items()} | {"python": sys.executable} | inputs
    values = {f"inputs.{name}": value for name, value in given.items()}
    places = {"github.action_path": str(ROOT), "runner.temp": str(tmp_path / "temp")}

    output = Run(project.root, {"DATABASE_URL": project.database}, {**values, **places}).steps(
        action["runs"]["steps"], {}
    )

    assert said in output
