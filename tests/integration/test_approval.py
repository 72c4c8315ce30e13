"""`plan --out`, `approve`, `migrate --plan`: only the approved plan is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from sqlmigrate.planning.plan_file import digest_of
from tests.project import Project
from tests.servers import ROOT

pytestmark = pytest.mark.anywhere

REQUIRED = "[environments.production]\nrequire_approval = true\n"


@pytest.fixture
def reviewer(project: Project) -> Iterator[str]:
    """The database, for the role that approves."""
    role = f"reviewer_{os.getpid()}"
    project.query(f"drop role if exists {role}", f"create role {role} login superuser")
    yield make_conninfo(project.database, user=role)
    project.query(f"drop owned by {role}", f"drop role {role}")


@pytest.fixture
def release(project: Project) -> Project:
    """A project with two pending migrations that requires approval."""
    project.root.joinpath("sqlmigrate.toml").write_text(REQUIRED)
    project.add(1, "create table orders (id int);", "drop table orders;")
    project.add(2, "alter table orders add column total int;", "alter table orders drop column total;")
    return project


def ok(project: Project, *arguments: str, **environment: str) -> str:
    ran = project.cli(*arguments, **environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def refused(project: Project, *arguments: str, **environment: str) -> str:
    ran = project.cli(*arguments, **environment)
    assert ran.returncode in (1, 2), ran.stdout
    return ran.stderr


def test_the_script_of_the_documentation_works(release: Project, reviewer: str) -> None:
    shim = release.root / "bin"
    shim.mkdir()
    release.directory.rename(release.root / "migrations")
    program = shim / "sqlmigrate"
    program.write_text(f'#!/bin/sh\nexec {" ".join(release.command())} "$@"\n')
    program.chmod(0o755)
    environment = release.environment(
        PATH=f"{shim}:{os.environ['PATH']}", DEPLOY_URL=release.database, REVIEW_URL=reviewer
    )
    del environment["SQLMIGRATE_DIR"]

    ran = subprocess.run(
        [ROOT / "docs" / "approval.sh"], check=False, capture_output=True, text=True, cwd=release.root, env=environment
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "this should have been refused" not in ran.stderr
    assert ran.stderr.count("[not-approved]") == 3
    assert "[plan-outdated]" in ran.stderr
    assert [row[0] for row in release.query("select action from migrations_log order by id")] == [
        "approve", "approve", "apply", "apply", "approve", "rollback", "approve",
    ]  # fmt: skip


def test_an_unchanged_plan_runs_and_has_the_same_digest(project: Project) -> None:
    project.add(1, "create table a (id int);", "drop table a;")
    first = json.loads(ok(project, "plan", "--out", "plan.json", "--format", "json"))

    assert json.loads((project.root / "plan.json").read_text()) == first
    assert json.loads(ok(project, "plan", "--format", "json"))["digest"] == first["digest"]
    assert first["steps"][0]["transactions"][0]["statements"][0]["sql"] == "create table a (id int);"

    ok(project, "migrate", "--plan", "plan.json")

    assert project.versions() == [("v1.0.0-001", True)]


def edit_plan(project: Project) -> None:
    path = project.root / "plan.json"
    path.write_text(path.read_text().replace("create table a", "create table z"))


def rewrite_plan(key: str, changes: dict[str, object]) -> Callable[[Project], object]:
    """Replaces the value by an empty object if there are no changes."""

    def rewrite(project: Project) -> None:
        with forged(project) as content:
            content[key] = content[key] | changes if changes else {}

    return rewrite


@contextmanager
def forged(project: Project) -> Iterator[dict[str, Any]]:
    """Yields the content of the plan, and then writes it with a matching digest."""
    path = project.root / "plan.json"
    content = json.loads(path.read_text())
    del content["digest"], content["findings"], content["made"]
    yield content
    path.write_text(json.dumps({"digest": digest_of(content), **content}))


def forge_plan(project: Project) -> None:
    """The SQL that the plan shows is harmless, the SQL that would be run is not."""
    with forged(project) as content:
        content["steps"][0]["transactions"][0]["statements"][0]["sql"] = "select 1;"


def use_up(project: Project) -> None:
    ok(project, "migrate")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (edit_plan, "was edited: its digest does not match its content"),
        (forge_plan, "the plan shows other SQL than the files contain"),
        (use_up, "this plan was run at "),
        (
            lambda project: project.add(2, "select 1 / 0;") and project.cli("migrate"),
            "the history table had 0 rows and now has 2",
        ),
        (lambda project: project.add(2, "select 2;"), "the file of v1.0.0-002 (apply) was changed"),
        (lambda project: project.add(3, "select 3;"), "v1.0.0-003 (apply) would be run, but is not in the plan"),
        (
            lambda project: (project.directory / "V1.0.0-002__step.up.sql").unlink(),
            "v1.0.0-002 (apply) would no longer be run",
        ),
        (lambda project: project.write("before_each.sql", "select 1;"), "before_each would be run"),
        (lambda project: project.write("after_migrate.sql", "select 1;"), "after_migrate (hook) would be run"),
        (lambda project: (project.root / "plan.json").write_text("{}"), '"plan.json" is not a plan file'),
        (rewrite_plan("plan", {}), '"plan.json" is not a plan file'),
        (rewrite_plan("plan", {"files": ["x"]}), '"plan.json" is not a plan file'),
        (rewrite_plan("asked", {"steps": "x"}), '"plan.json" is not a plan file'),
        (lambda project: (project.root / "plan.json").write_text("[" * 100_000), '"plan.json" is not a plan file'),
        (lambda project: (project.root / "plan.json").unlink(), 'could not read plan file "plan.json"'),
    ],
)
def test_a_change_since_the_plan_is_reported_and_nothing_runs(project: Project, change: object, says: str) -> None:
    assert callable(change)
    project.add(1, "create table a (id int);")
    project.add(2, "select 1;")
    ok(project, "plan", "--out", "plan.json")
    change(project)
    before = project.query("select to_regclass('a'), to_regclass('z')")

    stderr = refused(project, "migrate", "--plan", "plan.json")

    assert says in stderr
    assert "sqlmigrate plan --out" in stderr
    assert project.query("select to_regclass('a'), to_regclass('z')") == before


def test_a_changed_down_file_is_detected(project: Project) -> None:
    project.add(1, "create table a (id int);", "drop table a;")
    ok(project, "migrate")
    ok(project, "plan", "--rollback", "--steps", "1", "--out", "back.json")
    project.add(1, "create table a (id int);", "drop table a; drop table if exists b;")

    assert "the file of v1.0.0-001 (rollback) was changed" in refused(
        project, "rollback", "--plan", "back.json", "--yes"
    )


def test_a_plan_for_another_database_or_history_is_refused(project: Project) -> None:
    project.add(1, "create table a (id int);")
    ok(project, "plan", "--out", "plan.json")

    stderr = refused(project, "migrate", "--plan", "plan.json", "--history-table", "other.history")

    assert "it was made for history table public.migrations, but this is other.history" in stderr


def test_each_command_accepts_only_its_own_plan_and_no_other_selection(project: Project) -> None:
    project.add(1, "create table a (id int);", "drop table a;")
    ok(project, "plan", "--out", "plan.json")

    assert "sqlmigrate migrate --plan plan.json" in refused(project, "rollback", "--plan", "plan.json", "--yes")
    assert "cannot be combined with other options" in refused(
        project, "migrate", "--plan", "plan.json", "--target", "v1.0.0-001"
    )
    assert "--rollback" in refused(project, "plan", "--steps", "1")
    assert "cannot be combined with other options" in refused(
        project, "plan", "--rollback", "--steps", "1", "--out-of-order"
    )


def test_a_run_with_nothing_to_do_needs_no_approval(release: Project, reviewer: str) -> None:
    production = {"SQLMIGRATE_ENV": "production"}
    stderr = refused(release, "migrate", **production)
    for step in (
        "sqlmigrate plan --out plan.json",
        "sqlmigrate approve plan.json",
        "sqlmigrate migrate --plan plan.json",
    ):
        assert step in stderr
    ok(release, "plan", "--out", "plan.json", **production)
    ok(release, "approve", "plan.json", "--yes", **{**production, "DATABASE_URL": reviewer})
    ok(release, "migrate", "--plan", "plan.json", **production)

    assert "nothing to do" in ok(release, "migrate", **production)


def test_neither_options_nor_environment_can_disable_the_approval(release: Project) -> None:
    assert "not-approved" in refused(release, "migrate", "--env", "production", REQUIRE_APPROVAL="0")
    variable = refused(release, "migrate", "--env", "production", SQLMIGRATE_REQUIRE_APPROVAL="false")
    assert "only the configuration file can contain require_approval" in variable
    assert "no such option" in refused(release, "migrate", "--env", "production", "--require-approval=false")
    assert release.value("select to_regclass('migrations')") is None


def test_a_top_level_setting_applies_unless_an_environment_overrides_it(release: Project) -> None:
    text = "require_approval = true\n[environments.production]\n[environments.development]\nrequire_approval = false\n"
    release.root.joinpath("sqlmigrate.toml").write_text(text)
    assert "not-approved" in refused(release, "migrate")
    assert "not-approved" in refused(release, "migrate", "--env", "production")
    ok(release, "migrate", "--env", "development")


def test_the_log_shows_who_approved_which_digest_and_when(release: Project, reviewer: str) -> None:
    digest = json.loads(ok(release, "plan", "--out", "plan.json", "--format", "json"))["digest"]
    ok(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)

    rows = release.query(
        "select db_user, checksum, name, outcome, now() - logged_at < interval '1 min' from migrations_log"
    )
    assert rows == [(f"reviewer_{os.getpid()}", digest, "apply v1.0.0-001 to v1.0.0-002", "success", True)]
    assert ok(release, "history").endswith(f"\n    plan {digest}\n")
    assert json.loads(ok(release, "history", "--format", "json"))["history"][0]["checksum"] == digest


def test_an_approval_expires_with_a_failed_run(release: Project, reviewer: str) -> None:
    production = {"SQLMIGRATE_ENV": "production"}
    release.add(2, "select 1 / 0;")
    ok(release, "plan", "--out", "plan.json", **production)
    ok(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
    assert "division by zero" in refused(release, "migrate", "--plan", "plan.json", **production)

    stderr = refused(release, "migrate", "--plan", "plan.json", **production)

    assert "[plan-outdated]" in stderr
    assert "[not-approved]" in stderr


def test_an_outdated_plan_cannot_be_approved(release: Project, reviewer: str) -> None:
    ok(release, "plan", "--out", "plan.json")
    release.add(3, "select 1;")

    assert "[plan-outdated]" in refused(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
    assert release.value("select to_regclass('migrations_log') is null")


def test_a_misleading_plan_cannot_be_approved(release: Project, reviewer: str) -> None:
    ok(release, "plan", "--out", "plan.json")
    forge_plan(release)
    assert "plan-misleads" in refused(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)


def test_a_plan_can_be_approved_with_its_files_in_another_directory(release: Project, reviewer: str) -> None:
    release.write("before_each.sql", "select 1;")
    release.add(3, "create table rows (a int);\ncopy rows from stdin;\n1\n\\.\nvacuum rows;")
    ok(release, "plan", "--out", "plan.json")
    elsewhere = release.root / "elsewhere"
    shutil.copytree(release.directory, elsewhere)
    ok(release, "approve", "plan.json", "--yes", "--dir", str(elsewhere), DATABASE_URL=reviewer)
    ok(release, "migrate", "--env", "production", "--plan", "plan.json")


def test_a_plan_with_errors_cannot_be_approved(release: Project, reviewer: str) -> None:
    ok(release, "plan", "--out", "plan.json")
    release.write("odd.sql", "select 1;")
    release.add(2, "select 1; \\copy t from x")

    stderr = refused(release, "approve", "plan.json", DATABASE_URL=reviewer)

    assert stderr.count("error: ") == 2
    assert "nothing was run: 2 problems" in stderr


def test_approve_requires_a_terminal_or_yes(release: Project) -> None:
    ok(release, "plan", "--out", "plan.json")

    assert "nothing was changed" in refused(release, "approve", "plan.json")


def test_a_plan_file_that_cannot_be_written_is_reported(project: Project) -> None:
    project.add(1, "select 1;")

    assert "could not write file" in refused(project, "plan", "--out", "nowhere/plan.json")
    assert not Path(project.root / "nowhere").exists()


@pytest.mark.parametrize("value", ["on", "true", "1", "YES", "ON", "approve"])
def test_a_database_can_require_approvals_whatever_the_configuration_says(project: Project, value: str) -> None:
    project.add(1, "create table a (id int);")
    (project.root / "mine.toml").write_text("require_approval = false\n")
    name = project.value("select current_database()")
    project.query(f"alter database {name} set sqlmigrate.require_approval = '{value}'")

    for arguments in ("migrate", "migrate --config mine.toml", "validate --dry-run"):
        done = project.cli(*arguments.split(), PGOPTIONS="-c sqlmigrate.require_approval=off")
        assert (done.returncode, "[not-approved]" in done.stderr) == (1, True), arguments

    project.query(f"alter database {name} reset sqlmigrate.require_approval")
    ok(project, "migrate")


def test_a_plan_that_is_not_approved_need_not_be_written_again(release: Project) -> None:
    for options, command, consent in (((), "migrate", ()), (("--rollback", "--steps", "1"), "rollback", ("--yes",))):
        assert release.cli("plan", *options, "--out", "a plan.json").returncode == 0
        shown = refused(release, command, "--plan", "a plan.json", "--env", "production", *consent)
        assert "write the plan" not in shown
        assert "let it be approved:   sqlmigrate approve 'a plan.json'      (by a user" in shown
        assert f"run it:               sqlmigrate {command} --plan 'a plan.json'\n" in shown
        release.cli("migrate")
