"""`lock-status`, `status` and `check` while a migration runs, and after one has failed."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from subprocess import Popen
from typing import Any

import psycopg
import pytest

from sqlmigrate.migrator import Migrator
from sqlmigrate.planning.activity import Activity
from sqlmigrate.server.connection import Connection
from tests import polling
from tests.faults.waiting import until_asleep
from tests.project import Project

pytestmark = pytest.mark.anywhere

SCRIPT = """-- Totals.
create table totals (id int);
alter table orders
    add column total int;
select pg_sleep(600);
update customers set name = '';
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.add(
        1, "create table orders (id int);\ncreate table customers (name text);", "drop table orders, customers;"
    )
    project.migrator().migrate()
    return project


def until(activity: Callable[[], Activity | None], condition: Callable[[Activity], object]) -> Activity:
    """Waits for a state of the holder of the lock."""
    seen: list[Activity] = []

    def has_happened() -> bool:
        current = activity()
        seen[:] = [current] if current is not None and condition(current) else []
        return bool(seen)

    polling.until(has_happened)
    return seen[0]


@contextlib.contextmanager
def running(project: Project, *arguments: str) -> Iterator[Popen[str]]:
    process = project.start(*arguments)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def locked(project: Project, table: str) -> Iterator[None]:
    with psycopg.connect(project.database, application_name="report") as other:
        other.execute(f"lock table {table} in access share mode".encode())
        yield


def sleeps(seen: Activity) -> bool:
    return "PgSleep" in seen.waits_for


def waits(seen: Activity) -> bool:
    return " on " in seen.waits_for


def test_the_statement_that_waits_for_a_lock_is_shown_with_its_file_and_its_blocker(shop: Project) -> None:
    shop.add(2, SCRIPT, name="totals")
    with locked(shop, "orders"), running(shop, "migrate", "--lock-timeout", "10min"):
        until(shop.migrator().activity, waits)
        shown = shop.cli("lock-status").stdout
        data = json.loads(shop.cli("lock-status", "--format", "json").stdout)["running"]

    assert re.search(r"^migration    apply v1.0.0-002  totals$", shown, re.MULTILINE), shown
    assert re.search(r"^run          [0-9a-f]{16}, step 1 of 1, since \d{4}-", shown, re.MULTILINE)
    assert re.search(r"^started by   \S+ \(\S+@\S+\)$", shown, re.MULTILINE)
    assert re.search(r"^file         \S+V1.0.0-002__totals.up.sql:3$", shown, re.MULTILINE)
    assert re.search(r"^statement    2 of 4: alter table orders$", shown, re.MULTILINE)
    assert re.search(r"^running for  \d+ s, since \d{4}-", shown, re.MULTILINE)
    assert re.search(r"^waits for    ACCESS EXCLUSIVE on orders$", shown, re.MULTILINE)
    assert re.search(r"^blocked by   pid \d+ \(\w+, report, idle in transaction", shown, re.MULTILINE)
    assert re.search(r"^application  sqlmigrate v1.0.0-002 2/4$", shown, re.MULTILINE)
    assert "begin;" not in shown
    assert (data["version"], data["statement"]["number"], data["statement"]["line"]) == ("v1.0.0-002", 2, 3)
    assert "report" in data["blockers"][0]


def test_the_statement_is_the_one_that_waits_for_the_lock(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The migration goes on to its next statement behind the query that reads which statement runs."""
    shop.add(2, "alter table orders add a int;\nalter table customers add b int;")
    waits_for_customers = (
        "select exists (select from pg_locks where relation = 'customers'::regclass and not granted and"
        " database = (select oid from pg_database where datname = current_database()))"
    )
    rows = Connection.rows
    orders = contextlib.ExitStack()

    def rows_and_the_next_statement(connection: Connection, query: str, *values: Any) -> list[Any]:
        answer = rows(connection, query, *values)
        if "query_start" in query:
            orders.close()
            polling.until(lambda: shop.value(waits_for_customers))
        return answer

    with locked(shop, "customers"), orders:
        orders.enter_context(locked(shop, "orders"))
        with running(shop, "migrate", "--lock-timeout", "10min"):
            until(shop.migrator().activity, waits)
            monkeypatch.setattr(Connection, "rows", rows_and_the_next_statement)
            seen = shop.migrator().activity()
            monkeypatch.undo()

    assert seen is not None
    assert seen.position is not None
    assert seen.waits_for.endswith(seen.position.text.split()[2])


def test_the_statement_that_runs_is_known_by_its_number(shop: Project) -> None:
    shop.add(2, SCRIPT)
    with running(shop, "migrate"):
        seen = until(shop.migrator().activity, sleeps)
    assert seen.position is not None
    assert (seen.position.number, seen.position.total, seen.position.line) == (3, 4, 5)


def test_a_statement_outside_a_transaction_is_known_by_its_number(shop: Project) -> None:
    shop.add(2, "insert into orders values (1);\ncreate index concurrently orders_id on orders (id);\nselect 1;")
    with psycopg.connect(shop.database) as other, running(shop, "migrate"):
        other.execute("insert into orders values (2)")
        seen = until(
            shop.migrator().activity, lambda seen: seen.blockers and seen.position and seen.position.number == 2
        )
    assert seen.position is not None
    assert (seen.position.number, seen.position.total, seen.position.line) == (2, 3, 2)
    assert seen.position.text == "create index concurrently orders_id on orders (id);"


def test_a_rollback_shows_the_statement_of_the_down_file(shop: Project) -> None:
    with locked(shop, "orders"), running(shop, "rollback", "--steps", "1", "--yes", "--lock-timeout", "10min"):
        seen = until(shop.migrator().activity, waits)
        shown = shop.cli("status").stdout
    assert seen.position is not None
    assert (seen.position.path[-8:], seen.position.text) == ("down.sql", "drop table orders, customers;")
    assert re.search(r"v1.0.0-001 +step +running ", shown)


def test_a_statement_of_a_later_migration_in_the_same_message_is_shown(shop: Project) -> None:
    shop.add(2, "select 1;")
    shop.add(3, "select 2;\nselect pg_sleep(600);", name="slow")
    shop.add(4, "select 3;")
    with running(shop, "migrate"):
        seen = until(shop.migrator().activity, sleeps)
        shown = shop.cli("status").stdout
        pending = shop.cli("check")
    assert seen.run is not None
    assert (seen.run.version, seen.run.step, seen.run.steps) == ("v1.0.0-003", 2, 3)
    assert [re.sub(r" {2,}", "|", line).split("|")[2] for line in shown.splitlines()[1:5]] == [
        "applied", "applied", "running", "pending",
    ]  # fmt: skip
    assert "2 applied, 1 pending, 1 running" in shown
    assert pending.returncode == 3


def test_a_password_in_the_statement_is_masked(shop: Project) -> None:
    shop.add(2, "do $$ begin perform pg_sleep(600); end $$; -- password 'secret'")
    with running(shop, "migrate"):
        until(shop.migrator().activity, sleeps)
        shown = shop.cli("lock-status").stdout
    assert "secret" not in shown


def test_without_the_file_the_run_is_still_shown(shop: Project) -> None:
    path = shop.add(2, SCRIPT)
    with running(shop, "migrate"):
        until(shop.migrator().activity, sleeps)
        path.unlink()
        shown = shop.cli("lock-status").stdout
    assert "migration    apply v1.0.0-002\n" in shown
    assert "statement " not in shown


def test_a_role_that_cannot_read_the_table_of_runs_still_sees_the_states(shop: Project) -> None:
    role = f"reader_{shop.value('select pg_backend_pid()')}"
    shop.query(f"create role {role} login", f"grant select on migrations to {role}")
    try:
        shop.add(2, "select pg_sleep(600);")
        with running(shop, "migrate"):
            until(shop.migrator().activity, sleeps)
            shown = shop.cli("status", "--db-user", role)
            status = shop.cli("lock-status", "--db-user", role)
            data = json.loads(shop.cli("lock-status", "--db-user", role, "--format", "json").stdout)
        assert (shown.returncode, shown.stderr, "1 applied, 1 pending" in shown.stdout) == (0, "", True)
        assert (status.returncode, "pid " in status.stdout) == (0, True)
        assert (data["holder"]["since"], data["running"]) == (None, None)
    finally:
        shop.query(f"drop owned by {role}", f"drop role {role}")


def test_the_lock_is_shown_without_a_directory_of_migrations(shop: Project) -> None:
    assert shop.cli("lock-status", "--dir", "nowhere").stdout == "nobody holds the migration lock\n"


def failed(migrator: Migrator) -> None:
    with contextlib.suppress(Exception):
        migrator.migrate()


@pytest.mark.parametrize("script", ["select 1 / 0;", "create table x (id int);\nvacuum x;\nselect 1 / 0;"])
def test_check_says_that_a_pending_migration_failed_before(shop: Project, script: str) -> None:
    shop.add(2, script)
    shop.add(3, "select 1;")
    failed(shop.migrator())

    shown = shop.cli("check")
    data = json.loads(shop.cli("check", "--format", "json").stdout)

    assert shown.returncode == 3
    assert re.fullmatch(
        r"2 pending: v1.0.0-002, v1.0.0-003\n"
        r"  v1.0.0-002 failed at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+: division by zero\n",
        shown.stdout,
    )
    assert [(entry["version"], entry["error"]) for entry in data["failed"]] == [("v1.0.0-002", "division by zero")]


def test_check_says_that_a_repeatable_migration_failed_before(shop: Project) -> None:
    shop.write("R__views.sql", "select 1 / 0;")
    failed(shop.migrator())
    assert "  R__views failed at " in shop.cli("check").stdout


def test_force_unlock_shows_the_statement_that_would_be_cancelled(shop: Project) -> None:
    shop.add(2, "select 1;\nselect pg_sleep(600);")
    with running(shop, "migrate"):
        until(shop.migrator().activity, sleeps)
        shown = shop.cli("force-unlock")
    assert shown.returncode == 2
    assert re.search(r"^statement    2 of 2: select pg_sleep\(600\);$", shown.stdout, re.MULTILINE), shown.stdout


def test_an_interrupted_run_is_not_running(shop: Project) -> None:
    shop.add(2, "select pg_sleep(600);")
    process = shop.start("migrate")
    until(shop.migrator().activity, sleeps)
    process.kill()
    process.communicate()
    assert shop.has_free_lock()
    assert "running" not in shop.cli("status").stdout
    assert shop.cli("lock-status").stdout == "nobody holds the migration lock\n"


HIDDEN = "only members of pg_read_all_stats see its"


@pytest.fixture
def stranger(shop: Project) -> Iterator[str]:
    """A role that owns a table and may use the history, but not see the activity of other roles."""
    role = f"stranger_{shop.value('select pg_backend_pid()')}"
    shop.query(
        f"create role {role} login",
        f"grant all on schema public to {role}",
        f"grant all on all tables in schema public to {role}",
        f"alter table orders owner to {role}",
    )
    yield role
    shop.query(f"reassign owned by {role} to current_user", f"drop owned by {role}", f"drop role {role}")


def test_a_role_that_may_not_see_the_run_is_told_who_may(shop: Project, stranger: str) -> None:
    shop.add(2, "select 1;\nalter table orders add column total int;")
    with locked(shop, "orders"), running(shop, "migrate", "--lock-timeout", "10min"):
        until(shop.migrator().activity, waits)
        shown = shop.cli("lock-status", "--db-user", stranger).stdout
        holder = json.loads(shop.cli("lock-status", "--db-user", stranger, "--format", "json").stdout)["holder"]
        asked = shop.cli("force-unlock", "--db-user", stranger).stdout
        waiting = shop.cli("migrate", "--lock-wait", "0s", "--db-user", stranger).stderr

    for text in (shown, asked):
        assert re.search(rf"^hidden +{HIDDEN} host, its state, and since when it runs$", text, re.MULTILINE), text
        assert re.search(r"^statement +2 of 2: alter table orders", text, re.MULTILINE), text
        assert re.search(r"^waits for +ACCESS EXCLUSIVE on orders$", text, re.MULTILINE), text
        assert re.search(rf"^blocked by +pid \d+ \(\w+, report\): {HIDDEN} query$", text, re.MULTILINE), text
        assert not re.search("^(host|state|query) ", text, re.MULTILINE), text
    assert (holder["host"], holder["state"]) == ("", "")
    assert re.search(r"held by pid \d+ \(\w+, sqlmigrate v1.0.0-002[^,]*\)", waiting), waiting


def test_a_role_that_may_not_terminate_the_holder_learns_which_role_may(shop: Project, stranger: str) -> None:
    shop.add(2, "select 1;\nselect pg_sleep(600);")
    with running(shop, "migrate"):
        until(shop.migrator().activity, sleeps)
        refused = shop.cli("force-unlock", "--yes", "--db-user", stranger)
        content = shop.cli("force-unlock", "--yes", "--format", "json")

    assert refused.returncode == 1
    assert "terminated the backend" not in refused.stdout
    assert "or as a member of pg_signal_backend" in refused.stderr, refused.stderr
    data = json.loads(content.stdout)
    assert data["terminated"] == data["holder"]["pid"]


def test_a_run_that_may_not_see_its_blocker_names_it_and_says_who_may(shop: Project, stranger: str) -> None:
    shop.add(2, "alter table orders add column total int;")
    with locked(shop, "orders"):
        ran = shop.cli("migrate", "--lock-timeout", "3s", "--lock-retries", "0", "--db-user", stranger)

    assert "None" not in ran.stderr
    assert re.search(rf"is blocked by pid \d+ \(\w+, report\): {HIDDEN} query", ran.stderr), ran.stderr


def test_the_holder_is_shown_with_one_line_of_the_message_of_a_run_that_is_not_ours(shop: Project) -> None:
    shop.add(2, "select pg_sleep(600);")
    with running(shop, "migrate"):
        until(shop.migrator().activity, sleeps)
        shop.query("update migrations_runs set ended_at = now()")
        shown = shop.cli("force-unlock").stdout.splitlines()

    assert [line.split()[0] for line in shown] == ["pid", "user", "application", "host", "state", "connected", "query"]
    assert max(map(len, shown)) < 120


def test_a_run_that_locks_the_history_can_be_seen_and_ended(shop: Project) -> None:
    tables = "migrations, migrations_log, migrations_runs, migrations_totals"
    shop.add(2, f"lock table {tables} in access exclusive mode;\nselect pg_sleep(600);")
    with running(shop, "migrate") as process:
        until_asleep(shop)
        shown = shop.cli("lock-status")
        unlocked = shop.cli("force-unlock", "--yes")
        process.wait(60)

    for done in (shown, unlocked):
        assert done.returncode == 0, done
        assert re.search(r"^application +sqlmigrate v1.0.0-002 2/2$", done.stdout, re.MULTILINE), done
    assert process.returncode == 1
