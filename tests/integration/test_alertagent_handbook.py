"""AlertAgent's handbook: each of its commands is on docs/alertagent.md, is explained, and its replacement works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sqlmigrate.cli import main
from sqlmigrate.cli.alertagent import refusal
from tests.project import Project
from tests.servers import ROOT

pytestmark = pytest.mark.anywhere  # AlertAgent requires PostgreSQL 15


def words(text: str) -> set[str]:
    return set(text.split())


PAGE = (ROOT / "docs" / "alertagent.md").read_text()
ROWS = re.findall(r"^\| `([^`]+)` \| (?:`([^`]+)`)?[^|]*\|", PAGE, re.MULTILINE)
COMMANDS = [(old, new) for old, new in ROWS if old.startswith("./bin/migrate")]
TARGETS = [old for old, _ in ROWS if old.startswith(("make ", "scripts/"))]
# What the handbook's `docs/database-migration.md`, its Makefile and the tool's help contain.
ACTIONS = words("migrate rollback status validate repair info cleanup check lock-status force-unlock generate")
MAKE = words(
    "migrate-build migrate migrate-status migrate-validate migrate-info migrate-rollback migrate-cleanup"
    " migrate-check migrate-setup migrate-setup-clean migrate-verify migrate-docker-build migrate-docker"
    " migrate-docker-status migrate-docker-validate"
)
VARIABLES = words("DB_HOST DB_PORT DB_USER DB_PASSWORD DB_NAME MIGRATION_CONCURRENCY MIGRATION_TIMEOUT LOG_LEVEL")


def test_the_page_contains_the_whole_handbook() -> None:
    assert {match[1] for old, _ in COMMANDS if (match := re.search(r"-action=([\w-]+)", old))} == ACTIONS
    assert {old.split()[1] for old in TARGETS if old.startswith("make")} == MAKE
    assert {old for old, _ in ROWS} >= VARIABLES


@pytest.mark.parametrize(("old", "new"), COMMANDS)
def test_the_old_command_line_is_answered_with_the_new_one(old: str, new: str, project: Project) -> None:
    done = project.cli(*shlex.split(old)[1:])

    assert done.returncode == 2
    assert done.stdout == ""
    assert f"→ run {new}\n" in done.stderr
    assert "secret" not in done.stderr


def test_each_new_command_of_the_page_runs(project: Project) -> None:
    shutil.copytree(ROOT / "migrations", project.directory, dirs_exist_ok=True)
    for _, new in COMMANDS:
        arguments = shlex.split(new)[1:]
        if "--db-host" in arguments:  # the server of the tests has another address
            continue
        if arguments[0] in ("rollback", "repair", "force-unlock"):
            arguments.append("--yes")
        done = project.cli(*arguments)
        assert done.returncode == 0, (new, done.stdout, done.stderr)


def test_each_make_target_of_the_page_runs(tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SQLMIGRATE_", "PG", "DB_"))
    }
    environment |= {"DATABASE_URL": f"embedded:{tmp_path / 'data'}", "PYTHON": sys.executable, "YES": "1"}
    for line in TARGETS:
        runs = "docker" not in line and "build" not in line  # tests/containers and tests/delivery run these
        given = shlex.split(line)
        command = given if runs else [given[0], "-n", *given[1:]]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [["migrate"], ["status"], ["validate"], ["embedded", "status"]])
def test_a_variable_of_the_handbook_that_has_no_effect_is_answered_with_ours(
    project: Project, arguments: list[str]
) -> None:
    project.add(1, "select 1")
    warning = "warning: MIGRATION_TIMEOUT has no effect: set SQLMIGRATE_TIMEOUT"

    assert warning in project.cli(*arguments, MIGRATION_TIMEOUT="60m").stderr
    assert warning not in project.cli(*arguments, MIGRATION_TIMEOUT="60m", SQLMIGRATE_TIMEOUT="60m").stderr
    assert warning not in project.cli(*arguments, "--quiet", MIGRATION_TIMEOUT="60m").stderr
    assert warning not in project.cli(*arguments, MIGRATION_TIMEOUT="", LOG_LEVEL="debug").stderr


def test_a_variable_of_the_handbook_in_a_file_is_answered_too(project: Project) -> None:
    (project.root / ".env").write_text("MIGRATION_TIMEOUT=60m\n")

    run = project.cli("status", "--env-file", ".env", "--log-file", "run.log")

    assert "MIGRATION_TIMEOUT has no effect" in run.stderr
    assert "MIGRATION_TIMEOUT has no effect" in (project.root / "run.log").read_text()


def test_a_variable_of_the_handbook_is_not_answered_where_ours_has_no_effect(project: Project) -> None:
    assert project.cli("generate", "step", MIGRATION_TIMEOUT="60m").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-action", "rollback", "-version", "v2.0.0-001"], "sqlmigrate rollback --version v2.0.0-001"),
        (["--action=rollback", "--version=v2.0.0-001"], "sqlmigrate rollback --version v2.0.0-001"),
        (["-version=v2.0.0-001", "-action=rollback"], "sqlmigrate rollback --version v2.0.0-001"),
        (["-action=cleanup"], "sqlmigrate cleanup --keep-days 30"),
        (["-action=validate", "-dry-run"], "sqlmigrate validate --dry-run"),
        (["-action=validate", "-dry-run=false"], "sqlmigrate validate"),
        (["-action=validate", "-file=a b.sql"], "sqlmigrate validate 'a b.sql'"),
        (["-action=info", "-version=v2.0.0-001"], "sqlmigrate info v2.0.0-001"),
        (["-action=status", "-log-level=warn"], "sqlmigrate status --log-level warning"),
        (["-action=migrate", "-version=v2.0.0-003"], "sqlmigrate migrate --target v2.0.0-003"),
        (["-action=generate", "-name=add x", "-timeout=1m"], "sqlmigrate generate 'add x'"),
        (["-action=generate", "-name=x", "-description=Add x."], "sqlmigrate generate x --description 'Add x.'"),
        (["-action=generate", "-name=x", "-dry-run=true"], "sqlmigrate generate x --dry-run"),
        (["-action=generate", "-name=x", "-log-level=warn"], "sqlmigrate generate x --log-level warning"),
        (["-action=repair", "-dry-run=true"], "sqlmigrate repair --dry-run"),
        (["-action=migrate", "-timeout=30"], "sqlmigrate migrate --timeout 30s"),
        (["-action=validate", "-file=a.sql", "-dry-run=true"], "sqlmigrate validate a.sql"),
    ],
)
def test_each_way_to_write_gos_flags_is_understood(arguments: list[str], line: str) -> None:
    error = refusal(arguments)
    assert error is not None
    assert error.hint.splitlines()[0] == f"run {line}"
    name, *rest = shlex.split(line)[1:]
    main.commands[name].make_context(name, rest, parent=click.Context(main))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-action=rollback"], "run sqlmigrate rollback --version VERSION"),
        (["-action=rollback", "-version="], "run sqlmigrate rollback --version VERSION"),
        (["-action=migrate", "-help"], "run sqlmigrate migrate --help"),
        (["-action=generate"], "run sqlmigrate generate NAME"),
    ],
)
def test_a_required_value_is_left_to_fill_in_and_help_is_asked_for(arguments: list[str], line: str) -> None:
    error = refusal(arguments)
    assert error is not None
    assert error.hint.splitlines()[0] == line


def test_flags_that_the_new_command_does_not_have_are_named() -> None:
    error = refusal(["-action=validate", "-file=a.sql", "-dry-run=true", "-force=true", "-db-password=secret"])
    assert error is not None
    assert "it leaves out -dry-run, -force, which the new command does not have" in error.hint.splitlines()


def test_a_flag_that_is_false_is_not_left_out() -> None:
    error = refusal(["-action=status", "-dry-run=false"])
    assert error is not None
    assert "leaves out" not in error.hint


@pytest.mark.parametrize("arguments", [["-action"], ["-action="], ["-action=statsu"], ["-action=drop"]])
def test_an_unknown_action_gets_a_suggestion(project: Project, arguments: list[str]) -> None:
    done = project.cli(*arguments)
    assert done.returncode == 2
    assert re.search(r"did you mean status\?|valid names: migrate, rollback", done.stderr), done.stderr
    assert "earlier tool has no -action=" in done.stderr


@pytest.mark.parametrize("arguments", [["status"], ["--version"], ["-h"], ["generate", "action"], [], ["-x"]])
def test_other_command_lines_are_not_taken_for_the_tools(arguments: list[str]) -> None:
    assert refusal(arguments) is None


def test_both_readmes_link_the_page() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text()
        assert "docs/alertagent.md" in text
        assert "make migrate-setup" in text
        assert "-action=NAME" in text
