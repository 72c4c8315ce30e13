"""A name that does not exist: the error proposes the closest one that does."""

from __future__ import annotations

import re

import pytest

from sqlmigrate.config.suggestion import suggestion
from tests.cli.test_cli import add_series
from tests.project import Project


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ("rules index-not-concurent", "did you mean index-not-concurrent?"),
        ("rules drop_tabel", "did you mean drop-table?"),
        ("rules nosuch", "the closest names: "),
        ("statu", "did you mean status?"),
        ("generat x", "did you mean generate?"),
        ("lockstatus", "did you mean lock-status?"),
        ("up", "did you mean migrate?"),
        ("down", "did you mean rollback?"),
        ("new x", "did you mean generate?"),
        ("create x", "did you mean generate?"),
        ("Upgrade head", "did you mean migrate?"),
        ("stamp head", "did you mean baseline?"),
        ("help migrate", "did you mean --help?"),
        ("psql", "did you mean embedded?"),
        ("nosuchthing", "valid names: "),
        ("--env-file .env migrate", "write it after the command: sqlmigrate COMMAND --env-file"),
        ("--dry-run migrate", "write it after the command: sqlmigrate COMMAND --dry-run"),
        ("--database-url=postgresql://h/d migrate", "write it after the command: sqlmigrate COMMAND --database-url"),
        ("-y rollback", "write it after the command: sqlmigrate COMMAND -y"),
        ("--nosuch migrate", "no such option"),
        ("status --json", "no such option '--json': did you mean --format json?"),
        ("plan --json", "did you mean --format json?"),
        ("rules --json", "did you mean --format json?"),
        ("migrate --to v1.0.0-002", "did you mean --target?"),
        ("rollback --to v1.0.0-001", "did you mean --version?"),
        ("status --url postgresql://h/d", "did you mean --database-url?"),
        ("rollback --steps 1 --force", "did you mean --yes?"),
        ("completion --json", "no such option"),
        ("plan --format html", "did you mean --html FILE?"),
        ("status --format HTML", "did you mean --html FILE?"),
        ("rules --format html", "is not one of"),
        ("migrate v1.0.0-002", "got unexpected extra argument (v1.0.0-002): did you mean --target v1.0.0-002?"),
        ("plan V1.0.0-002", "did you mean --target V1.0.0-002?"),
        ("rollback 1.0.0-001 --yes", "did you mean --version 1.0.0-001?"),
        ("baseline v1.0.0-001", "did you mean --version v1.0.0-001?"),
        ("repair v1.0.0-001", "did you mean --version v1.0.0-001?"),
        ("rollback 1", "did you mean --steps 1?"),
        ("redo 2", "did you mean --steps 2?"),
        ("migrate plan.json", "did you mean --plan plan.json?"),
        ("status nonsense", "got unexpected extra argument (nonsense)"),
        ("rollback", "for the last migration, write --steps 1"),
        ("plan --rollback", "for the last migration, write --steps 1"),
        ("status --format jsn", "did you mean json?"),
        ("plan --format markdwn", "did you mean markdown?"),
        ("rules --format markdwn", "did you mean markdown?"),
        ("validate migrations --format sarf", "did you mean sarif?"),
        ("status --log-level dbug", "did you mean debug?"),
        ("completion bsh", "did you mean bash?"),
        ("migrate --dry-rn", "--dry-run"),
        ("migrate --lint eror", "did you mean error?"),
        ("migrate --log-format jsn", "did you mean json?"),
        ("validate migrations --preset al", "did you mean all?"),
        ("validate migrations --fail-on warnin", "did you mean warning?"),
        ("info v1.0.0-02", "did you mean"),
        ("info v1.0.0-012", "did you mean v1.0.0-002?"),
        ("migrate --target v1.0.0-012", "did you mean v1.0.0-002?"),
        ("plan --target v1.0.0-012", "did you mean v1.0.0-002?"),
        ("baseline --version v1.0.0-012", "did you mean v1.0.0-002?"),
        ("rollback --version v1.0.0-012", "did you mean v1.0.0-001?"),
        ("repair --version v1.0.0-012", "did you mean v1.0.0-002?"),
        ("generate x --template tabel", "did you mean table?"),
        ("generate x --template table --set tabel=x", "did you mean table?"),
        ("status --env prodution", "did you mean production?"),
        ("migrate --lint of", "did you mean off?"),
    ],
)
def test_the_closest_name_is_proposed(project: Project, arguments: str, hint: str) -> None:
    add_series(project)
    project.cli("migrate", "--target", "v1.0.0-001")
    project.root.joinpath("sqlmigrate.toml").write_text("[environments.production]\n[environments.test]\n")

    run = project.cli(*arguments.split())

    if arguments == "info v1.0.0-02":  # leading zeros do not matter
        assert run.returncode == 0
        return
    assert run.returncode in (1, 2)
    assert hint in run.stdout + run.stderr, run.stderr


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ('[environment.prod]\nlock_wait = "1s"', "did you mean [environments.prod]?"),
        ('[env.prod]\nlock_wait = "1s"', "did you mean [environments.prod]?"),
        ("[enviroments.prod]", "did you mean [environments.prod]?"),
        ('[production]\nlock_wait = "1s"', "did you mean [environments.production]?"),
        ('[tool.sqlmigrate]\nlock_wait = "1s"', "write its settings "),
        ('[sqlmigrate]\nlock_wait = "1s"', "write its settings "),
        ('[linter]\npreset = "all"', "did you mean [lint]?"),
        ('[lnt]\npreset = "all"', "did you mean [lint]?"),
        ('lock_waits = "1s"', "did you mean lock_wait?"),
        ('[environments.prod]\nlock_waits = "1s"', "did you mean lock_wait?"),
        ('[lint]\npresett = "all"', "did you mean preset?"),
        ('[lint]\npreset = "al"', "did you mean all?"),
        ('format = "jsn"', "did you mean json?"),
    ],
)
@pytest.mark.parametrize("name", ["sqlmigrate.toml", "pyproject.toml"])
def test_a_misspelt_table_or_key_of_the_file_is_corrected(project: Project, content: str, hint: str, name: str) -> None:
    if name == "pyproject.toml":
        content = f"[tool.sqlmigrate]\n{content}".replace("\n[", "\n[tool.sqlmigrate.")
        hint = hint.replace("[", "[tool.sqlmigrate.")
    project.root.joinpath(name).write_text(content)
    add_series(project, 1)

    run = project.cli("validate", "migrations")

    assert run.returncode == 2
    assert hint in run.stderr, run.stderr


@pytest.mark.parametrize(
    ("name", "names", "hint"),
    [
        ("Drop_Table", ["drop-table", "drop-view"], "did you mean drop-table?"),
        ("x", ["one", "two"], "valid names: one, two"),
        ("x", [], "there is none"),
        ("index", [f"index-{number}" for number in range(30)], "did you mean index-9?"),
    ],
)
def test_one_function_proposes_names(name: str, names: list[str], hint: str) -> None:
    assert suggestion(name, names) == hint


@pytest.mark.parametrize(
    "line",
    [
        'presett = "all"',
        'preset = "al"',
        'fail_on = "x"',
        'postgres_version = "9"',
        'rules = {drop-table = "fatal"}',
        'naming = {tables = "a"}',
        'naming = {table = "["}',
        "exclude = 3",
        "files = 'a'",
        "rules = 5",
    ],
)
def test_each_command_that_reads_the_file_reports_mistakes_of_the_linters_table(project: Project, line: str) -> None:
    project.root.joinpath("sqlmigrate.toml").write_text(f"[lint]\n{line}\n")
    add_series(project, 1)

    messages = set()
    for command in ("status", "check", "migrate", "plan", "generate x", "validate", "validate migrations"):
        run = project.cli(*command.split())
        assert (run.returncode, run.stdout) == (2, ""), command
        messages.add(run.stderr)

    [message] = messages
    assert message.startswith("error: sqlmigrate.toml: ")
    assert "lint" in message


def test_of_many_names_only_the_closest_are_listed() -> None:
    hint = suggestion("zzz", [f"name{number}" for number in range(100)])

    assert hint.startswith("the closest names: ")
    assert hint.count(",") == 2


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["migrate", "-timeout=60m"], "timeout"),
        (["status", "-log-level", "debug"], "log-level"),
        (["rollback", "-version=v2.0.0-001"], "version"),
        (["cleanup", "-keep-days=30"], "keep-days"),
        (["validate", "-dry-run"], "dry-run"),
        (["-help"], "help"),
        (["-version"], "version"),
    ],
)
def test_an_option_with_one_hyphen_is_answered_with_that_of_two(
    project: Project, arguments: list[str], option: str
) -> None:
    done = project.cli(*arguments)
    assert done.returncode == 2
    assert re.search(rf"no such option:? '?-{option}'?\n  → did you mean --{option}\?", done.stderr), done.stderr


def test_an_unknown_short_option_is_still_named_by_its_letter(project: Project) -> None:
    done = project.cli("migrate", "-x")
    assert done.returncode == 2
    assert "'-x'" in done.stderr or ": -x" in done.stderr


@pytest.mark.parametrize(
    "arguments", ["rollback --steps two", "redo --steps 1.5", "history --limit x", "cleanup --keep-days 1y"]
)
def test_a_number_is_not_called_a_range(project: Project, arguments: str) -> None:
    run = project.cli(*arguments.split())

    assert (run.returncode, "is not a valid whole number" in run.stderr) == (2, True), run.stderr
