"""Each option as a variable SQLMIGRATE_…, and variables that name no option."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click
import pytest

from sqlmigrate.cli import main, variables
from sqlmigrate.config import settings
from sqlmigrate.config.options import OPTIONS
from sqlmigrate.lint import settings as lint_settings
from tests.cli.test_cli import add_series, on_terminal
from tests.project import Project

SETTINGS = {option.name for option in OPTIONS if option.metavar}
LINT = {"preset", "postgres_version", "changed_since", "fail_on"}
# Arguments and options without which a command cannot be called.
REQUIRED = {
    "baseline": ["--version", "v1.0.0-001"],
    "cleanup": ["--keep-days", "7"],
    "approve": ["plan.json"],
    "completion": ["bash"],
    "embedded": ["status"],
}
VALUES = {
    "version": "v1.0.0-002",
    "moment": "2026-01-01",
    "whole number": "3",
    "path": "some/where",
    "text": "a=b",
}


def each_option() -> list[Any]:
    return [
        pytest.param(name, option, id=f"{name} {option.opts[0]}")
        for name, command in main.commands.items()
        for option in command.params
        if isinstance(option, click.Option) and option.name != "help"
    ]


def sample(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return str(option.type.choices[-1])
    return VALUES.get(option.type.name) or VALUES["text"]


def parsed(
    name: str, option: click.Option, arguments: list[str], patch: pytest.MonkeyPatch, **environ: str
) -> dict[str, Any]:
    for variable, value in environ.items():
        patch.setenv(variable, value)
    required = [] if option.required else REQUIRED.get(name, [])
    return main.commands[name].make_context(name, [*arguments, *required], parent=click.Context(main)).params


@pytest.mark.parametrize(("name", "option"), each_option())
def test_each_option_of_each_command_is_a_variable(
    name: str, option: click.Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in list(os.environ):
        if variable.startswith(variables.PREFIX):
            monkeypatch.delenv(variable)
    variable = variables.variable_of(name, option)
    assert variable.startswith("SQLMIGRATE_")
    if option.name in SETTINGS:
        value = {"lint_level": "error", "log_format": "json", "log_level": "debug", "dir": "elsewhere"}
        text = value.get(
            option.name or "", "3" if option.metavar == "N" else "3s" if option.metavar == "DURATION" else "x"
        )
        chosen = settings.load_for_files({option.name: text}, {})
        assert settings.load_for_files({}, {variable: text}) == chosen != settings.load_for_files({}, {})
    elif name == "validate" and option.name in LINT:
        text = {"preset": "all", "postgres_version": "15", "fail_on": "error"}.get(option.name, "main")
        linting = lint_settings.load({option.name: text}, {})
        assert lint_settings.load({}, {variable: text}) == linting != lint_settings.load({}, {})
    elif option.name in ("config", "env", "env_file"):
        assert variable == f"SQLMIGRATE_{option.name.upper()}"
    else:
        flag = option.is_flag
        word = option.opts[0] if flag else f"{option.opts[0]}={sample(option)}"
        by_option = parsed(name, option, [word], monkeypatch)
        assert parsed(name, option, [], monkeypatch, **{variable: "true" if flag else sample(option)}) == by_option
        assert by_option[str(option.name)]


def test_no_two_options_of_a_command_share_a_variable() -> None:
    for name, command in main.commands.items():
        options = [option for option in command.params if isinstance(option, click.Option)]
        assert len({variables.variable_of(name, option) for option in options}) == len(options)


def test_a_dry_run_from_the_environment_changes_nothing(project: Project) -> None:
    add_series(project)

    run = project.cli("migrate", SQLMIGRATE_DRY_RUN="true", SQLMIGRATE_TARGET="v1.0.0-001")

    assert run.returncode == 0
    assert "create table t1" in run.stdout
    assert "create table t2" not in run.stdout
    assert run.stderr.splitlines() == ["  set by the environment: SQLMIGRATE_TARGET, SQLMIGRATE_DRY_RUN"]
    assert project.value("select to_regclass('migrations') is null")


def test_an_option_overrides_its_variable(project: Project) -> None:
    add_series(project, 3)

    assert project.cli("migrate", "--target", "v1.0.0-002", SQLMIGRATE_TARGET="v1.0.0-001").returncode == 0

    assert len(project.versions()) == 2


@pytest.mark.parametrize("no", ["false", "0", "no", "off", ""])
def test_a_flag_can_be_false(project: Project, no: str) -> None:
    add_series(project)

    run = project.cli("migrate", SQLMIGRATE_DRY_RUN=no)

    assert (run.returncode, len(project.versions())) == (0, 2)
    assert "environment" not in run.stderr


@pytest.mark.parametrize(
    ("command", "variable", "value", "message"),
    [
        ("migrate", "SQLMIGRATE_DRY_RUN", "maybe", "SQLMIGRATE_DRY_RUN: 'maybe' is not a Boolean"),
        ("migrate", "SQLMIGRATE_TARGET", "2.0", "SQLMIGRATE_TARGET"),
        ("generate", "SQLMIGRATE_MAJOR", "3", "SQLMIGRATE_MAJOR: '3' is not a Boolean"),
        ("history", "SQLMIGRATE_LIMIT", "none", "SQLMIGRATE_LIMIT"),
        ("status", "SQLMIGRATE_FORMAT", "xml", "SQLMIGRATE_FORMAT"),
    ],
)
def test_an_invalid_value_names_its_variable(
    project: Project, command: str, variable: str, value: str, message: str
) -> None:
    run = project.cli(command, **{variable: value})

    assert run.returncode == 2
    assert message in run.stderr


def test_an_option_makes_the_variables_of_its_alternatives_ineffective(project: Project) -> None:
    add_series(project, 3)
    project.cli("migrate")

    run = project.cli("rollback", "--steps", "1", "--yes", SQLMIGRATE_VERSION="v1.0.0-001")

    assert (run.returncode, len(project.versions())) == (0, 2)


def test_options_that_exclude_each_other_in_the_environment_are_an_error_that_names_them(project: Project) -> None:
    run = project.cli("rollback", SQLMIGRATE_VERSION="v1.0.0-001", SQLMIGRATE_STEPS="1")

    assert run.returncode == 2
    assert "set by the environment: SQLMIGRATE_VERSION, SQLMIGRATE_STEPS" in run.stderr


def test_a_variable_confirms_only_where_nobody_can_be_asked(project: Project) -> None:
    add_series(project)
    project.cli("migrate")

    code, screen = on_terminal(project, "rollback", "--steps", "1", answer="n\n", SQLMIGRATE_YES="true")
    assert (code, len(project.versions())) == (2, 2)
    assert "Roll back?" in screen

    assert project.cli("rollback", "--steps", "1", SQLMIGRATE_YES="true").returncode == 0
    assert len(project.versions()) == 1


def test_a_variable_has_several_values(project: Project) -> None:
    add_series(project)
    values = "table=orders\ncolumn=note\ntype=text"

    run = project.cli("generate", "x", SQLMIGRATE_TEMPLATE="column", SQLMIGRATE_SET=values)

    assert run.returncode == 0, run.stderr
    (path,) = project.directory.glob("*003__x.up.sql")
    assert "add column note text" in path.read_text()


@pytest.mark.parametrize("name", ["SQLMIGRATE_YES", "SQLMIGRATE_LINT_REPLAY", "SQLMIGRATE_LINT_PRESET"])
def test_the_variables_of_the_linter_do_not_disturb_a_validation_of_the_database(project: Project, name: str) -> None:
    assert project.cli("validate", **{name: "all" if name.endswith("PRESET") else "true"}).returncode == 0


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("SQLMIGRATE_DRYRUN", "did you mean SQLMIGRATE_DRY_RUN?"),
        ("SQLMIGRATE_LOCK_TIMEOUTS", "did you mean SQLMIGRATE_LOCK_TIMEOUT?"),
        ("SQLMIGRATE_PRESET", "did you mean SQLMIGRATE_LINT_PRESET?"),
        ("SQLMIGRATE_DATABASEURL", "did you mean SQLMIGRATE_DATABASE_URL?"),
        ("SQLMIGRATE_LINT_RULE", "did you mean"),
        ("SQLMIGRATE_XYZZY", "docs/configuration.md"),
        ("SQLMIGRATE_REQUIRE_APPROVAL", "only the configuration file can contain require_approval"),
        ("SQLMIGRATE_PASSWORD_COMMAND", "only the configuration file can contain password_command"),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "rules", "generate"])
def test_an_unknown_variable_is_an_error_with_a_suggestion(
    project: Project, command: str, variable: str, hint: str
) -> None:
    add_series(project)

    run = project.cli(command, **{variable: "true"})

    assert (run.returncode, run.stdout) == (2, "")
    assert f"unknown variable {variable}" in run.stderr
    assert hint in run.stderr
    assert project.value("select to_regclass('migrations') is null")


# The variables of a Service in Kubernetes whose name begins with sqlmigrate, of the compose files, and of the tests.
FOREIGN = {
    "SQLMIGRATE_SERVICE_HOST": "10.0.0.1",
    "SQLMIGRATE_SERVICE_PORT": "9187",
    "SQLMIGRATE_EXPORTER_SERVICE_PORT_METRICS": "9187",
    "SQLMIGRATE_PORT": "tcp://10.0.0.1:9187",
    "SQLMIGRATE_EXPORTER_PORT_9187_TCP": "tcp://10.0.0.1:9187",
    "SQLMIGRATE_PORT_9187_TCP_PROTO": "tcp",
    "SQLMIGRATE_PORT_9187_TCP_ADDR": "10.0.0.1",
    "SQLMIGRATE_IMAGE": "sqlmigrate:2",
    "SQLMIGRATE_TEST_SERVER": "embedded",
    "SQLMIGRATE_UNSET": "",
}


@pytest.mark.parametrize("variable", FOREIGN)
def test_a_variable_of_another_program_is_accepted(project: Project, variable: str) -> None:
    run = project.cli("status", **{variable: FOREIGN[variable]})

    assert (run.returncode, run.stderr) == (0, "")


def test_every_variable_of_the_documentation_is_accepted() -> None:
    root = Path(__file__).parents[2]
    pages = [
        *root.glob("docs/*.md"),
        *root.glob("README*.md"),
        *(path for path in root.glob("deploy/**/*") if path.is_file()),
    ]
    named = {name for page in pages for name in re.findall(r"\bSQLMIGRATE_[A-Z_]*[A-Z]\b", page.read_text())}
    assert len(named) > 10
    for name in named:
        variables.check({name: "x"}, main)
