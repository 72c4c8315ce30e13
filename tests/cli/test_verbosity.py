"""`--quiet` and `--verbose` of every command."""

from __future__ import annotations

import json
import re

import click
import pytest

from sqlmigrate.cli import main
from tests.cli.test_cli import add_series, on_terminal
from tests.project import Project

# Commands that change something or find nothing wrong, and commands whose output is the answer to a question.
SILENT = {
    "migrate": (),
    "rollback": ("--steps", "1", "--yes"),
    "approve": ("plan.json", "--yes"),
    "baseline": ("--version", "v1.0.0-002"),
    "repair": ("--yes",),
    "redo": ("--yes",),
    "cleanup": ("--keep-days", "30"),
    "force-unlock": ("--yes",),
    "renumber": ("--yes",),
    "init": ("new",),
    "drift": (),
}
ANSWERS = {
    "plan": ((), "create table t2"),
    "rehearse": (("--on", "target", "--yes"), "create table t2"),
    "stats": ((), "migrations_log"),
    "status": ((), "v1.0.0-001"),
    "info": (("v1.0.0-001",), "checksum"),
    "check": ((), "1 pending"),
    "validate": (("migrations", "--preset", "all"), "no primary key"),
    "history": ((), "apply"),
    "lock-status": ((), "nobody holds"),
    "metrics": ((), "migration_"),
    "generate": (("step",), ".up.sql"),
    "rules": ((), "drop-table"),
    "completion": (("bash",), "complete"),
}


def prepared(project: Project) -> Project:
    add_series(project)
    project.cli("migrate", "--target", "v1.0.0-001")
    project.cli("plan", "--out", "plan.json")
    return project


def test_every_command_is_tested() -> None:
    assert set(SILENT) | set(ANSWERS) | {"embedded"} == set(main.commands)


@pytest.mark.parametrize("name", main.commands)
def test_every_command_has_both_options(name: str) -> None:
    flags = {flag for option in main.commands[name].params if isinstance(option, click.Option) for flag in option.opts}
    assert {"--quiet", "-q", "--verbose", "-v"} <= flags


@pytest.mark.parametrize("name", SILENT)
def test_a_quiet_command_that_changes_something_prints_nothing(project: Project, name: str) -> None:
    run = prepared(project).cli(name, *SILENT[name], "--quiet")

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ANSWERS)
def test_a_quiet_command_that_reports_prints_its_answer(project: Project, name: str) -> None:
    arguments, answer = ANSWERS[name]

    run = prepared(project).cli(name, *arguments, "-q")

    assert answer in run.stdout
    assert run.stderr == ""


QUESTIONS = {"check": (), "validate": (), "validate FILES": ("migrations",)}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_quiet_check_that_finds_nothing_prints_nothing(project: Project, name: str) -> None:
    project.add(1, "create table t1 (id bigint primary key)", "drop table t1")
    project.cli("migrate")
    command, *_ = name.split()

    assert project.cli(command, *QUESTIONS[name]).stdout != ""
    run = project.cli(command, *QUESTIONS[name], "-q")

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    in_json = project.cli(command, *QUESTIONS[name], "-q", "--format", "json")
    assert json.loads(in_json.stdout)["version"] >= 1


def test_a_quiet_check_prints_what_it_finds(project: Project) -> None:
    project.add(1, "create table t1 (id int)")

    assert project.cli("check", "-q").stdout == "1 pending: v1.0.0-001\n"
    assert "no down file" in project.cli("validate", "-q").stdout
    assert "no primary key" in project.cli("validate", "migrations", "--preset", "all", "-q").stdout
    assert "<testsuites" in project.cli("validate", "migrations", "-q", "--format", "junit").stdout


def test_a_quiet_status_prints_only_its_table(project: Project) -> None:
    run = prepared(project).cli("status", "-q")

    assert (run.stdout, run.stderr) == (project.cli("status").stdout, "")


def test_a_quiet_command_prints_its_error(project: Project) -> None:
    project.add(1, "select 1 / 0")

    run = project.cli("migrate", "--quiet")

    assert (run.returncode, run.stdout) == (1, "")
    assert "division by zero" in run.stderr


def test_a_quiet_command_prints_no_warning_and_no_notice(project: Project) -> None:
    project.add(1, "do $$ begin raise warning 'hear'; end $$;")
    project.write("V1.0.0-002__x.sql.txt", "")
    project.add(3, "-- nothing")

    for command in ("migrate", "status"):
        assert project.cli(command, "--quiet").stderr == ""


def test_a_quiet_command_still_asks(project: Project) -> None:
    prepared(project)

    code, screen = on_terminal(project, "rollback", "--steps", "1", "--quiet", answer="n\n")

    assert code == 2
    assert "rollback   v1.0.0-001" in re.sub(r"\x1b\[[\d;]*[mK]", "", screen).replace("roll back", "rollback ")
    assert "Roll back?" in screen


def test_a_quiet_command_writes_its_log_file_and_its_json(project: Project) -> None:
    add_series(project)

    run = project.cli("migrate", "--quiet", "--log-file", "run.log", "--format", "json")

    assert len(json.loads(run.stdout)["steps"]) == 2
    assert run.stderr == ""
    assert "finished" in (project.root / "run.log").read_text()


def test_quiet_and_verbose_exclude_each_other(project: Project) -> None:
    run = project.cli("status", "--quiet", "--verbose")

    assert (run.returncode, "--quiet and --verbose cannot be combined" in run.stderr) == (2, True)
    assert project.cli("status", "--quiet", SQLMIGRATE_VERBOSE="true").returncode == 0


STATEMENT = re.compile(r"^    (v[\d.-]+):(\d+)  (.*)  (\d+) ms$", re.MULTILINE)


def statements(stderr: str) -> list[tuple[str, str, str]]:
    return [(version, line, text) for version, line, text, _ in STATEMENT.findall(stderr)]


def test_a_verbose_run_shows_each_statement_and_its_time(project: Project) -> None:
    project.add(
        1,
        "-- Two.\ncreate table a (id int);\n\ninsert into a\n  select generate_series(1, 10);\nselect pg_sleep(0.2);\n"
        "create index concurrently i on a (id);\ncopy a from stdin;\n1\n2\n\\.\n",
        "drop table a;",
    )
    project.add(2, "select 1")

    run = project.cli("migrate", "--verbose")

    assert run.returncode == 0
    assert statements(run.stderr) == [
        ("v1.0.0-001", "2", "create table a (id int)"),
        ("v1.0.0-001", "4", "insert into a select generate_series(1, 10)"),
        ("v1.0.0-001", "6", "select pg_sleep(0.2)"),
        ("v1.0.0-001", "7", "create index concurrently i on a (id)"),
        ("v1.0.0-001", "8", "copy a from stdin"),
        ("v1.0.0-002", "1", "select 1"),
    ]
    assert next(int(took) for *_, text, took in STATEMENT.findall(run.stderr) if "sleep" in text) >= 200
    assert project.value("select count(*) from a") == 12

    back = project.cli("rollback", "--steps", "2", "--yes", "-v")
    assert back.returncode == 1  # the second one has no down file
    assert project.cli("migrate").stderr == ""


def test_a_run_that_is_not_verbose_shows_no_statement(project: Project) -> None:
    project.add(1, "create table a (id int)")

    assert statements(project.cli("migrate").stderr) == []


def test_a_verbose_run_shows_the_statements_before_the_one_that_fails(project: Project) -> None:
    project.add(1, "create table a (id int);\nselect 1;\nselect 1 / 0;\nselect 2;")

    run = project.cli("migrate", "--verbose")

    assert [text for *_, text in statements(run.stderr)] == ["create table a (id int)", "select 1"]
    assert "V1.0.0-001__step.up.sql:3:1: v1.0.0-001 failed: division by zero" in run.stderr
    assert project.value("select to_regclass('a') is null")


@pytest.mark.parametrize(
    "script",
    [
        "set transaction isolation level serializable;\nselect 1;\n",
        "set session characteristics as transaction isolation level serializable; select 1;",
        "begin isolation level repeatable read; select 1; commit;",
        "set application_name = 'mine'; select 1; select 2;",
        "set search_path = 'nowhere'; select 1; reset search_path; select 2;",
        "do $$ begin commit; end $$; select 1;",
        "set standard_conforming_strings = off; select 'a\\\\b'; select 2;",
        "\\set x 1\nselect :x; select 2;",
        "select 1;" * 1500,
    ],
)
def test_a_verbose_run_does_what_another_run_does(project: Project, script: str) -> None:
    project.add(1, script)

    run = project.cli("migrate", "--verbose")

    assert run.returncode == 0, run.stderr
    assert all(int(took) < 60_000 for *_, took in STATEMENT.findall(run.stderr))
    assert " min" not in run.stderr


def test_a_password_in_a_statement_is_not_shown(project: Project) -> None:
    project.add(1, "create role verbose_role password 'gehe1m';\ndrop role verbose_role;")

    run = project.cli("migrate", "--verbose", "--log-file", "run.log")

    assert statements(run.stderr)[0][2] == "create role verbose_role password …"
    assert "gehe1m" not in run.stderr + (project.root / "run.log").read_text()
    assert "event=ran" in (project.root / "run.log").read_text() or " ran " in (project.root / "run.log").read_text()
