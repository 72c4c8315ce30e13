"""`rehearse`: what it reports, and what it leaves behind: nothing on the target, the migrations on a copy."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.scratch.rehearsing import RehearsalRequest
from tests.faults.rehearsal import SHOP, state
from tests.polling import LIMIT, happens
from tests.project import Project
from tests.servers import execute


@pytest.fixture
def shop(project: Project) -> Project:
    """A database with rows, triggers and sequences, made by the first migration."""
    project.add(1, SHOP)
    project.migrator().migrate()
    return project


@pytest.fixture
def copy(shop: Project) -> Iterator[str]:
    """A copy of the database of `shop`."""
    name = f"copy_{os.getpid()}"
    execute(shop.server.conninfo, f"create database {name} template {shop.value('select current_database()')}")
    yield shop.server.database(name)
    execute(shop.server.conninfo, f"drop database {name} with (force)")


def test_a_rehearsal_shows_locks_and_work(shop: Project) -> None:
    shop.add(2, "alter table archive alter order_id type text;\nupdate orders set amount = 5 where id = 1;")
    run = shop.cli("rehearse", "--on", "target", "--yes")
    assert run.returncode == 0
    assert "→ ACCESS EXCLUSIVE on archive: blocks reads and writes" in run.stdout
    assert "rewrites archive\n" in run.stdout
    assert "builds archive_pkey (btree) on archive" in run.stdout
    assert "updates 1 row of orders" in run.stdout
    assert "1 migration, 2 statements" in run.stdout


def test_json_has_each_statement_with_its_effects(shop: Project) -> None:
    shop.add(2, "alter table archive alter order_id type text;")
    data = json.loads(shop.cli("rehearse", "--on", "target", "--yes", "--format", "json").stdout)["rehearsal"]
    (statement,) = data["steps"][0]["transactions"][0]["statements"]
    assert (data["on"], statement["line"], statement["error"]) == ("target", 1, "")
    assert {"relation": "public.archive", "kind": "r", "mode": "ACCESS EXCLUSIVE", "blocks_reads": True,
            "blocks_writes": True} in statement["locks"]  # fmt: skip
    assert [work["doing"] for work in statement["work"]] == ["rewrites", "builds"]
    assert statement["wal_bytes"] > 0


def test_markdown_has_a_table(shop: Project) -> None:
    shop.add(2, "alter table archive alter order_id type text;\nvacuum;")
    shown = shop.cli("rehearse", "--on", "target", "--yes", "--format", "markdown").stdout
    assert "ACCESS EXCLUSIVE on <code>archive</code> **blocks reads and writes**" in shown
    assert "left out: cannot run inside a transaction block" in shown


# Statements that change sequences, which PostgreSQL does not roll back.
SEQUENCES = {
    "a serial column": "insert into orders (amount) values (1);",
    "an identity column": "insert into lines (order_id) select id from orders;",
    "a trigger": "update orders set amount = amount + 1;",
    "nextval": "select nextval('numbers');",
    "nextval in upper case": "SELECT NEXTVAL('NUMBERS');",
    "setval": "select setval('numbers', 1000);",
    "a function": "select take();",
    "a DO block": "do $$ begin insert into orders (amount) values (1); perform take(); end $$;",
    "a procedure": "call take_many();",
    "a view with a rule": "insert into shown values (7);",
    "a quoted name": "select nextval('\"Odd Numbers\"');",
    "a default of a new column": "alter table orders add n bigint default nextval('numbers');",
    "a partition": "insert into events (at) values ('2026-05-05');",
    "COPY": "copy orders (amount) from stdin;\n1\n2\n\\.",
    "a copy that was made before": "select nextval('numbers'); vacuum; select nextval('numbers');",
    "a new owner": "alter sequence numbers owned by orders.amount; select nextval('numbers');",
    "an event trigger": "create table x (a int);",
    "a cascade": "delete from orders where id = 1;",
}


@pytest.mark.parametrize("statement", SEQUENCES.values(), ids=SEQUENCES)
def test_a_rehearsal_on_the_target_leaves_sequences_as_they_were(shop: Project, statement: str) -> None:
    before = state(shop)
    shop.add(2, statement)
    rehearsal = shop.migrator().rehearse()
    assert rehearsal.failure is None
    assert [each.sql for each in rehearsal.left_out] in ([], ["vacuum"])
    assert state(shop) == before


def test_a_sequence_that_a_statement_cannot_use_stays_available(shop: Project) -> None:
    shop.query("drop event trigger note")
    shop.add(2, "create index on orders (amount);\ncomment on sequence numbers is 'x';\nselect pg_sleep(1.5);")
    running = shop.start("rehearse", "--on", "target", "--yes")
    assert happens(lambda: bool(shop.backends("query like '%pg_sleep%'")))
    with psycopg.connect(shop.database) as other:
        other.execute("set lock_timeout = '500ms'; select nextval('numbers')")
    running.communicate(timeout=LIMIT)
    assert running.returncode == 0


def test_a_statement_that_needs_the_sequence_of_another_role_is_left_out(shop: Project) -> None:
    role = f"guest_{os.getpid()}"
    shop.query(
        "drop event trigger note",
        f"create role {role} login; grant usage on sequence numbers to {role}; grant all on schema public to {role}",
        f"grant select on all tables in schema public to {role}; grant all on function take() to {role}",
    )
    before = state(shop)
    shop.add(2, "select nextval('numbers');\nselect 1;")
    try:
        run = shop.cli("rehearse", "--on", "target", "--yes", "--db-user", role)
        assert "left out: may change a sequence, which PostgreSQL does not roll back" in run.stdout
        assert "must be owner of sequence numbers" in run.stdout
        assert state(shop) == before
    finally:
        shop.query(f"drop owned by {role}; drop role {role}")


@pytest.mark.parametrize("last", ["select 1 / 0;", "insert into orders (id, amount) values (1, 1);"])
def test_a_rehearsal_that_fails_leaves_the_target_as_it_was(shop: Project, last: str) -> None:
    before = state(shop)
    shop.add(2, f"insert into orders (amount) values (5);\n{last}")
    run = shop.cli("rehearse", "--on", "target", "--yes")
    assert run.returncode == 1
    assert "error: migrations/V1.0.0-002__step.up.sql:2:" in run.stderr or "V1.0.0-002__step.up.sql:2" in run.stderr
    assert "v1.0.0-002 would fail" in run.stderr
    assert "failed: " in run.stdout
    assert state(shop) == before


def test_a_rehearsal_on_the_target_waits_a_second_for_a_lock(shop: Project) -> None:
    shop.add(2, "alter table orders add note text;")
    with psycopg.connect(shop.database) as other:
        other.execute("select * from orders")
        run = shop.cli("rehearse", "--on", "target", "--yes", "--lock-timeout", "1h")
    assert "canceling statement due to lock timeout" in run.stderr


@pytest.mark.parametrize("place", ["target", "postgresql://nowhere/db"])
def test_only_an_embedded_server_is_used_without_a_question(shop: Project, place: str) -> None:
    shop.add(2, "select 1;")
    run = shop.cli("rehearse", "--on", place)
    assert run.returncode == 2
    assert "not confirmed" in run.stderr


def test_a_rehearsal_on_a_copy_applies_and_records_the_migrations(shop: Project, copy: str) -> None:
    shop.add(2, "create index concurrently orders_amount on orders (amount);\nvacuum orders;\nselect take();")
    before = state(shop)
    run = shop.cli("rehearse", "--on", copy, "--yes")
    assert run.returncode == 0
    assert "left out" not in run.stdout
    assert "builds orders_amount (btree) on orders" in run.stdout
    assert execute(copy, "select version from migrations order by 1") == [("v1.0.0-001",), ("v1.0.0-002",)]
    assert "nothing to rehearse" in shop.cli("rehearse", "--on", copy, "--yes").stdout
    assert state(shop) == before


def test_the_target_is_not_taken_for_a_copy(shop: Project) -> None:
    run = shop.cli("rehearse", "--on", shop.database, "--yes")
    assert run.returncode == 2
    assert "the copy is the target itself" in run.stderr


def test_a_rehearsal_on_an_embedded_server_replays_what_is_applied(shop: Project, scratch_cache: Path) -> None:
    before = state(shop)
    shop.add(2, "alter table archive alter order_id type text;\nvacuum archive;")
    rehearsal = shop.migrator().rehearse(RehearsalRequest("embedded"))
    assert [step.step.migration.id for step in rehearsal.steps] == ["v1.0.0-002"]
    assert rehearsal.left_out == []
    assert [effort.doing.value for effort in next(rehearsal.statements).effects.efforts] == ["rewrites", "builds"]  # type: ignore[union-attr]
    assert state(shop) == before


def test_without_a_database_all_migrations_are_rehearsed(shop: Project, scratch_cache: Path) -> None:
    run = shop.cli("rehearse", "--target", "v1.0.0-001", DATABASE_URL="")
    assert run.returncode == 0
    assert "rehearsed 1 migration" in run.stdout


def test_locks_on_tables_that_the_migrations_create_are_not_reported(shop: Project) -> None:
    shop.add(2, "create table fresh (a int);\nalter table fresh add b int;\ncreate index on fresh (a);")
    rehearsal = shop.migrator().rehearse()
    assert all(not each.effects.locks and not each.effects.efforts for each in rehearsal.statements if each.effects)


def test_settings_of_a_script_are_not_disturbed(shop: Project) -> None:
    shop.add(
        2,
        "set time zone 'Asia/Tokyo';\nset datestyle = 'German';\ninsert into notes values ('2026-01-02 03:04+00');\n"
        "create table seen as select current_setting('timezone') as zone, current_setting('datestyle') as style;\n"
        "do $$ begin if (select zone || style from seen) <> 'Asia/TokyoGerman, DMY' then raise 'disturbed'; end if; "
        "end $$;",
    )
    assert shop.migrator().rehearse().failure is None


def test_a_transaction_with_an_isolation_level_can_be_rehearsed_on_a_copy(shop: Project, copy: str) -> None:
    shop.add(
        2, "begin isolation level serializable;\nselect 1;\ncommit;\nset transaction isolation level repeatable read;"
    )
    assert shop.cli("rehearse", "--on", copy, "--yes").returncode == 0


def test_copy_freeze_can_be_rehearsed_on_a_copy(shop: Project, copy: str) -> None:
    shop.add(2, "create table fresh (a int);\ncopy fresh from stdin (freeze);\n1\n\\.\n")
    assert shop.cli("rehearse", "--on", copy, "--yes").returncode == 0


def test_statistics_contain_sizes_and_no_data(shop: Project) -> None:
    shop.query("insert into orders (amount) values (123456789)", "analyze")
    run = shop.cli("stats", "--out", str(shop.root / "stats.json"))
    assert run.returncode == 0
    assert "101 rows  orders" in run.stdout.replace("public.", "")
    text = (shop.root / "stats.json").read_text()
    assert "123456789" not in text
    (orders,) = (table for table in json.loads(text)["tables"] if table["name"] == "public.orders")
    assert (orders["rows"], orders["row_width"]) == (101, 8)
    assert orders["bytes"] > 0
    assert [(index["name"], index["method"]) for index in orders["indexes"]] == [("orders_pkey", "btree")]


def test_statistics_turn_durations_into_estimates(shop: Project) -> None:
    shop.query("insert into archive (order_id) select g from generate_series(1, 20000) g", "analyze")
    stats = shop.root / "stats.json"
    shop.cli("stats", "--out", str(stats))
    stats.write_text(stats.read_text().replace('"rows": 20000', '"rows": 2000000'))
    shop.add(2, "alter table archive alter order_id type text;\nalter table lines add note text;")
    run = shop.cli("rehearse", "--on", "target", "--yes", "--stats", str(stats))
    assert run.returncode == 0
    assert "blocks reads and writes; readers and writers wait" in run.stdout
    assert "for 20,000 rows of archive in the rehearsal, 10 times the work" in run.stdout
    data = json.loads(shop.cli("rehearse", "--on", "target", "--yes", "--stats", str(stats), "--format", "json").stdout)
    first, second = data["rehearsal"]["steps"][0]["transactions"][0]["statements"]
    assert 2.9 < first["estimate"]["high_ms"] / first["estimate"]["low_ms"] < 3.1
    assert first["locks_held"]["high_ms"] >= first["estimate"]["high_ms"]
    assert second["estimate"]["ground"].endswith("no table was read as a whole")
    markdown = shop.cli("rehearse", "--on", "target", "--yes", "--stats", str(stats), "--format", "markdown").stdout
    assert "readers and writers wait" in markdown


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "it is not JSON"),
        ("{}", "is not a statistics file"),
        ('{"stats": 2}', "is not a statistics file"),
        (None, "No such file"),
    ],
)
def test_a_file_without_statistics_is_refused(shop: Project, content: str | None, says: str) -> None:
    path = shop.root / "stats.json"
    if content is not None:
        path.write_text(content)
    run = shop.cli("rehearse", "--stats", str(path))
    assert run.returncode == 2
    assert says in run.stderr


def test_the_page_shows_what_the_text_shows(shop: Project) -> None:
    shop.add(2, "alter table archive alter order_id type text;\nselect '<b>';\nvacuum;")
    shop.cli("stats", "--out", str(shop.root / "stats.json"))
    page = shop.root / "page.html"
    run = shop.cli("rehearse", "--on", "target", "--yes", "--stats", str(shop.root / "stats.json"), "--html", str(page))
    assert run.returncode == 0
    text = page.read_text()
    assert '<span class="mode">ACCESS EXCLUSIVE</span> on <code>archive</code>' in text
    for shown in ("rewrites archive", "cannot run inside a transaction block", "an unknown time", "&lt;b&gt;"):
        assert shown in text
    assert "<b>';" not in text


def test_an_embedded_server_without_rows_estimates_by_its_rates(shop: Project, scratch_cache: Path) -> None:
    stats = shop.root / "stats.json"
    shop.query("insert into archive (order_id) select g from generate_series(1, 20000) g", "analyze")
    shop.cli("stats", "--out", str(stats))
    shop.add(2, "alter table archive alter order_id type bigint;\nupdate archive set order_id = 1;")
    data = json.loads(shop.cli("rehearse", "--stats", str(stats), "--format", "json").stdout)["rehearsal"]
    first, second = data["steps"][0]["transactions"][0]["statements"]
    assert first["estimate"]["ground"] == "rates of 100,000 sample rows on the server of the rehearsal"
    assert first["estimate"]["low_ms"] is not None
    assert second["estimate"]["ground"] == "archive has no rows in the rehearsal: rehearse on a copy"
    assert first["locks_held"]["low_ms"] is None
