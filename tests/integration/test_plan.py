"""`plan`: every statement that would be run on this database, with its locks."""

from __future__ import annotations

import json
from typing import Any

from tests.project import Project


def plan_of(project: Project, *arguments: str) -> dict[str, Any]:
    ran = project.cli("plan", "--format", "json", *arguments)
    assert ran.returncode == 0, ran.stderr
    plan: dict[str, Any] = json.loads(ran.stdout)
    return plan


def statements(plan: dict[str, Any], step: int = 0) -> list[dict[str, Any]]:
    return [statement for transaction in plan["steps"][step]["transactions"] for statement in transaction["statements"]]


def test_each_statement_has_its_locks_and_their_effect(project: Project) -> None:
    project.query("create table orders (id int)")
    project.add(
        1,
        "create table notes (id int);\n\nalter table orders add column total int;\n"
        "create index concurrently on orders (id);\nalter table notes add column b int;",
        "select 1;",
    )

    found = statements(plan_of(project))

    assert [statement["line"] for statement in found] == [1, 3, 4, 5]
    assert found[0]["locks"] == []
    assert found[1]["locks"] == [
        {
            "relation": "orders",
            "mode": "ACCESS EXCLUSIVE",
            "blocks_reads": True,
            "blocks_writes": True,
            "made_by_the_plan": False,
            "work": "",
        }
    ]
    assert [(lock["mode"], lock["blocks_writes"]) for lock in found[2]["locks"]] == [("SHARE UPDATE EXCLUSIVE", False)]
    assert [(lock["relation"], lock["made_by_the_plan"], lock["blocks_reads"]) for lock in found[3]["locks"]] == [
        ("notes", True, False)
    ]


def test_a_statement_outside_a_transaction_is_separate(project: Project) -> None:
    project.query("create table orders (id int)")
    project.add(1, "select 1;\nvacuum orders;\nselect 2;")

    (step,) = plan_of(project)["steps"]

    assert [(part["begin"], len(part["statements"])) for part in step["transactions"]] == [
        ("begin", 1),
        ("", 1),
        ("begin", 1),
    ]


def test_irreversible_statements_are_marked(project: Project) -> None:
    project.query("create table orders (id int)")
    project.add(1, "drop table orders;", "create table orders (id int);")
    project.add(2, "select 1;")

    plan = plan_of(project)

    assert "orders" in plan["steps"][0]["irreversible"][0]
    assert plan["steps"][1]["irreversible"] == ["there is no down file"]


def test_copy_data_is_part_of_its_statement(project: Project) -> None:
    project.add(1, "create table t (a int);\ncopy t from stdin;\n1\n2\n\\.\nselect 1;")

    found = statements(plan_of(project))

    assert [statement["sql"] for statement in found] == [
        "create table t (a int);",
        "copy t from stdin;\n1\n2\n\\.",
        "select 1;",
    ]


def test_large_copy_data_is_replaced_by_its_size(project: Project) -> None:
    project.add(1, "create table t (a int);\ncopy t from stdin;\n" + "1\n" * 40_000 + "\\.\n")

    assert statements(plan_of(project))[1]["sql"].endswith("-- here go 80000 bytes of rows")


def test_a_rollback_plan_contains_the_down_files(project: Project) -> None:
    project.add(1, "create table t (a int);", "drop table t;")
    project.migrator().migrate()

    plan = plan_of(project, "--rollback", "--steps", "1")

    assert plan["asked"] == {"action": "rollback", "version": None, "steps": 1, "out_of_order": False}
    assert statements(plan)[0]["sql"] == "drop table t;"
    assert statements(plan)[0]["locks"][0]["blocks_reads"]


def test_hooks_are_part_of_the_plan(project: Project) -> None:
    project.add(1, "select 1;")
    project.write("before_migrate.sql", "select 'before';")
    project.write("before_each.sql", "select 'each';")

    plan = plan_of(project)

    assert [(step["version"], step["action"]) for step in plan["steps"]] == [
        ("before_migrate", "hook"),
        ("v1.0.0-001", "apply"),
    ]
    assert [step["version"] for step in plan["hooks"]] == ["before_each"]
    assert set(plan["plan"]["hooks"]) == {"before_each"}


def test_a_plan_with_errors_shows_them_and_exits_with_1(project: Project) -> None:
    project.add(1, "\\i other.sql\n")

    ran = project.cli("plan")

    assert ran.returncode == 1
    assert "psql-command" in ran.stdout


def test_a_plan_can_be_empty(project: Project) -> None:
    assert plan_of(project)["steps"] == []


def test_plan_changes_nothing(project: Project) -> None:
    project.add(1, "create table t (a int);")
    plan_of(project, "--out", "plan.json", "--html", "plan.html")

    assert project.value("select count(*) from pg_class where relnamespace = 'public'::regnamespace") == 0
