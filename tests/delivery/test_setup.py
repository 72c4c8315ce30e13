"""The make targets and scripts/migrate-setup.sh, in a fresh checkout, on a database that is not there yet."""

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
    """A checkout with a database that scripts/migrate-setup.sh made."""
    directory = tmp_path_factory.mktemp("checkout")
    checkout(directory)
    assert "migrations applied" in run(directory, "scripts/migrate-setup.sh")
    return directory


def run(directory: Path, *command: str, code: int = 0, **environment: str) -> str:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SQLMIGRATE_", "DATABASE_"))}
    own = {"PATH": f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}", **environment}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=directory, env=kept | own, stdin=subprocess.DEVNULL
    )
    assert done.returncode == code, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def applied(tree: Path) -> int:
    return len(re.findall(r"^.*\bv\d\S+ .*applied", run(tree, "make", "migrate-status"), re.MULTILINE))


def test_setting_up_again_changes_nothing(tree: Path) -> None:
    assert "migrations applied" not in run(tree, "scripts/migrate-setup.sh")


def test_going_back_to_a_version_and_on_again(tree: Path) -> None:
    everything = applied(tree)

    run(tree, "scripts/migrate-setup.sh", "--rollback", "--target", "v2.0.0-001")
    assert applied(tree) == 3
    run(tree, "make", "migrate-check", code=2)  # make's own code for a target that failed
    run(tree, "make", "migrate-setup")

    assert applied(tree) == everything


@pytest.mark.parametrize(
    ("target", "said"),
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
def test_a_target_does_what_it_says(tree: Path, target: tuple[str, ...], said: str) -> None:
    assert said in run(tree, "make", *target)


def test_a_rollback_without_a_version_says_how(tree: Path) -> None:
    assert "make migrate-rollback VERSION=v2.0.0-001" in run(tree, "make", "migrate-rollback", code=2)


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--rollback"], ["--target", "v1.0.0-001"], ["--target"]])
def test_what_is_not_understood_changes_nothing(tree: Path, arguments: list[str]) -> None:
    assert "migrate-setup.sh" in run(tree, "scripts/migrate-setup.sh", *arguments, code=2)


def test_a_database_of_others_is_not_cleaned_away(tree: Path) -> None:
    said = run(tree, "scripts/migrate-setup.sh", "--clean", code=2, DATABASE_URL="postgresql://db.internal/app")

    assert "not the database of DATABASE_URL" in said


def test_clean_begins_anew(tree: Path) -> None:
    assert "migrations applied" in run(tree, "make", "migrate-setup-clean")
