"""What an interrupted statement outside a transaction block did is proven by the state before it, never by a name."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sqlmigrate import Version
from sqlmigrate.server.connection import Connection, Result
from tests.faults.mix import wait_until_alone
from tests.faults.test_kill import doomed
from tests.faults.waiting import OURS, running, until
from tests.project import Project
from tests.servers import execute

BASE = """
create table a (x int, y int, z text);
insert into a select n, n, n::text from generate_series(1, 100) n;
create schema app;
create table app.a (x int, y int);
create table "T a" (y int);
create materialized view m as select * from a;
create table p (y int) partition by range (y);
create table p_1 partition of p for values from (0) to (10);
"""
INDEXES = """
select c.oid, c.relname, i.indisvalid, pg_get_indexdef(c.oid) from pg_index i join pg_class c on c.oid = i.indexrelid
where c.relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace) and c.relname !~ '^migrations'
order by 2
"""
LONG = "a_very_long_name_of_an_index_that_the_server_cuts_off_somewhere_before_its_end"
# Every spelling of a statement that builds one index.
SPELLINGS = {
    "named": "create index concurrently a_i on a (y)",
    "unnamed": "create index concurrently on a (y)",
    "unique": "create unique index concurrently a_i on a using btree (y)",
    "if not exists": "create index concurrently if not exists a_i on a (y)",
    "quoted": 'create index concurrently "A i" on public."T a" (y)',
    "in a schema": "create index concurrently a_i on app.a (y)",
    "on a path": "set search_path = app; create index concurrently a_i on a (y)",
    "unnamed on a path": "set search_path = app, public; create index concurrently on only a (y desc nulls last)",
    "expression": "create index concurrently a_i on a ((a.y + 1), lower(z) text_pattern_ops)",
    "unnamed expression": "create index concurrently on a (lower(z || ' on '))",
    "partial": "create index concurrently a_i on a (z collate \"C\") include (x) where y > 5 and z <> 'on a (x)'",
    "storage": "create index concurrently a_i on a using hash (y) with (fillfactor = 70)",
    "materialized view": "create index concurrently a_i on m (y)",
    "long name": f"create index concurrently {LONG} on a (y)",
    "comments": "/* on b */ create index concurrently -- on c\n a_i on a (y /* z */) -- end\n",
}


def prepared(project: Project, script: str, *before: str) -> None:
    """Applies the base, and adds a migration that is not yet applied."""
    project.add(1, "\n".join((BASE, *(f"{statement};" for statement in before))))
    project.migrator().migrate()
    project.add(2, f"{script};\ncreate table after ();\n")


def die_before(project: Project, text: str = "concurrently") -> None:
    """Runs `migrate`, whose client dies after it has recorded the start of a statement, and before it sends it."""
    assert doomed(project, text, "before") == -9
    wait_until_alone(project)
    assert project.value("select statements_begun - statements_done from migrations where not success") == 1


def die_within(project: Project, held: str = 'select from a, app.a, m, "T a"') -> None:
    """Runs `migrate`, whose client dies while the statement waits for the snapshot of another session."""
    with psycopg.connect(project.database) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute(held.encode())
        with running(project, "migrate"):
            until(
                lambda: project.value(
                    f"select count(*) from pg_stat_activity where {OURS} and wait_event_type = 'Lock'"
                )
            )
        wait_until_alone(project)


def rerun(project: Project) -> subprocess.CompletedProcess[str]:
    return project.cli("migrate")


def indexes(project: Project) -> list[tuple[object, ...]]:
    return project.query(INDEXES)


def definitions(project: Project) -> list[tuple[object, ...]]:
    """Name, validity and definition of each index."""
    return [row[1:] for row in indexes(project)]


def is_applied(project: Project) -> bool:
    return ("v1.0.0-002", True) in project.versions()


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if "unnamed" not in name and name != "if not exists"])
def test_an_index_that_existed_before_is_not_the_work_of_the_statement(project: Project, spelling: str) -> None:
    statement = SPELLINGS[spelling]
    other = (
        statement.replace("(y", "(x")
        .replace("a (z", "a (y)--")
        .replace('"T a" (x', '"T a" ((y + 2)')
        .replace("((a.y", "((a.x")
    )
    prepared(project, statement)
    project.query(*other.replace("concurrently", "").split("; "))
    before = indexes(project)
    die_before(project)

    run = rerun(project)

    assert run.returncode == 1
    assert "already exists" in run.stderr
    assert "existed before the statement was started: CREATE" in run.stderr
    assert (indexes(project), is_applied(project)) == (before, False)


def test_an_index_that_existed_before_is_not_done_after_a_death_in_a_wait(project: Project) -> None:
    prepared(project, "create index concurrently a_i on a (y)", "create index a_i on a (x)")
    before = indexes(project)
    die_within(project, "lock table a in share update exclusive mode")

    first, second = rerun(project), rerun(project)

    assert (first.returncode, second.returncode) == (1, 1)
    assert 'relation "a_i" already exists' in second.stderr
    assert (indexes(project), is_applied(project)) == (before, False)


def test_if_not_exists_skips_an_index_that_existed_before(project: Project) -> None:
    prepared(project, "create index concurrently if not exists a_i on a (y)", "create index a_i on a (x)")
    before = indexes(project)
    die_before(project)

    assert rerun(project).returncode == 0
    assert indexes(project) == before


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_completed_statement_is_done(project: Project, spelling: str) -> None:
    prepared(project, SPELLINGS[spelling])
    die_before(project)
    project.query(*SPELLINGS[spelling].split("; "))  # as the server completes it after its client is gone
    before = indexes(project)

    run = rerun(project)

    assert run.returncode == 0, run.stderr
    assert "the catalog shows that it is done" in run.stderr
    assert indexes(project) == before


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_invalid_index_of_the_statement_is_dropped_and_built_again(project: Project, spelling: str) -> None:
    prepared(project, SPELLINGS[spelling])
    die_within(project)
    ((_, name, is_valid, definition),) = indexes(project)
    assert not is_valid

    run = rerun(project)

    assert run.returncode == 0, run.stderr
    assert definitions(project) == [(name, True, definition)]


OTHERS = {
    "column": ("create index concurrently a_i on a (y)", "create index a_i on a (x)"),
    "columns": ("create index concurrently a_i on a (y)", "create index a_i on a (y, x)"),
    "unique": ("create index concurrently a_i on a (y)", "create unique index a_i on a (y)"),
    "not unique": ("create unique index concurrently a_i on a (y)", "create index a_i on a (y)"),
    "order": ("create index concurrently a_i on a (y)", "create index a_i on a (y desc)"),
    "operator class": ("create index concurrently a_i on a (z)", "create index a_i on a (z text_pattern_ops)"),
    "collation": ("create index concurrently a_i on a (z)", 'create index a_i on a (z collate "C")'),
    "predicate": ("create index concurrently a_i on a (y) where y > 1", "create index a_i on a (y) where y > 2"),
    "include": ("create index concurrently a_i on a (y)", "create index a_i on a (y) include (x)"),
    "method": ("create index concurrently a_i on a (y)", "create index a_i on a using hash (y)"),
    "storage": ("create index concurrently a_i on a (y)", "create index a_i on a (y) with (fillfactor = 50)"),
    "expression": ("create index concurrently a_i on a ((y + 1))", "create index a_i on a ((y + 2))"),
    "table": ("create index concurrently a_i on a (y)", 'create index a_i on "T a" (y)'),
    "kind": ("create index concurrently a_i on a (y)", "create table a_i (y int)"),
}


@pytest.mark.parametrize("difference", OTHERS)
def test_an_object_that_another_person_created_meanwhile_is_not_the_work_of_the_statement(
    project: Project, difference: str
) -> None:
    statement, other = OTHERS[difference]
    prepared(project, statement)
    die_before(project)
    project.query(other)
    before = indexes(project)

    run = rerun(project)

    assert run.returncode == 1
    assert 'relation "a_i" already exists' in run.stderr
    if difference not in ("table", "kind"):
        assert "index public.a_i is not what the statement creates; it is left" in run.stderr
    assert (indexes(project), is_applied(project)) == (before, False)


def test_an_invalid_index_of_another_person_is_left(project: Project) -> None:
    prepared(project, "create index concurrently a_i on a (y)", "insert into a values (1, 1)")
    die_before(project)
    with contextlib.suppress(psycopg.errors.UniqueViolation):
        project.query("create unique index concurrently a_i on a (y)")
    before = indexes(project)
    assert [row[2] for row in before] == [False]

    run = rerun(project)

    assert run.returncode == 1
    assert "it is left" in run.stderr
    assert indexes(project) == before


@pytest.mark.parametrize("by_dba", ["create index a_by_dba on a (y)", "create index concurrently a_y_i_idx on a (y)"])
@pytest.mark.parametrize("when", ["before", "after", "meanwhile"])
def test_an_index_that_another_person_builds_beside_an_unnamed_one_is_left(
    project: Project, by_dba: str, when: str
) -> None:
    prepared(project, "create index concurrently on a (y)")
    if when == "before":
        project.query(by_dba)
    if when == "after":
        die_before(project)
    else:
        die_within(project)
    if when != "before":
        project.query(by_dba)
    (theirs,) = (row for row in indexes(project) if row[1] != "a_y_idx")

    assert rerun(project).returncode == 0

    assert theirs in indexes(project)
    assert [row[:2] for row in definitions(project) if row[0] != theirs[1]] == [("a_y_idx", True)]


@pytest.mark.parametrize("number", [1, 7])
def test_an_index_with_a_name_like_a_generated_one_is_not_the_unnamed_one(project: Project, number: int) -> None:
    prepared(project, "create index concurrently on a (y)")
    die_before(project)
    project.query(f"create index a_y_idx{number} on a (y)")

    assert rerun(project).returncode == 0

    assert [row[:2] for row in definitions(project)] == [("a_y_idx", True), (f"a_y_idx{number}", True)]


def test_an_unnamed_index_that_existed_before_is_not_the_work_of_the_statement(project: Project) -> None:
    prepared(project, "create index concurrently on a (y)", "create index on a (y)")
    before = indexes(project)
    die_before(project)
    project.query("reindex index concurrently a_y_idx")  # it has another oid now

    assert rerun(project).returncode == 0

    assert [row[:2] for row in definitions(project)] == [("a_y_idx", True), ("a_y_idx1", True)]
    assert len(before) == 1


def test_an_invalid_index_whose_name_the_statement_did_not_get_is_left(project: Project) -> None:
    prepared(project, "create index concurrently on a (y)")
    die_before(project)
    for _ in range(2):
        with psycopg.connect(project.database, autocommit=True) as connection:
            connection.execute("set statement_timeout = '300ms'")
            with held(project), contextlib.suppress(psycopg.errors.QueryCanceled):
                connection.execute("create index concurrently on a (y)")
    before = indexes(project)
    assert [row[2] for row in before] == [False, False]

    run = rerun(project)

    assert run.returncode == 0
    assert "invalid index public.a_y_idx1 is not provably of the statement; it is left" in run.stderr
    assert before[1] in indexes(project)
    assert [row[:2] for row in definitions(project)] == [("a_y_idx", True), ("a_y_idx1", False)]


@contextlib.contextmanager
def held(project: Project, statement: str = "select from a") -> Iterator[None]:
    with psycopg.connect(project.database) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute(statement.encode())
        yield


def test_a_table_that_was_created_again_has_nothing_of_the_statement(project: Project) -> None:
    prepared(project, "create index concurrently a_i on a (y)")
    die_within(project)
    project.query(
        "alter table a rename to a_old",
        "alter index a_i rename to a_i_old",
        "create table a (y int)",
        "create index a_i on a (y)",
    )
    before = indexes(project)

    run = rerun(project)

    assert run.returncode == 1
    assert 'relation "a_i" already exists' in run.stderr
    assert indexes(project) == before


def test_the_index_of_a_statement_that_was_changed_afterwards_is_dropped(project: Project) -> None:
    prepared(project, "create index concurrently a_i on a (y)")
    die_within(project)
    project.add(2, "create index concurrently a_i on a (x);\ncreate table after ();\n")

    assert rerun(project).returncode == 0

    assert definitions(project) == [("a_i", True, "CREATE INDEX a_i ON public.a USING btree (x)")]


def test_a_changed_statement_is_not_done_by_the_old_one(project: Project) -> None:
    prepared(project, "create index concurrently a_i on a (y)")
    die_before(project)
    project.query("create index a_i on a (y)")
    project.add(2, "create index concurrently a_i on a (x);\ncreate table after ();\n")

    run = rerun(project)

    assert run.returncode == 1
    assert "the statement was changed after an earlier run had started it" in run.stderr


@pytest.mark.parametrize("state", ["valid", "invalid"])
def test_without_a_record_of_the_state_nothing_is_dropped_and_the_statement_runs_again(
    project: Project, state: str
) -> None:
    prepared(project, "create index concurrently a_i on a (y)")
    if state == "valid":
        die_before(project)
        project.query("create index a_i on a (y)")
    else:
        die_within(project)
    project.query("alter table migrations drop column begun_state")
    project.query("comment on table migrations is 'What sqlmigrate has applied, one row a migration. Format 2.'")
    before = indexes(project)

    run = rerun(project)

    assert run.returncode == 1
    assert "an earlier run did not record what existed before it started the statement" in run.stderr
    assert "rename or drop what is in the way" in run.stderr
    assert indexes(project) == before
    project.query("drop index a_i")
    assert rerun(project).returncode == 0


def test_a_role_that_may_not_create_temporary_tables_drops_nothing(project: Project) -> None:
    name = conninfo_to_dict(project.database)["dbname"]
    role = f"{name}_builder"
    project.query(f"create role {role}", f"revoke temp on database {name} from public")
    try:
        prepared(project, f"set role {role}; create index concurrently a_i on a (y)", f"alter table a owner to {role}")
        project.query(f"grant create on schema public to {role}")
        die_within(project)
        before = indexes(project)

        run = rerun(project)

        assert run.returncode == 1
        assert "could not determine what the statement creates: permission denied" in run.stderr
        assert indexes(project) == before
    finally:
        project.query(f"drop owned by {role} cascade", f"drop role {role}")


def test_a_build_of_another_person_is_awaited_and_left(project: Project) -> None:
    prepared(project, "create index concurrently a_i on a (y)")
    die_before(project)
    dba = threading.Thread(target=project.query, args=["create index concurrently a_i on a (y)"])
    with psycopg.connect(project.database) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("select from a")
        dba.start()
        until(lambda: indexes(project))
        ((oid, *_),) = indexes(project)
        with running(project, "migrate") as run:
            until(lambda: project.value(f"select count(*) from pg_stat_activity where {OURS} and query = 'rollback'"))
            reader.rollback()
            _, stderr = run.communicate(timeout=60)
    dba.join()

    assert run.returncode == 0, stderr
    assert "the catalog shows that it is done" in stderr
    assert [row[:3] for row in indexes(project)] == [(oid, "a_i", True)]


def test_an_index_that_was_created_again_is_not_dropped(project: Project) -> None:
    prepared(project, "drop index concurrently a_i", "create index a_i on a (x)")
    die_before(project)
    project.query("drop index a_i", "create index a_i on a (y)")
    before = indexes(project)

    run = rerun(project)

    assert run.returncode == 0
    assert "index public.a_i was created again after the statement; it is left" in run.stderr
    assert indexes(project) == before


def test_an_index_that_took_the_name_is_not_dropped(project: Project) -> None:
    prepared(project, "drop index concurrently if exists a_i", "create index a_i on a (x)")
    die_before(project)
    project.query("alter index a_i rename to a_old", "create index a_i on a (y)")
    before = indexes(project)

    run = rerun(project)

    assert run.returncode == 1
    assert "was renamed to public.a_old" in run.stderr
    assert indexes(project) == before
    project.query("drop index a_old")
    assert rerun(project).returncode == 0
    assert [row[0] for row in definitions(project)] == ["a_i"]


def test_if_exists_that_found_nothing_drops_nothing_later(project: Project) -> None:
    prepared(project, "drop index concurrently if exists a_i")
    die_before(project)
    project.query("create index a_i on a (y)")

    assert rerun(project).returncode == 0
    assert [row[0] for row in definitions(project)] == ["a_i"]


def test_a_drop_of_an_index_that_did_not_exist_fails_as_before(project: Project) -> None:
    prepared(project, "drop index concurrently a_i")
    die_before(project)

    run = rerun(project)

    assert run.returncode == 1
    assert 'index "a_i" does not exist' in run.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "reindex index concurrently a_i",
        "reindex (concurrently) table a",
        "reindex schema concurrently public",
        "reindex database concurrently {database}",
        "set search_path = public; reindex table concurrently a",
    ],
)
def test_only_the_leftovers_of_this_reindex_are_dropped(project: Project, statement: str) -> None:
    prepared(project, statement.format(database=conninfo_to_dict(project.database)["dbname"]))
    project.query("create index a_i on a (y)", "create index a_j on a (y)")
    with held(project), psycopg.connect(project.database, autocommit=True) as connection:
        connection.execute("set statement_timeout = '300ms'")
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            connection.execute("reindex index concurrently a_i")
    theirs = [row for row in indexes(project) if not row[2]]
    assert len(theirs) == 1
    die_within(project)
    assert project.value("select count(*) from pg_index where not indisvalid") > 1

    assert rerun(project).returncode == 0

    assert [row for row in indexes(project) if not row[2]] == theirs


def test_a_leftover_of_a_reindex_of_another_index_is_left(project: Project) -> None:
    prepared(project, "reindex index concurrently a_i", "create index a_i on a (y)", "create index a_j on a (y)")
    die_before(project)
    with held(project), psycopg.connect(project.database, autocommit=True) as connection:
        connection.execute("set statement_timeout = '300ms'")
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            connection.execute("reindex index concurrently a_j")
    theirs = [row for row in indexes(project) if not row[2]]

    assert rerun(project).returncode == 0

    assert [row for row in indexes(project) if not row[2]] == theirs


def test_of_the_leftovers_of_two_reindexes_the_own_one_is_dropped(project: Project) -> None:
    prepared(project, "reindex table concurrently a", "create index a_i on a (y)")
    die_within(project)
    with held(project), psycopg.connect(project.database, autocommit=True) as connection:
        connection.execute("set statement_timeout = '300ms'")
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            connection.execute("reindex index concurrently a_i")
    before = [row for row in indexes(project) if not row[2]]
    assert len(before) == 2

    run = rerun(project)

    assert run.returncode == 0
    assert "invalid index public.a_i_ccnew1 is not provably of the statement; it is left" in run.stderr
    assert [row for row in indexes(project) if not row[2]] == [row for row in before if row[1] == "a_i_ccnew1"]


def test_a_partition_that_was_attached_again_is_left(project: Project) -> None:
    prepared(project, "alter table p detach partition p_1 concurrently")
    die_before(project)
    project.query("alter table p detach partition p_1")
    project.query("alter table p attach partition p_1 for values from (0) to (10)")

    run = rerun(project)

    assert run.returncode == 0
    assert "partition public.p_1 was attached again after the statement; it is left" in run.stderr
    assert project.value("select count(*) from pg_inherits where inhrelid = 'p_1'::regclass") == 1


@pytest.mark.parametrize("statement", ["alter table p detach partition p_1 concurrently"])
def test_a_partition_that_is_still_attached_is_detached(project: Project, statement: str) -> None:
    prepared(project, statement)
    die_before(project)

    assert rerun(project).returncode == 0
    assert project.value("select count(*) from pg_inherits where inhrelid = 'p_1'::regclass") == 0


def test_a_partition_of_that_name_in_another_schema_does_not_matter(project: Project) -> None:
    prepared(project, "set search_path = public; alter table p detach partition p_1 concurrently")
    die_before(project)
    project.query(
        "alter table p detach partition p_1",
        "create table app.p_1 (y int)",
        "alter table p attach partition app.p_1 for values from (0) to (10)",
    )

    assert rerun(project).returncode == 0
    assert project.value("select count(*) from pg_inherits where inhrelid = 'app.p_1'::regclass") == 1


@pytest.fixture
def other(project: Project) -> Iterator[str]:
    """The name of a database that does not exist yet."""
    name = f"{conninfo_to_dict(project.database)['dbname']}_other"
    yield name
    execute(project.server.conninfo, f"drop database if exists {name} with (force)")


def databases(project: Project, name: str) -> list[tuple[object, ...]]:
    return project.query(f"select oid, datdba, encoding from pg_database where datname = '{name}'")


def test_a_database_that_existed_before_is_not_the_work_of_the_statement(project: Project, other: str) -> None:
    prepared(project, f"create database {other}")
    project.query(f"create database {other}")
    before = databases(project, other)
    die_before(project, "create database")

    run = rerun(project)

    assert run.returncode == 1
    assert f'database "{other}" already exists' in run.stderr
    assert f"database {other} existed before the statement was started" in run.stderr
    assert (databases(project, other), is_applied(project)) == (before, False)


@pytest.mark.parametrize(
    "options", ["", "template = template0 encoding 'UTF8' connection limit 5", "owner default tablespace = pg_default"]
)
def test_a_database_with_the_options_of_the_statement_is_its_work(project: Project, other: str, options: str) -> None:
    prepared(project, f"create database {other} {options}")
    die_before(project, "create database")
    project.query(f"create database {other} {options}")
    before = databases(project, other)

    assert rerun(project).returncode == 0

    assert databases(project, other) == before


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ("", "connection limit 5"),
        ("connection limit 5", ""),
        ("", "owner pg_database_owner"),
        ("", "template template0 encoding 'SQL_ASCII' locale 'C'"),
        ("", "is_template true"),
    ],
)
def test_a_database_of_another_person_is_not_the_work_of_the_statement(
    project: Project, other: str, options: str, others: str
) -> None:
    prepared(project, f"create database {other} {options}")
    die_before(project, "create database")
    project.query(f"create database {other} {others.replace('owner pg_database_owner', '')}")
    if "owner" in others:
        project.query(f"create role {other}", f"alter database {other} owner to {other}")
    before = databases(project, other)
    try:
        run = rerun(project)
    finally:
        project.query(f"alter database {other} is_template false", f"alter database {other} owner to current_user")
        project.query(f"drop role if exists {other}")

    assert run.returncode == 1
    assert f"database {other} is not provably what the statement creates; it is left" in run.stderr
    assert databases(project, other)[0][0] == before[0][0]


@pytest.mark.parametrize(
    "statement", ["drop database {}", "drop database if exists {}", "drop database {} with (force)"]
)
def test_a_database_that_was_created_again_is_not_dropped(project: Project, other: str, statement: str) -> None:
    prepared(project, statement.format(other))
    project.query(f"create database {other}")
    die_before(project, "drop database")
    project.query(f"drop database {other}", f"create database {other}")
    before = databases(project, other)

    assert rerun(project).returncode == 0

    assert databases(project, other) == before


def test_a_tablespace_is_judged_by_its_oid(project: Project) -> None:
    name = f"{conninfo_to_dict(project.database)['dbname']}_space"
    create = f"create tablespace {name} location ''"
    allow = "set allow_in_place_tablespaces = on"
    try:
        prepared(project, f"{allow}; {create}")
        project.query(allow, create)
        die_before(project, "create tablespace")
        run = rerun(project)
        assert run.returncode == 1
        assert f"tablespace {name} existed before the statement was started" in run.stderr
        project.query("delete from migrations where not success")
        project.add(2, f"drop tablespace {name}")
        die_before(project, "drop tablespace")
        project.query(f"drop tablespace {name}")
        project.query(allow, create)
        assert rerun(project).returncode == 0
    finally:
        project.query(f"drop tablespace {name}")


def test_the_state_before_a_statement_costs_no_round_trip(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(project, "create index concurrently a_i on a (y)")
    texts: list[str] = []
    transmit = Connection.transmit

    def counted(self: Connection, text: str, *more: Any) -> Iterator[Result]:
        texts.append(text)
        return transmit(self, text, *more)

    monkeypatch.setattr(Connection, "transmit", counted)
    project.migrator().migrate(Version(1, 0, 0, 2))

    first = next(number for number, text in enumerate(texts) if "begun_state" in text and "create index" in text)
    assert texts[first + 1].strip() == "create index concurrently a_i on a (y);"
    assert len(texts) == first + 4, texts[first + 2 :]  # the progress, and the next segment with the end
