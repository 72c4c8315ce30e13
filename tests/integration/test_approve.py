"""`approve`: what it shows before it asks, and what it says about a plan that was run or approved before."""

from __future__ import annotations

import json
import re
import sys

import pytest

from tests.cli.test_cli import on_terminal
from tests.integration.test_approval import reviewer
from tests.project import Project

__all__ = ["reviewer"]  # the fixture
pytestmark = pytest.mark.anywhere

WHEN = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+"
WITHOUT_PARSER = (
    "import importlib.util\n"
    "found = importlib.util.find_spec\n"
    "importlib.util.find_spec = lambda name, *rest: None if name == 'postgast' else found(name, *rest)\n"
    "from sqlmigrate.cli import main\n"
    "main()\n"
)


@pytest.fixture
def planned(project: Project) -> Project:
    """A plan of two migrations; the second one destroys data."""
    project.add(1, "create table orders (id int);\ncreate table old (id int);", "drop table old, orders;")
    project.migrator().migrate()
    project.add(2, "alter table orders add column total int;", "alter table orders drop column total;")
    project.add(3, "drop table old;", "create table old (id int);", name="forget")
    run(project, "plan", "--out", "plan.json", "--html", "plan.html")
    return project


def run(project: Project, *arguments: str, code: int = 0, **environment: str) -> str:
    ran = project.cli(*arguments, **environment)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_approve_shows_the_losses_first_and_then_everything_of_the_page(planned: Project, reviewer: str) -> None:
    shown = run(planned, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)

    order = [
        r"migration of database test_\w+ on \S+:\d+\n",
        rf"made by \S+ \(\S+@\S+\) at {WHEN}\n",
        r"cannot be undone:\n  v1.0.0-003  forget: the rows of old are lost\n",
        r"blocks others:\n  old: blocks reads and writes \(ACCESS EXCLUSIVE\), v1.0.0-003 line 1\n",
        r"  orders: blocks reads and writes \(ACCESS EXCLUSIVE\), v1.0.0-002 line 1\n",
        r"apply      v1.0.0-002  step\n",
        r"alter table orders add column total int;",
        r"→ ACCESS EXCLUSIVE on orders: blocks reads and writes",
        r"drop table old;",
        r"2 migrations, 2 statements; blocks reads of 2 tables",
        r"digest [0-9a-f]{64}\n",
        r"approved: [0-9a-f]{64}\n",
    ]
    positions = [match.start() if (match := re.search(pattern, shown)) else -1 for pattern in order]
    assert -1 not in positions, (positions, shown)
    assert positions == sorted(positions)


def test_approve_says_that_nothing_is_lost(project: Project) -> None:
    project.add(1, "create table orders (id int);", "drop table orders;")
    run(project, "plan", "--out", "plan.json")
    shown = run(project, "approve", "plan.json", code=2)
    assert "no step is known to be irreversible\n" in shown
    assert "no statement is known to block reads or writes\n" in shown
    assert "not confirmed" in shown


def test_the_page_names_host_database_and_who_made_the_plan(planned: Project) -> None:
    page = (planned.root / "plan.html").read_text()
    made = json.loads((planned.root / "plan.json").read_text())["made"]
    assert re.search(r"<dt>Server</dt><dd>[^<]+:\d+</dd>", page)
    assert re.search(rf"<dt>Made</dt><dd>[^<]+ \([^<]+@[^<]+\), {WHEN}</dd>", page)
    assert made["host"] in page
    assert made["by"] in page


def test_the_digest_covers_neither_who_made_the_plan_nor_when(planned: Project, reviewer: str) -> None:
    first = json.loads((planned.root / "plan.json").read_text())
    again = json.loads(run(planned, "plan", "--format", "json", DATABASE_URL=reviewer))
    assert first["made"]["by"] != again["made"]["by"]
    assert first["digest"] == again["digest"]


def test_a_plan_file_without_its_maker_can_be_approved(planned: Project) -> None:
    path = planned.root / "plan.json"
    content = json.loads(path.read_text())
    del content["made"]
    path.write_text(json.dumps(content))
    shown = run(planned, "approve", "plan.json", "--yes")
    assert "made by" not in shown
    assert "approved: " in shown


@pytest.mark.parametrize(
    "made", ["x", {}, {"host": "h", "by": "b", "at": "yesterday"}, {"host": 1, "by": "b", "at": ""}]
)
def test_a_plan_file_with_an_invalid_maker_is_refused(planned: Project, made: object) -> None:
    path = planned.root / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"made": made}))
    assert '"plan.json" is not a plan file' in run(planned, "approve", "plan.json", code=2)


@pytest.mark.parametrize("command", ["approve plan.json", "migrate --plan plan.json"])
@pytest.mark.parametrize("runs", ["migrate --plan plan.json", "migrate"])
def test_a_used_plan_says_when_it_was_run_and_by_whom(planned: Project, command: str, runs: str) -> None:
    run(planned, *runs.split())
    shown = run(planned, *command.split(), code=1)
    assert re.search(rf"this plan was run at {WHEN} by \S+ \[plan-outdated\]", shown)
    assert "history table had" not in shown
    assert "approved: " not in shown


def test_a_used_rollback_plan_says_so(planned: Project) -> None:
    run(planned, "migrate")
    run(planned, "plan", "--rollback", "--version", "v1.0.0-001", "--out", "back.json")
    run(planned, "rollback", "--plan", "back.json", "--yes")
    assert "this plan was run at " in run(planned, "approve", "back.json", code=1)


def test_a_plan_that_was_run_in_part_says_how_far(planned: Project) -> None:
    planned.add(3, "select 1 / 0;", "select 1;", name="forget")
    run(planned, "plan", "--out", "plan.json")
    run(planned, "migrate", "--plan", "plan.json", code=1)
    shown = run(planned, "approve", "plan.json", code=1)
    message = rf"1 of 2 migrations of this plan was run at {WHEN} by \S+; v1.0.0-003 failed: division by zero"
    assert re.search(message, shown), shown
    assert "the history table had 1 rows and now has 3" in shown


def test_a_plan_whose_run_failed_says_so(planned: Project) -> None:
    planned.add(2, "select 1 / 0;", "select 1;")
    run(planned, "plan", "--out", "plan.json")
    run(planned, "migrate", "--plan", "plan.json", code=1)
    shown = run(planned, "approve", "plan.json", code=1)
    assert re.search(rf"a run of this plan failed at {WHEN} by \S+; v1.0.0-002 failed: division by zero", shown), shown


def test_a_plan_that_was_run_and_rolled_back_can_be_approved_again(planned: Project) -> None:
    run(planned, "migrate", "--plan", "plan.json")
    run(planned, "rollback", "--steps", "2", "--yes")
    shown = run(planned, "approve", "plan.json", "--yes")
    assert re.search(rf"note: this plan was run at {WHEN} by \S+\n", shown)
    assert "approved: " in shown


def test_another_run_of_other_migrations_is_not_a_run_of_the_plan(planned: Project) -> None:
    planned.add(4, "select 1;", "select 1;")
    run(planned, "rollback", "--steps", "1", "--yes")
    shown = run(planned, "approve", "plan.json", code=1)
    assert "the plan is out of date" in shown
    assert "was run at" not in shown


def test_a_plan_that_is_approved_already_says_by_whom(planned: Project, reviewer: str) -> None:
    run(planned, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
    shown = run(planned, "approve", "plan.json", "--yes")
    assert re.search(rf"note: approved by reviewer_\d+ at {WHEN}\n", shown)


def test_an_expired_approval_says_so(planned: Project, reviewer: str) -> None:
    planned.root.joinpath("sqlmigrate.toml").write_text("require_approval = true\n")
    run(planned, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
    run(planned, "repair", "--yes")  # nothing to repair: the approval stays
    planned.query(
        "insert into migrations_log (run_id, action, version, name, checksum, outcome, os_user, host, tool_version)"
        " values ('x', 'rollback', 'v9.0.0-001', '', '', 'failure', '', '', '')"
    )
    refused = run(planned, "migrate", "--plan", "plan.json", code=1)
    assert re.search(rf"the approval by reviewer_\d+ at {WHEN} has expired: a run has started since", refused), refused
    shown = run(planned, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
    assert re.search(rf"note: approved by reviewer_\d+ at {WHEN}; this approval has expired\n", shown)
    run(planned, "migrate", "--plan", "plan.json")


def test_an_outdated_plan_is_refused_before_the_prompt(planned: Project) -> None:
    planned.add(4, "select 1;")
    shown = run(planned, "approve", "plan.json", code=1)
    assert "[plan-outdated]" in shown
    assert "not confirmed" not in shown


def test_without_the_parser_approve_shows_the_sql_and_the_losses_of_the_plan_file(planned: Project) -> None:
    ran = planned.run([sys.executable, "-c", WITHOUT_PARSER, "approve", "plan.json", "--yes"])
    assert ran.returncode == 0, ran.stderr
    assert "cannot be undone, according to the plan file:\n  v1.0.0-003: the rows of old are lost\n" in ran.stdout
    assert "drop table old;" in ran.stdout
    assert "locks are not shown: pip install 'sqlmigrate[lint]'" in ran.stdout
    assert ran.stdout.index("cannot be undone") < ran.stdout.index("drop table old;")


def test_the_json_of_approve_has_the_losses_and_the_notes(planned: Project) -> None:
    run(planned, "approve", "plan.json", "--yes")
    shown = json.loads(planned.cli("approve", "plan.json", "--yes", "--format", "json").stdout)
    assert [step["version"] for step in shown["steps"]] == ["v1.0.0-002", "v1.0.0-003"]
    assert shown["irreversible"] == [{"version": "v1.0.0-003", "reasons": ["the rows of old are lost"]}]
    assert shown["problems"] == []
    assert shown["notes"][0].startswith("approved by ")
    assert len(shown["approved"]) == 64


def test_a_hint_that_several_problems_share_is_shown_once(planned: Project, reviewer: str) -> None:
    planned.root.joinpath("sqlmigrate.toml").write_text("require_approval = true\n")
    planned.add(2, "select 1 / 0;", "select 1;")
    run(planned, "plan", "--out", "plan.json")
    run(planned, "approve", "plan.json", "--yes", DATABASE_URL=reviewer)
    run(planned, "migrate", "--plan", "plan.json", code=1)
    planned.add(4, "select 1;")

    shown = run(planned, "migrate", "--plan", "plan.json", code=1)

    assert shown.count("[plan-outdated]") >= 2
    assert "[not-approved]" in shown
    lines = [line for line in shown.splitlines() if line.startswith("  → ")]
    assert len(lines) == len(set(lines)), shown


def test_an_approval_is_required_before_the_prompt(planned: Project, reviewer: str) -> None:
    run(planned, "migrate", "--plan", "plan.json")
    planned.root.joinpath("sqlmigrate.toml").write_text("require_approval = true\n")
    run(planned, "plan", "--rollback", "--steps", "1", "--out", "back.json")
    for arguments in (("rollback", "--plan", "back.json"), ("rollback", "--steps", "1"), ("redo",)):
        code, screen = on_terminal(planned, *arguments, answer="y\n")

        assert code == 1
        assert "[not-approved]" in screen
        assert "Roll back" not in screen

    run(planned, "approve", "back.json", "--yes", DATABASE_URL=reviewer)
    code, screen = on_terminal(planned, "rollback", "--plan", "back.json", answer="y\n")
    assert (code, "Roll back?" in screen) == (0, True), screen


def test_an_outdated_rollback_is_refused_before_the_prompt(planned: Project) -> None:
    run(planned, "migrate", "--plan", "plan.json")
    run(planned, "plan", "--rollback", "--steps", "1", "--out", "back.json")
    planned.add(4, "select 1;", "select 1;")
    run(planned, "migrate")

    code, screen = on_terminal(planned, "rollback", "--plan", "back.json", answer="y\n")

    assert (code, "[plan-outdated]" in screen, "Roll back?" in screen) == (1, True, False)


def test_findings_of_the_linter_are_refused_before_the_prompt(planned: Project) -> None:
    run(planned, "migrate", "--plan", "plan.json")
    planned.add(3, "drop table old;", "create index on orders (id);", name="forget")

    code, screen = on_terminal(planned, "rollback", "--steps", "1", "--lint", "warning", answer="y\n")

    assert (code, "Roll back?" in screen, "[index-not-concurrent]" in screen) == (1, False, True), screen
