"""Files in a migrations directory that sqlmigrate does not read: every command says which, and why."""

from __future__ import annotations

import json

import pytest

from tests.project import Project

# A file of a migration, and a name under which nobody would find it.
ENDINGS = [
    "V1.0.0-001__a.up.sql.txt",
    "V1.0.0-001__a.psql",
    "V1.0.0-001__a.up.sql.bak",
    "V1.0.0-001__a.up.sql.gz",
    "V1.0.0-001__a.up",
    "V1.0.0-001__a",
    "v2__a.ddl",
    "R__views.sql.old",
    "R__views",
    "0001_init.pgsql",
    "schema.mysql",
]
COMMANDS = {
    "migrate": 0,
    "migrate --dry-run": 0,
    "rollback --steps 1 --yes": 0,
    "plan": 0,
    "status": 0,
    "info": 0,
    "check": 0,
    "validate": 0,
    "validate --dry-run": 0,
    "validate migrations": 0,
    "repair --yes": 0,
    "renumber --yes": 0,
    "generate x --dry-run": 0,
    "baseline --version v1.0.0-001": 1,
}
REASON = "the file is passed over: its name does not end in .sql"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_names_the_files_that_are_passed_over(project: Project, command: str) -> None:
    for name in ENDINGS[:2]:
        project.write(name, "create table a ();")

    run = project.cli(*command.split())

    assert run.returncode == COMMANDS[command], run.stderr
    for name in ENDINGS[:2]:
        assert f"migrations/{name}: {REASON}" in run.stdout + run.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_names_a_misnamed_file(project: Project, command: str) -> None:
    project.write("001_init.sql", "create table a ();")

    run = project.cli(*command.split())

    assert "migrations/001_init.sql: not a migration file name" in run.stdout + run.stderr


@pytest.mark.parametrize("name", ENDINGS)
def test_a_file_that_resembles_a_migration_is_passed_over_with_a_warning(project: Project, name: str) -> None:
    project.write(name, "create table a ();")

    (problem,) = project.migrator().validate()

    assert (problem.code, problem.level.value, problem.message) == ("passed-over", "warning", REASON)
    assert project.migrator().migrate().warnings == (problem,)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        ".V1.0.0-002__a.up.sql.swp",
        "V1.0.0-001__step.up.sql~",
        "V1.0.0-001__step.up.sql.bak",
        "V1.0.0-003__gone.up.sql~",
        "V1.0.0-003__gone.up.sql.orig",
        "templates/column.up.sql.j2",
        "notes.txt",
        "LICENSE",
        "versions.txt",
        "render.py",
        "Vagrantfile",
    ],
)
def test_other_files_and_backups_of_a_migration_are_not_mentioned(project: Project, name: str) -> None:
    project.add(1, "create table a ();", "drop table a;")
    project.write(name, "x")

    assert project.migrator().validate() == []
    assert project.cli("status").stderr == ""


def test_json_has_the_warnings_of_a_run(project: Project) -> None:
    project.write(ENDINGS[0], "create table a ();")

    run = json.loads(project.cli("migrate", "--format", "json").stdout)

    assert [warning["code"] for warning in run["problems"]] == ["passed-over"]


@pytest.mark.parametrize("command", ["status", "info", "migrate", "migrate --dry-run"])
def test_a_command_without_migrations_names_the_directory(project: Project, command: str) -> None:
    (project.directory / "seeds").mkdir()
    (project.directory / "README.md").write_text("Migrations.")

    run = project.cli(*command.split(), "--dir", "migrations")
    assert (run.returncode, run.stdout, run.stderr) == (0, 'no migrations in "migrations"\n', "")
    two = project.cli(*command.split(), "--dir", "migrations", "--dir", "migrations/seeds")
    assert two.stdout == 'no migrations in "migrations", "migrations/seeds"\n'


def test_a_command_with_migrations_but_nothing_to_do_says_so(project: Project) -> None:
    project.add(1, "select 1")
    project.cli("migrate")

    for command in ("migrate", "migrate --dry-run"):
        assert project.cli(*command.split()).stdout == "nothing to do\n"


@pytest.mark.parametrize(
    "command", ["migrate --dry-run", "plan", "plan --format markdown", "rollback --steps 1 --dry-run"]
)
def test_a_plan_with_only_misnamed_files_does_not_say_that_there_is_nothing_to_do(
    project: Project, command: str
) -> None:
    project.write("001_create.sql", "select 1;")

    run = project.cli(*command.split())

    assert run.returncode == 1
    assert "not a migration file name" in run.stdout + run.stderr
    assert "nothing to do" not in run.stdout.lower()


def test_a_draft_is_reported_once(project: Project) -> None:
    project.add(1, "-- sqlmigrate: draft=on\nselect 1;")

    assert project.cli("migrate", "--dry-run").stdout.count("the file is a draft") == 1


@pytest.mark.parametrize("named", ["migrations", "migrations/sub/V2__b.sql"])
def test_the_linter_refuses_a_misnamed_file_beside_migrations(project: Project, named: str) -> None:
    project.add(1, "create table a (id bigint primary key);")
    project.write("sub/V2__b.sql", "select 1;")

    run = project.cli("validate", named)

    assert (run.returncode, run.stdout.count("not a migration file name [misnamed]")) == (1, 1)
    assert "name the file V{major}.{minor}.{patch}-{sequence}__{name}.up.sql" in run.stdout
    assert run.stderr == ""


@pytest.mark.parametrize("name", ["migrations/V1__a.sql", "migrations/before_migrate.sql", "seeds/a.sql"])
def test_the_linter_accepts_a_hook_a_file_elsewhere_and_the_files_of_another_tool(project: Project, name: str) -> None:
    if "V1" not in name:
        project.add(1, "create table a (id bigint primary key);")
    path = project.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("select 1;")

    run = project.cli("validate", name)

    assert (run.returncode, run.stdout) == (0, "no findings in 1 file\n")


@pytest.mark.parametrize("command", ["info v9.9.9-001", "migrate --dry-run --lint warning", "plan --lint warning"])
def test_a_command_that_only_reads_does_not_say_that_nothing_was_run(project: Project, command: str) -> None:
    project.add(1, "create table a (id int)")
    project.cli("migrate")
    project.add(2, "create index i on a (id)")

    run = project.cli(*command.split())

    assert run.returncode == 1
    assert "error: " in run.stderr
    assert "nothing was run" not in run.stderr
    assert "nothing was run" in project.cli("migrate", "--lint", "warning").stderr
