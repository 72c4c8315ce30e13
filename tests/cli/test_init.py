"""`init`: from an empty directory to a project that migrates, and none that is there already is harmed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from sqlmigrate.authoring.scaffold import Outcome, init, with_hook
from sqlmigrate.config import settings
from tests.project import Project
from tests.scratch import Scratch

pytestmark = pytest.mark.anywhere

BIN = Path(sys.executable).parent
FILES = [
    ".github/workflows/migrations.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    "migrations/V1.0.0-001__create_notes.down.sql",
    "migrations/V1.0.0-001__create_notes.up.sql",
    "sqlmigrate.toml",
]


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def outcomes(root: Path) -> dict[str, tuple[Outcome, str]]:
    return {str(Path(entry.path).relative_to(root)): (entry.outcome, entry.note) for entry in init(str(root))}


def hooks(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(text)["repos"]
    return found


def test_from_nothing_to_a_migrated_database(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    made = scratch.run("init", "app")
    assert made.returncode == 0
    assert "created   app/sqlmigrate.toml" in made.stdout
    assert "  cd app\n  sqlmigrate migrate" in made.stdout

    app = Scratch(tmp_path / "app")
    assert sorted(contents(app.root)) == FILES
    for command in ("migrate", "status", "check", "validate", "validate migrations --preset all"):
        done = app.run(*command.split())
        assert done.returncode == 0, done.stdout + done.stderr
    assert app.run("rollback", "--steps", "1", "--yes").returncode == 0


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    init(str(tmp_path))
    before = contents(tmp_path)

    assert {outcome for outcome, _ in outcomes(tmp_path).values()} == {Outcome.KEPT}
    assert contents(tmp_path) == before
    shown = Scratch(tmp_path).json("init")["files"]
    assert [entry["outcome"] for entry in shown] == ["kept"] * 5
    assert "kept      migrations (it already contains migrations)" in Scratch(tmp_path).run("init").stdout


def test_existing_files_are_not_changed(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    scratch.write("sqlmigrate.toml", 'dir = ["db/sql"]\n')
    scratch.write("db/sql/V3.0.0-001__mine.up.sql", "select 1;")
    scratch.write(".gitignore", "*.pyc")
    scratch.write(".github/workflows/migrations.yml", "name: mine\n")
    before = contents(tmp_path)

    assert outcomes(tmp_path) == {
        "sqlmigrate.toml": (Outcome.KEPT, "it already exists"),
        "db/sql": (Outcome.KEPT, "it already contains migrations"),
        ".gitignore": (Outcome.EXTENDED, ""),
        ".pre-commit-config.yaml": (Outcome.CREATED, ""),
        ".github/workflows/migrations.yml": (Outcome.KEPT, "it already exists"),
    }
    after = contents(tmp_path)
    assert after[".gitignore"] == "*.pyc\n/.postgres/\n"
    assert r"files: ^db/sql/.*\.sql$" in after[".pre-commit-config.yaml"]
    assert {name: after[name] for name in before if name != ".gitignore"} == {
        name: text for name, text in before.items() if name != ".gitignore"
    }


@pytest.mark.parametrize(
    ("text", "configured"),
    [('[tool.sqlmigrate]\ndir = "sql"\n', True), ('[project]\ndependencies = ["sqlmigrate"]\n', False)],
)
def test_a_pyproject_with_a_table_for_sqlmigrate_is_the_configuration(
    tmp_path: Path, text: str, *, configured: bool
) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    init(str(tmp_path))

    assert (tmp_path / "sqlmigrate.toml").exists() != configured
    assert (tmp_path / ("sql" if configured else "migrations") / "V1.0.0-001__create_notes.up.sql").exists()


def test_every_setting_in_the_configuration_can_be_used(tmp_path: Path) -> None:
    init(str(tmp_path))
    path = tmp_path / "sqlmigrate.toml"
    path.write_text(re.sub(r"^# (?=\[|\w+ = )", "", path.read_text(), flags=re.MULTILINE))

    said = tomllib.loads(path.read_text())
    assert {*said} == {"dir", "database_url", "lock_timeout", "lock_retries", "lint", "environments"}
    assert said["lint"].keys() == {"history", "postgres_version", "since", "fail_on"}
    assert settings.load({}, {}, str(path), "production").lock_wait == 600_000
    assert settings.load({}, {}, str(path)).database == f"embedded:{tmp_path}/.postgres"
    assert Scratch(tmp_path).run("validate", "migrations").returncode == 0


def test_only_a_new_project_has_a_complete_history(tmp_path: Path) -> None:
    (tmp_path / "old" / "migrations").mkdir(parents=True)
    (tmp_path / "old" / "migrations" / "V1.0.0-001__a.up.sql").write_text("select 1;")
    for name in ("new", "old"):
        init(str(tmp_path / name))
    lint = {name: tomllib.loads((tmp_path / name / "sqlmigrate.toml").read_text())["lint"] for name in ("new", "old")}
    assert lint == {"new": {"history": "complete"}, "old": {}}


CONFIGURED = """\
# ours
repos:
{indent}- repo: https://example.org/x   # pinned
{indent}  rev: v1
{indent}  hooks: [{{id: a}}]
"""


@pytest.mark.parametrize("indent", ["", "  ", "    "])
@pytest.mark.parametrize("behind", ["", "\n", "\n# the rest\nci:\n  autofix_prs: false\n"])
def test_a_hook_is_added_to_existing_hooks(indent: str, behind: str) -> None:
    text = CONFIGURED.format(indent=indent) + behind
    extended = with_hook(text, "- repo: local\n  hooks:\n    - id: b\n") or ""

    assert [hook["repo"] for hook in hooks(extended)] == ["https://example.org/x", "local"]
    assert yaml.safe_load(extended).keys() == yaml.safe_load(text).keys()
    added = {"- repo: local", "hooks:", "- id: b"}
    assert [line for line in extended.splitlines() if line.strip() not in added] == text.splitlines()


@pytest.mark.parametrize("text", ["repos: []\n", "repos: [{repo: meta, hooks: [{id: identity}]}]\n", "ci: {}\n"])
def test_a_hook_that_cannot_be_added_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / ".pre-commit-config.yaml").write_text(text)

    outcome, note = outcomes(tmp_path)[".pre-commit-config.yaml"]
    assert outcome is Outcome.KEPT
    assert note.startswith("add this to its `repos`:\n- repo: local")
    assert (tmp_path / ".pre-commit-config.yaml").read_text() == text


def test_pre_commit_lints_the_committed_files(tmp_path: Path) -> None:
    init(str(tmp_path))
    (tmp_path / "migrations" / "V1.0.0-002__index.up.sql").write_text("create index i on notes (body);\n")
    git = {name: os.environ.get(name, "") for name in ("HOME", "XDG_CACHE_HOME") if os.environ.get(name)}
    environment = {**git, "PATH": f"{BIN}:{os.environ['PATH']}", "PRE_COMMIT_HOME": str(tmp_path / ".cache")}
    for command in (["init", "-q"], ["add", "migrations", ".pre-commit-config.yaml"]):
        subprocess.run(["git", *command], check=True, cwd=tmp_path, env=environment)

    done = subprocess.run(
        [BIN / "pre-commit", "run"], check=False, capture_output=True, text=True, cwd=tmp_path, env=environment
    )

    assert done.returncode == 1
    assert "[index-not-concurrent]" in done.stdout


def test_the_steps_of_the_workflow_pass(project: Project) -> None:
    shutil.rmtree(project.directory)
    init(str(project.root))
    (job,) = yaml.safe_load((project.root / ".github/workflows/migrations.yml").read_text())["jobs"].values()
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    environment = {**project.environment(), "PATH": f"{BIN}:{os.environ['PATH']}"}
    environment.pop("SQLMIGRATE_DIR")

    assert scripts[0].startswith("pip install")  # from an index that has us
    for script in scripts[1:]:
        done = subprocess.run(
            ["bash", "-e", "-c", script], check=False, capture_output=True, text=True, cwd=project.root, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert project.versions() == [("v1.0.0-001", True)]


def test_a_workflow_below_the_root_of_the_repository_is_reported(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], check=True, cwd=tmp_path)

    assert outcomes(tmp_path / "app")[".github/workflows/migrations.yml"] == (
        Outcome.CREATED,
        f"GitHub reads workflows only in {tmp_path}",
    )


def test_a_file_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / ".gitignore").write_bytes(b"\xff")

    done = Scratch(tmp_path).run("init", "file")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'could not write file "file' in done.stderr
    assert "is not UTF-8" in Scratch(tmp_path).run("init", "app").stderr
