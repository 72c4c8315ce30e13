"""`sqlmigrate completion`: what it prints, loaded by the shells themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT

LOADED = 'eval "$(sqlmigrate completion {name})"'
BASH = """
COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_sqlmigrate_completion sqlmigrate; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# What zsh's line editor would have: the words, and a place for what is found.
ZSH = """
_describe() {{ print -l -- ${{(P)3}} }}
words=({line}); CURRENT=${{#words}}
_sqlmigrate_completion
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where `sqlmigrate` is this tree's, run by this Python."""
    program = tmp_path / "sqlmigrate"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m sqlmigrate "$@"\n')
    program.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SQLMIGRATE_", "DATABASE_URL"))}
    path = f"{tmp_path}:{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "migrations").mkdir()
    for number in (1, 2):
        (tmp_path / "migrations" / f"V1.0.0-00{number}__a.up.sql").write_text("select 1;")
    (tmp_path / "migrations" / "R__a.sql").write_text("select 1;")
    (tmp_path / "sqlmigrate.toml").write_text('[environments.production]\ndatabase_url = "service=app"\n')
    return tmp_path


def lines(environment: dict[str, str], *command: str) -> list[str]:
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("sqlmigrate mig", ["migrate"]),
        ("sqlmigrate migrate --dry", ["--dry-run"]),
        ("sqlmigrate completion z", ["zsh"]),
        ("sqlmigrate status --format j", ["json"]),
        ("sqlmigrate generate --template f", ["foreign-key", "function"]),
        ("sqlmigrate migrate --target ''", ["v1.0.0-001", "v1.0.0-002"]),
        ("sqlmigrate rollback --version 1.0.0-002", ["1.0.0-002"]),
        ("sqlmigrate migrate --dir nowhere --target ''", []),
        ("sqlmigrate status --env pro", ["production"]),
        ("sqlmigrate validate --preset ''", ["safety", "all"]),
        ("sqlmigrate validate --fail-on no", ["notice"]),
        ("sqlmigrate generate --template inde", ["index"]),
        ("sqlmigrate rules index-not-c", ["index-not-concurrent"]),
    ],
)
def test_bash_completes(environment: dict[str, str], project: Path, line: str, found: list[str]) -> None:
    script = f"cd {project}; " + LOADED.format(name="bash") + BASH.format(line=line)

    assert [line for line in lines(environment, "bash", "--norc", "-c", script) if line] == found


@pytest.mark.parametrize("line", ["migrate --plan", "validate", "plan --html", "status --config", "status --dir"])
def test_an_argument_that_is_a_file_is_completed_by_the_shell(environment: dict[str, str], line: str) -> None:
    words = ["sqlmigrate", *line.split()]
    asked = {"_SQLMIGRATE_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words))}

    assert lines(environment | asked, "sqlmigrate") == ["file,", ""]


@pytest.mark.debian
def test_zsh_completes(environment: dict[str, str]) -> None:
    script = "compdef() { :; }; " + LOADED.format(name="zsh") + ZSH.format(line="sqlmigrate lock-s")

    assert "lock-status:Show the holder of the migration lock." in lines(environment, "zsh", "-f", "-c", script)


@pytest.mark.debian
def test_fish_completes(environment: dict[str, str]) -> None:
    script = 'sqlmigrate completion fish | source; complete -C "sqlmigrate lock-s"'

    assert "lock-status\tShow the holder of the migration lock." in lines(
        environment, "fish", "--no-config", "-c", script
    )


def test_an_unknown_shell_is_refused(environment: dict[str, str]) -> None:
    done = subprocess.run(["sqlmigrate", "completion", "tcsh"], check=False, capture_output=True, env=environment)

    assert done.returncode == 2
