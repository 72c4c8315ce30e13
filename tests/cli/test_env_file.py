"""`--env-file`: variables from a file, when asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.test_cli import add_series
from tests.project import Project
from tests.servers import ROOT


def without_database(project: Project) -> dict[str, str]:
    return {name: value for name, value in project.environment().items() if name != "DATABASE_URL"}


def run(project: Project, content: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    (project.root / ".env").write_text(content)
    return subprocess.run(
        project.command(*arguments),
        check=False,
        capture_output=True,
        text=True,
        cwd=project.root,
        env={**without_database(project), **environ},
    )


def test_the_database_comes_from_the_file(project: Project) -> None:
    add_series(project)
    content = f"# the database\nexport DATABASE_URL='{project.database}'\n\nSQLMIGRATE_TARGET=v1.0.0-001\n"

    assert run(project, content, "migrate", "--env-file", ".env").returncode == 0
    assert len(project.versions()) == 1
    done = run(project, content, "migrate", SQLMIGRATE_ENV_FILE=".env", SQLMIGRATE_TARGET="v1.0.0-002")
    assert (done.returncode, len(project.versions())) == (0, 2)


def test_no_file_is_read_unless_asked(project: Project) -> None:
    done = run(project, f"DATABASE_URL='{project.database}'\n", "status")

    assert (done.returncode, "no database is configured" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("environ", "arguments", "shown"),
    [
        ({}, (), "SQLMIGRATE_LOCK_RETRIES: '3x'"),
        ({"SQLMIGRATE_LOCK_RETRIES": "4x"}, (), "SQLMIGRATE_LOCK_RETRIES: '4x'"),
        ({"SQLMIGRATE_LOCK_RETRIES": "4x"}, ("--lock-retries", "5x"), "lock-retries: '5x'"),
    ],
)
def test_options_override_the_environment_which_overrides_the_file_of_variables(
    project: Project, environ: dict[str, str], arguments: tuple[str, ...], shown: str
) -> None:
    (project.root / "sqlmigrate.toml").write_text('lock_retries = "2x"\n')

    done = run(project, "SQLMIGRATE_LOCK_RETRIES=3x\n", "migrate", "--env-file", ".env", *arguments, **environ)

    assert (done.returncode, f"error: {shown} is not a number" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, 'could not read file ".env": No such file or directory'),
        (b"\xff\xfe", 'could not read file ".env": it is not UTF-8'),
        (b"A=1\n\nnot an assignment\n", ".env:3: the line is not an assignment\n  → write NAME=value"),
        (b"A=1\nB='secret\n", ".env:2: the line is not an assignment"),
        (b"A\n", ".env:1: the line is not an assignment"),
        (b"SQLMIGRATE_TARGETS=v1.0.0-001\n", "unknown variable SQLMIGRATE_TARGETS"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(project: Project, content: bytes | None, message: str) -> None:
    if content is not None:
        (project.root / ".env").write_bytes(content)

    done = project.cli("migrate", "--env-file", ".env")

    assert done.returncode == 2
    assert message in done.stderr
    assert "secret" not in done.stderr


def test_values_are_not_expanded(project: Project) -> None:
    done = run(project, "SQLMIGRATE_LOCK_RETRIES='${HOME}$HOME'\n", "migrate", "--env-file", ".env")

    assert "SQLMIGRATE_LOCK_RETRIES: '${HOME}$HOME' is not a number" in done.stderr


def test_the_library_is_imported_only_when_asked() -> None:
    program = "import sys; import sqlmigrate.cli, sqlmigrate.config.settings; print('dotenv' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT)

    assert done.stdout == "False\n"


def test_an_empty_variable_counts_as_not_set(project: Project) -> None:
    add_series(project)

    done = run(project, f"DATABASE_URL='{project.database}'\n", "migrate", "--env-file", ".env", DATABASE_URL="")

    assert (done.returncode, len(project.versions())) == (0, 2)
