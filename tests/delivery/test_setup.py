"""Tests the make targets and scripts/migrate-setup.sh in a fresh checkout, without an existing database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.delivery.workflows import checkout

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creates a checkout with a database that scripts/migrate-setup.sh has created."""
    directory = tmp_path_factory.mktemp("checkout")
    checkout(directory)
    assert "migrations applied" in run(directory, "scripts/migrate-setup.sh")
    return directory


def run(directory: Path, *command: str, code: int = 0, **environment: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SQLMIGRATE_", "DATABASE_"))}
    variables = {"PATH": f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}", **environment}
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=directory,
        env=inherited | variables,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def applied(tree: Path) -> int:
    return len(re.findall(r"^.*\bv\d\S+ .*applied", run(tree, "make", "migrate-status"), re.MULTILINE))


def test_a_second_setup_changes_nothing(tree: Path) -> None:
    assert "migrations applied" not in run(tree, "scripts/migrate-setup.sh")


def test_setup_rolls_back_to_a_version_and_migrates_again(tree: Path) -> None:
    count = applied(tree)

    run(tree, "scripts/migrate-setup.sh", "--rollback", "--target", "v2.0.0-001")
    assert applied(tree) == 3
    run(tree, "make", "migrate-check", code=2)  # make's own code for a target that failed
    run(tree, "make", "migrate-setup")

    assert applied(tree) == count


@pytest.mark.parametrize(
    ("target", "output"),
    [
        (("migrate",), ""),
        (("migrate-validate",), ""),
        (("migrate-info", "VERSION=v2.0.0-001"), "create_alert_channels"),
        (("migrate-check",), ""),
        (("migrate-verify",), ""),
        (("migrate-cleanup", "DAYS=30"), ""),
        (("migrate-rollback", "VERSION=v2.0.0-017", "YES=1"), ""),
        (("migrate-build",), ""),
        (("help",), "migrate-docker-status"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_target_succeeds(tree: Path, target: tuple[str, ...], output: str) -> None:
    assert output in run(tree, "make", *target)


def test_a_rollback_without_a_version_shows_the_usage(tree: Path) -> None:
    assert "make migrate-rollback VERSION=v2.0.0-001" in run(tree, "make", "migrate-rollback", code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "unknown option --nonsense"),
        (["--rollback"], "--rollback and --target VERSION require each other"),
        (["--target", "v1.0.0-001"], "--rollback and --target VERSION require each other"),
        (["--target"], "--target requires a version"),
        (["--rollback", "--target", "v1.0.0-001", "--clean"], "--rollback and --clean cannot be combined"),
    ],
)
def test_invalid_arguments_print_the_error_and_the_usage(tree: Path, arguments: list[str], message: str) -> None:
    output = run(tree, "scripts/migrate-setup.sh", *arguments, code=2)

    assert output.startswith(f"migrate-setup: {message}\n")
    assert "migrate-setup.sh --docker " in output


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_printed_and_is_no_error(tree: Path, option: str) -> None:
    assert "migrate-setup.sh --docker " in run(tree, "scripts/migrate-setup.sh", option)


def test_clean_does_not_remove_the_database_of_database_url(tree: Path) -> None:
    output = run(tree, "scripts/migrate-setup.sh", "--clean", code=2, DATABASE_URL="postgresql://db.internal/app")

    assert "not the database of DATABASE_URL" in output


def test_clean_creates_a_new_database(tree: Path) -> None:
    assert "migrations applied" in run(tree, "make", "migrate-setup-clean")
