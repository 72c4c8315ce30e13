"""Regression tests for faults in operation that a review found."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping

import psycopg
import pytest

from sqlmigrate.cli import notify
from sqlmigrate.config.settings import Settings
from sqlmigrate.errors import MigrationFailed, PlanRefused
from tests.faults.waiting import ended, until_asleep
from tests.project import Project


@pytest.mark.parametrize("redirection", ["2>/dev/full", ">/dev/full", ">/dev/full 2>&1", ">&- 2>&-", "2>&1 | head -1"])
def test_unwritable_output_does_not_stop_a_migration(project: Project, redirection: str) -> None:
    for number in range(1, 4):
        project.add(number, f"select pg_sleep(0.1);\nvacuum;\ncreate table t{number} (a int);")
    command = " ".join([*project.command("migrate"), redirection])

    ran = subprocess.run(
        ["bash", "-c", command],
        check=False,
        capture_output=True,
        text=True,
        env=project.environment(),
        cwd=project.root,
    )

    assert "Traceback" not in ran.stderr + ran.stdout
    assert ran.returncode == 0
    assert project.versions() == [(f"v1.0.0-00{number}", True) for number in range(1, 4)]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("status", 1), ("info", 1), ("check", 1), ("validate", 1), ("plan", 1), ("history", 1), ("lock-status", 1),
        ("metrics", 1), ("status --format json", 1), ("plan --format markdown", 1), ("migrate --dry-run", 1),
        ("rules", 1), ("repair --yes", 0), ("migrate", 0),
    ],
)  # fmt: skip
def test_a_command_that_only_reads_fails_if_its_result_cannot_be_written(
    project: Project, command: str, code: int
) -> None:
    project.add(1, "create table t (a int);", "drop table t;")
    assert project.cli("migrate").returncode == 0
    line = " ".join(project.command(*command.split()))

    full, closed = (
        subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{line} {to}"],
            check=False,
            capture_output=True,
            text=True,
            env=project.environment(),
            cwd=project.root,
        )
        for to in (">/dev/full", "| true")
    )

    level = "error" if code else "warning"
    assert (full.returncode, full.stderr) == (code, f"{level}: could not write the result: No space left on device\n")
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "text"), [("before_each", "vacuum;"), ("after_error", "\\gexec\n"), ("V1.0.0-002__x.up", "\\gexec\n")]
)
def test_a_plan_that_migrate_would_refuse_shows_its_problems_and_cannot_be_approved(
    project: Project, name: str, text: str
) -> None:
    project.add(1, "select 1;")
    project.cli("plan", "--out", "plan.json")
    project.write(f"{name}.sql", text)

    assert project.cli("plan", "--out", "plan.json").returncode == 1
    assert project.cli("approve", "plan.json", "--yes").returncode == 1


def test_the_plan_of_a_partial_migration_reports_changes_to_its_applied_segments(
    project: Project,
) -> None:
    project.query("create table t (a int)")
    project.add(1, "create table u (a int);\nvacuum t;\nselect 1 / 0;")
    with pytest.raises(MigrationFailed):
        project.migrator().migrate()
    project.add(1, "create table u (a int);\nvacuum t;\nselect 1;")
    ran = project.cli("plan")
    assert "select 1;" in ran.stdout
    assert "create table u" not in ran.stdout

    project.add(1, "create table v (a int);\nvacuum t;\nselect 1;")
    assert [problem.code for problem in project.migrator().plan().errors] == ["done-part-changed"]


def test_a_hook_next_to_a_statement_without_lock_timeout_has_a_lock_timeout(project: Project) -> None:
    project.query("create table a (id int)", "create table b (id int)")
    project.write("before_each.sql", "lock table a in access exclusive mode;")
    project.add(1, "create index concurrently i on b (id);")
    with psycopg.connect(project.database) as other:
        other.execute("lock table a in access share mode")
        with pytest.raises(MigrationFailed, match="lock timeout"):
            project.migrator(lock_timeout="200ms", statement_timeout="2min").migrate()


def test_a_rehearsal_requires_approval(project: Project) -> None:
    project.add(1, "create sequence s; select nextval('s');")
    (project.root / "sqlmigrate.toml").write_text("require_approval = true\n")

    ran = project.cli("validate", "--dry-run")

    assert ran.returncode == 1
    assert "[not-approved]" in ran.stderr


def test_an_approval_expires_with_a_run_that_was_killed_or_failed_in_a_hook(project: Project) -> None:
    from sqlmigrate.planning import plan_file

    project.write("before_migrate.sql", "select 1 / 0;")
    project.add(1, "select 1;")
    assert project.cli("plan", "--out", "plan.json").returncode == 0
    role = "approver_of_hooks"
    project.query(f"drop role if exists {role}", f"create role {role} login superuser")
    try:
        file = plan_file.read(str(project.root / "plan.json"))
        project.migrator(db_user=role).approve(file)
        (project.root / "sqlmigrate.toml").write_text("require_approval = true\n")
        first = project.cli("migrate", "--plan", "plan.json")
        again = project.cli("migrate", "--plan", "plan.json")
    finally:
        project.query(f"drop owned by {role}", f"drop role {role}")

    assert "division by zero" in first.stderr
    assert "[not-approved]" in again.stderr


def test_a_plan_is_not_valid_for_another_database_of_the_same_name(project: Project) -> None:
    from sqlmigrate.planning import plan_file

    project.add(1, "select 1;")
    project.cli("plan", "--out", "plan.json")
    file = plan_file.read(str(project.root / "plan.json"))
    name = psycopg.conninfo.conninfo_to_dict(project.database)["dbname"]
    with psycopg.connect(project.server.conninfo, autocommit=True) as server:
        server.execute(f"drop database {name}".encode())
        server.execute(f"create database {name}".encode())

    with pytest.raises(PlanRefused) as refused:
        project.migrator().run(file.request, file)

    assert "it was made for server" in refused.value.problems[0].message


def test_a_hangup_ends_a_run_as_other_signals_do(project: Project) -> None:
    project.add(1, "select pg_sleep(3600);")
    # Under nohup, child processes inherit the ignored signal, and sqlmigrate keeps it ignored.
    kept = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    running = project.start("migrate", "--log-file", "run.log")
    signal.signal(signal.SIGHUP, kept)
    until_asleep(project)
    running.send_signal(signal.SIGHUP)

    stderr = ended(running)

    assert running.returncode == 129
    assert "interrupted by SIGHUP" in stderr
    assert "ERROR" in (project.root / "run.log").read_text()
    assert project.has_free_lock()


def test_the_timeout_does_not_include_notifications(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / "sqlmigrate.toml").write_text('notify_command = ["sh", "-c", "cat > told.json"]\n')
    project.add(1, "select 1;")
    timers, send = [], notify.notify

    def observed(settings: Settings, content: Mapping[str, object], seconds: float) -> list[str]:
        timers.append(signal.getitimer(signal.ITIMER_REAL))
        return send(settings, content, seconds)

    monkeypatch.setattr(notify, "notify", observed)

    ran = project.cli("migrate", "--timeout", "1h")

    assert ran.returncode == 0
    assert (project.root / "told.json").exists(), ran.stderr
    assert timers == [(0.0, 0.0)]
