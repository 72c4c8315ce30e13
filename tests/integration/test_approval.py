"""plan --out, approve, migrate --plan: what was approved is what runs."""

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
    """The database as another role: one that approves."""
    role = f"reviewer_{os.getpid()}"
    project.query(f"drop role if exists {role}", f"create role {role} login superuser")
    yield make_conninfo(project.database, user=role)
    project.query(f"drop owned by {role}", f"drop role {role}")


@pytest.fixture
def release(project: Project) -> Project:
    """Two migrations to apply, where an approval is wanted."""
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


def test_the_whole_way_as_the_documents_script_goes_it(release: Project, reviewer: str) -> None:
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


def test_a_plan_runs_as_it_is_and_with_nothing_changed_its_digest_is_the_same(project: Project) -> None:
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
    """Without changes there is nothing left."""

    def rewrite(project: Project) -> None:
        with forged(project) as content:
            content[key] = content[key] | changes if changes else {}

    return rewrite


@contextmanager
def forged(project: Project) -> Iterator[dict[str, Any]]:
    """The plan's content, which gets the digest of what it is in the end."""
    path = project.root / "plan.json"
    content = json.loads(path.read_text())
    del content["digest"], content["findings"]
    yield content
    path.write_text(json.dumps({"digest": digest_of(content), **content}))


def forge_plan(project: Project) -> None:
    """What is read is harmless, what would be run is not."""
    with forged(project) as content:
        content["steps"][0]["transactions"][0]["statements"][0]["sql"] = "select 1;"


def use_up(project: Project) -> None:
    ok(project, "migrate")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (edit_plan, "was edited: its digest is not that of its content"),
        (forge_plan, "the plan shows other SQL than the files hold"),
        (use_up, "the history has changed since: 0 rows then, 2 rows now"),
        (lambda project: project.add(2, "select 2;"), "the file of v1.0.0-002 (apply) was changed"),
        (lambda project: project.add(3, "select 3;"), "v1.0.0-003 (apply) would be run, and is not in the plan"),
        (
            lambda project: (project.directory / "V1.0.0-002__step.up.sql").unlink(),
            "v1.0.0-002 (apply) is not to be run",
        ),
        (lambda project: project.write("before_each.sql", "select 1;"), "before_each would be run"),
        (lambda project: project.write("after_migrate.sql", "select 1;"), "after_migrate (hook) would be run"),
        (lambda project: (project.root / "plan.json").write_text("{}"), "plan.json is no plan file"),
        (rewrite_plan("plan", {}), "plan.json is no plan file"),
        (rewrite_plan("plan", {"files": ["x"]}), "plan.json is no plan file"),
        (rewrite_plan("asked", {"steps": "x"}), "plan.json is no plan file"),
        (lambda project: (project.root / "plan.json").write_text("[" * 100_000), "plan.json is no plan file"),
        (lambda project: (project.root / "plan.json").unlink(), "plan.json cannot be read"),
    ],
)
def test_what_has_changed_since_is_named_and_nothing_runs(project: Project, change: object, says: str) -> None:
    assert callable(change)
    project.add(1, "create table a (id int);")
    project.add(2, "select 1;")
    ok(project, "plan", "--out", "plan.json")
    change(project)
    before = project.query("select to_regclass('a'), to_regclass('z')")

    told = refused(project, "migrate", "--plan", "plan.json")

    assert says in told
    assert "sqlmigrate plan --out" in told
    assert project.query("select to_regclass('a'), to_regclass('z')") == before


def test_a_down_file_that_was_changed_is_noticed(project: Project) -> None:
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

    told = refused(project, "migrate", "--plan", "plan.json", "--history-table", "other.history")

    assert "it was made for history table public.migrations, and this is other.history" in told


def test_each_way_takes_only_its_own_plan_and_no_other_choice(project: Project) -> None:
    project.add(1, "create table a (id int);", "drop table a;")
    ok(project, "plan", "--out", "plan.json")

    assert "sqlmigrate migrate --plan plan.json" in refused(project, "rollback", "--plan", "plan.json", "--yes")
    assert "no other choice" in refused(project, "migrate", "--plan", "plan.json", "--target", "v1.0.0-001")
    assert "--rollback" in refused(project, "plan", "--steps", "1")
    assert "no other choice" in refused(project, "plan", "--rollback", "--steps", "1", "--out-of-order")


def test_where_an_approval_is_wanted_nothing_to_do_needs_none(release: Project, reviewer: str) -> None:
    production = {"SQLMIGRATE_ENV": "production"}
    told = refused(release, "migrate", **production)
    for step in (
        "sqlmigrate plan --out plan.json",
        "sqlmigrate approve plan.json",
        "sqlmigrate migrate --plan plan.json",
    ):
        assert step in told
    ok(release, "plan", "--out", "plan.json", **production)
    ok(release, "approve", "plan.json", "--yes", **{**production, "DATABASE_URL": reviewer})
    ok(release, "migrate", "--plan", "plan.json", **production)

    assert "nothing to do" in ok(release, "migrate", **production)


def test_neither_an_option_nor_the_environment_says_that_none_is_wanted(release: Project) -> None:
    for environment in ({"SQLMIGRATE_REQUIRE_APPROVAL": "false"}, {"REQUIRE_APPROVAL": "0"}):
        assert "not-approved" in refused(release, "migrate", "--env", "production", **environment)
    assert "No such option" in refused(release, "migrate", "--env", "production", "--require-approval=false")
    assert release.value("select to_regclass('migrations')") is None


def test_at_the_head_of_the_file_it_counts_unless_an_environment_is_exempted(release: Project) -> None:
    text = "require_approval = true\n[environments.production]\n[environments.development]\nrequire_approval = false\n"
    release.root.joinpath("sqlmigrate.toml").write_text(text)
    assert "not-approved" in refused(release, "migrate")
    assert "not-approved" in refused(release, "migrate", "--env", "production")
    ok(release, "migrate", "--env", "development")


def test_the_log_says_who_approved_when_and_of_which_digest(release: Project, reviewer: str) -> None:
    digest = json.loads(ok(release, "plan", "--out", "plan.json", "--format", "json"))["digest"]
    ok(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)

    rows = release.query(
        "select db_user, checksum, name, outcome, now() - logged_at < interval '1 min' from migrations_log"
    )
    assert rows == [(f"reviewer_{os.getpid()}", digest, "apply v1.0.0-001 v1.0.0-002", "success", True)]
    assert ok(release, "history").endswith(f"\n    plan {digest}\n")
    assert json.loads(ok(release, "history", "--format", "json"))["history"][0]["checksum"] == digest


def test_an_approval_is_used_up_by_the_run_that_failed(release: Project, reviewer: str) -> None:
    production = {"SQLMIGRATE_ENV": "production"}
    release.add(2, "select 1 / 0;")
    ok(release, "plan", "--out", "plan.json", **production)
    ok(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
    assert "division by zero" in refused(release, "migrate", "--plan", "plan.json", **production)

    told = refused(release, "migrate", "--plan", "plan.json", **production)

    assert "[plan-outdated]" in told
    assert "[not-approved]" in told


def test_an_outdated_plan_is_not_to_be_approved(release: Project, reviewer: str) -> None:
    ok(release, "plan", "--out", "plan.json")
    release.add(3, "select 1;")

    assert "[plan-outdated]" in refused(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
    assert release.value("select to_regclass('migrations_log') is null")


def test_a_plan_that_misleads_is_not_to_be_approved(release: Project, reviewer: str) -> None:
    ok(release, "plan", "--out", "plan.json")
    forge_plan(release)
    assert "plan-misleads" in refused(release, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)


def test_a_plan_may_be_approved_where_its_files_lie_elsewhere(release: Project, reviewer: str) -> None:
    release.write("before_each.sql", "select 1;")
    release.add(3, "create table rows (a int);\ncopy rows from stdin;\n1\n\\.\nvacuum rows;")
    ok(release, "plan", "--out", "plan.json")
    elsewhere = release.root / "elsewhere"
    shutil.copytree(release.directory, elsewhere)
    ok(release, "approve", "plan.json", "--yes", "--dir", str(elsewhere), DATABASE_URL=reviewer)
    ok(release, "migrate", "--env", "production", "--plan", "plan.json")


def test_a_plan_with_errors_is_not_to_be_approved(release: Project, reviewer: str) -> None:
    ok(release, "plan", "--out", "plan.json")
    release.write("odd.sql", "select 1;")
    release.add(2, "select 1; \\copy t from x")

    told = refused(release, "approve", "plan.json", DATABASE_URL=reviewer)

    assert told.count("error: ") == 2
    assert "nothing was run: 2 problems" in told


def test_without_a_terminal_or_a_yes_nothing_is_approved(release: Project) -> None:
    ok(release, "plan", "--out", "plan.json")

    assert "nothing was changed" in refused(release, "approve", "plan.json")


def test_a_plan_file_that_can_not_be_written_is_told(project: Project) -> None:
    project.add(1, "select 1;")

    assert "cannot be written" in refused(project, "plan", "--out", "nowhere/plan.json")
    assert not Path(project.root / "nowhere").exists()
