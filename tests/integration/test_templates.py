"""Each template: what it makes is found safe, runs, and leaves nothing behind when it is taken back."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from sqlmigrate.authoring.generator import MigrationRequest, NewFile, generate
from sqlmigrate.authoring.template import Templates
from sqlmigrate.lint import Level, Options, lint
from sqlmigrate.model import Action
from sqlmigrate.sql.identifier import KEYWORDS
from tests.faults.waiting import backends, until
from tests.project import Project

SHOP = """
create schema "Shop";
create table orders (
    id bigint generated always as identity primary key, total numeric(12, 2), status text, customer bigint
);
create table customers (id bigint generated always as identity primary key);
create table "Shop"."Order" (id uuid default gen_random_uuid() primary key, "Select" integer, customer bigint);
insert into customers select from generate_series(1, 50);
insert into orders (total, customer) select n, n from generate_series(1, 50) as n;
insert into "Shop"."Order" ("Select") select n from generate_series(1, 50) as n;
"""
CASES = [
    ("empty", {}),
    ("table", {"table": "invoices"}),
    ("table", {"table": '"Shop"."Invoice"', "columns": "total numeric not null", "comment": "What's owed."}),
    ("table", {"table": "user"}),
    ("column", {"table": "orders", "column": "paid_at", "type": "timestamptz"}),
    ("column", {"table": '"Shop"."Order"', "column": "position", "type": "integer", "default": "0", "comment": "A's"}),
    ("index", {"table": "orders", "column": "status, total"}),
    ("index", {"table": '"Shop"."Order"', "column": '"Select"', "method": "hash", "where": '"Select" is not null'}),
    ("constraint", {"table": "orders", "check": "total >= 0"}),
    ("constraint", {"table": '"Shop"."Order"', "check": '"Select" > 0', "constraint": '"positive select"'}),
    ("foreign-key", {"table": "orders", "column": "customer", "references": "customers", "on_delete": "cascade"}),
    ("foreign-key", {"table": '"Shop"."Order"', "column": "customer", "references": "public.customers"}),
    ("not-null", {"table": "orders", "column": "total"}),
    ("not-null", {"table": '"Shop"."Order"', "column": '"Select"'}),
    ("enum", {"enum": "order_status", "values": "new, paid, customer's"}),
    ("enum", {"enum": '"Shop"."Order Status"', "values": "'new','paid'"}),
    ("function", {"function": "one", "returns": "integer", "body": "select 1", "volatility": "immutable"}),
    ("function", {"function": '"Shop"."Twice"', "arguments": "n integer default 1", "types": "integer",
                  "returns": "integer", "language": "plpgsql", "body": "begin\n    return 2 * n;\nend"}),
    ("view", {"view": "open_orders", "query": "select id, total from orders where status = 'open';"}),
    ("view", {"view": '"Shop"."Open"', "query": 'select id from "Shop"."Order"'}),
    ("backfill", {"table": "orders", "column": "status", "value": "'new'", "batch": "7"}),
    ("backfill", {"table": '"Shop"."Order"', "column": "customer", "value": '"Select"', "where": '"Select" > 9'}),
]  # fmt: skip


@pytest.fixture
def shop(project: Project) -> Project:
    """A project whose first migration made tables, with rows in them."""
    project.add(1, SHOP)
    project.migrator().migrate()
    return project


def finish(files: Sequence[NewFile]) -> None:
    """Writes the statements of empty migrations."""
    for file in files:
        Path(file.path).write_text(f"{file.text.splitlines()[0]}\nselect 1;\n")


def test_every_template_has_a_case() -> None:
    assert {name for name, _ in CASES} == {template.name for template in Templates([]).all()}


@pytest.mark.parametrize(("template", "values"), CASES)
def test_a_template_generates_safe_migrations_with_a_rollback(
    shop: Project, template: str, values: dict[str, str]
) -> None:
    made = generate([str(shop.directory)], MigrationRequest("what_it_does", template, values)).files
    before = shop.schema()
    if template == "empty":
        assert {finding.rule for finding in lint([file.path for file in made], [str(shop.directory)])} == {"draft"}
        finish(made)

    findings = lint([file.path for file in made], [str(shop.directory)])
    assert [finding for finding in findings if finding.level in (Level.ERROR, Level.WARNING)] == []
    assert all(file.text.endswith("\n") and file.text.startswith("-- ") for file in made)

    applied = shop.migrator().migrate().steps
    after = shop.schema()
    assert [step.path for step in applied] == [file.path for file in made if file.path.endswith(".up.sql")]
    assert (after == before) == (template == "empty")

    back = shop.migrator().rollback(steps=len(applied)).steps
    assert {step.action for step in back} == {Action.ROLL_BACK}
    if template != "backfill":  # what it filled stays
        assert shop.schema() == before

    shop.migrator().migrate()
    assert shop.schema() == after


def test_replay_on_the_server_has_no_findings(shop: Project) -> None:
    for number, (template, values) in enumerate(CASES):
        made = generate([str(shop.directory)], MigrationRequest(f"case_{number}", template, values)).files
        if template == "empty":
            finish(made)

    paths = [str(path) for path in sorted(shop.directory.iterdir()) if "case" in path.name]
    findings = lint(paths, [str(shop.directory)], Options(preset="all", replay=True))
    assert [finding for finding in findings if finding.level in (Level.ERROR, Level.WARNING)] == []


def test_every_reserved_word_is_quoted(project: Project) -> None:
    words = {row[0] for row in project.query("select word from pg_get_keywords() where catcode <> 'U'")}
    assert words <= KEYWORDS


def test_each_step_can_be_rolled_back_separately(shop: Project) -> None:
    values = {"table": "orders", "column": "total"}
    steps = len(generate([str(shop.directory)], MigrationRequest("total", "not-null", values)).files) // 2
    schemas = [shop.schema()]
    migrator = shop.migrator()
    for step in migrator.plan().steps:
        migrator.migrate(step.migration.version)
        schemas.append(shop.schema())

    assert len(set(schemas)) == steps + 1 == 4
    for before in reversed(schemas[:-1]):
        migrator.rollback(steps=1)
        assert shop.schema() == before


ROWS = 10_000


def test_a_backfill_continues_after_it_was_killed(shop: Project) -> None:
    shop.query(f"insert into orders (total) select n from generate_series(51, {ROWS}) as n")
    values = {
        "table": "orders",
        "column": "status",
        "value": "case when id % 100 = 0 then (select 'new' from pg_sleep(0.01 * sign(id))) else 'new' end",
    }
    generate([str(shop.directory)], MigrationRequest("fill_status", "backfill", values))
    filled = "select count(*) from orders where status is not null"

    running = shop.start("migrate")
    until(lambda: shop.value(filled) >= 2000 or running.poll() is not None)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    until(lambda: not backends(shop))
    done = shop.value(filled)
    transactions = shop.value("select count(distinct xmin::text) from orders where status is not null")
    shop.query("create table seen as select id, xmin::text as by from orders where status is not null")

    assert 2000 <= done < ROWS
    assert done % 1000 == 0
    assert transactions == done / 1000
    assert shop.migrator().status()[-1].state.value == "partial"

    shop.migrator().migrate()
    assert shop.value(filled) == ROWS
    assert shop.value("select count(*) from orders join seen using (id) where orders.xmin::text = seen.by") == done
    assert shop.versions()[-1] == ("v1.0.0-002", True)


def test_a_backfill_ends_if_the_value_is_null(shop: Project) -> None:
    values = {"table": "orders", "column": "status", "value": "null", "batch": "10"}
    generate([str(shop.directory)], MigrationRequest("fill_status", "backfill", values))

    shop.migrator().migrate()
    assert shop.value("select count(*) from orders where status is null") == 50


def test_a_backfill_of_an_empty_table_does_nothing(shop: Project) -> None:
    shop.query("delete from orders")
    generate(
        [str(shop.directory)],
        MigrationRequest("fill", "backfill", {"table": "orders", "column": "status", "value": "'x'"}),
    )

    assert len(shop.migrator().migrate().steps) == 1
