"""Errors of usage have the form of all other errors; help and version that cannot be written are errors."""

from __future__ import annotations

import subprocess

import pytest

from sqlmigrate.cli import main
from tests.project import Project


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ("migrate --nonsense", "no such option '--nonsense'", ""),
        ("migrate --targt v1", "no such option '--targt'", "did you mean --target?"),
        ("migrate -timeout=60m", "no such option '-timeout'", "did you mean --timeout?"),
        ("--dry-run migrate", "no such option '--dry-run'", "write it after the command: sqlmigrate COMMAND --dry-run"),
        ("migrat", "no such command 'migrat'", "did you mean migrate?"),
        ("rollback --steps 0", "invalid value for '--steps': 0 is not in the range x>=1", ""),
        ("rollback --steps", "option '--steps' requires an argument", ""),
        ("status --quiet=1", "option '--quiet' does not take a value", ""),
        ("baseline", "missing option '--version'", ""),
        ("approve", "missing argument 'FILE'", ""),
        ("status extra", "got unexpected extra argument (extra)", ""),
        ("info seven", "invalid value for '[VERSION]': 'seven' is not a version", "write a version such as v2.0.0-001"),
        ("history --since x", "invalid value for '--since': 'x' is neither a time nor an age", "write 2026-01-31"),
        (
            "status --format jsn",
            "invalid value for '--format': 'jsn' is not one of 'text', 'json'",
            "did you mean json?",
        ),
        ("completion", "missing argument '{bash|zsh|fish}'", "choose from bash, zsh, fish"),
        ("embedded", "missing argument '{start|stop|status|psql}'", "choose from start, stop, status, psql"),
        ("embedded strt", "invalid value for '{start|stop|status|psql}': 'strt' is not one of", "did you mean start?"),
        ("status --env-file nowhere", 'could not read file "nowhere": No such file or directory', ""),
    ],
)
def test_an_error_of_usage_has_the_form_of_other_errors(
    project: Project, arguments: str, message: str, hint: str
) -> None:
    run = project.cli(*arguments.split())
    name = arguments.split(maxsplit=1)[0]
    program = f"sqlmigrate {name}" if name in main.commands else "sqlmigrate"

    assert (run.returncode, run.stdout) == (2, "")
    first, *hints, last = run.stderr.splitlines()
    assert first.startswith(f"error: {message}")
    assert "".join(hints).startswith(f"  → {hint}" if hint else "")
    assert last == f"  → run `{program} --help`"


def test_a_variable_of_an_option_has_the_same_form(project: Project) -> None:
    for value, variable in (("x", "SQLMIGRATE_STEPS"), ("x", "SQLMIGRATE_DRY_RUN")):
        run = project.cli("rollback", **{variable: value})

        assert run.returncode == 2
        assert run.stderr.startswith("error: ")
        assert f"{variable}: 'x' is not" in run.stderr
        assert "Usage" not in run.stderr


def test_the_command_alone_shows_the_help(project: Project) -> None:
    run = project.cli()

    assert "Usage: sqlmigrate" in run.stdout + run.stderr
    assert "error:" not in run.stderr


def piped(project: Project, arguments: str, to: str) -> subprocess.CompletedProcess[str]:
    line = " ".join(project.command(*arguments.split()))
    return project.run(["bash", "-o", "pipefail", "-c", f"{line} {to}"])


@pytest.mark.parametrize("arguments", ["--help", "--version", "migrate --help", "completion bash"])
def test_a_text_that_cannot_be_written_is_an_error(project: Project, arguments: str) -> None:
    full = piped(project, arguments, ">/dev/full")
    closed = piped(project, arguments, "| true")

    assert (full.returncode, full.stderr) == (1, "error: could not write the result: No space left on device\n")
    assert (closed.returncode, closed.stderr) == (0, "")


def test_the_status_of_the_embedded_server_is_required(project: Project) -> None:
    run = piped(project, "embedded status --database-url embedded:data", ">/dev/full")

    assert (run.returncode, run.stderr) == (1, "error: could not write the result: No space left on device\n")
