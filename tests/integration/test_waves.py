"""The catalog decides what a statement touches: partitions, foreign keys, materialized views, functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlmigrate.history.tables import parse_table_name, tables_of
from sqlmigrate.planning.relations import event_trigger, relations
from sqlmigrate.planning.waves import Footprint, clash, footprint, groups
from sqlmigrate.planning.work import work_of
from sqlmigrate.server.connection import Connection, connect
from tests.project import Project

SCHEMA = """
create table migrations (a int);
create table lone (a int, b int);
create table other (a int, b int);
create table parent (a int primary key, b int);
create table child (a int references parent, b int);
create table sibling (a int references parent, b int);
create table parts (a int, b int) partition by range (a);
create table part_1 partition of parts for values from (0) to (10);
create table part_2 partition of parts for values from (10) to (20);
create table ancestor (a int, b int);
create table heir (c int) inherits (ancestor);
create table source (a int, b int);
create view seen as select a, b from source;
create materialized view mat as select a, b from seen;
create materialized view mat_of_mat as select a from mat;
create schema s;
create table s.lone (a int, b int);
create index lone_a on lone (a);
create index parent_b on parent (b);
create index part_1_a on part_1 (a);
create index mat_a on mat (a);
create function f(int) returns int language plpgsql immutable as 'begin return $1; end';
create function g(int) returns int language sql stable as 'select count(*)::int from public.other';
create table calling (a int, b int);
create index calling_f on calling (f(a));
create table checked (a int, b int, constraint c check (f(a) > 0) not valid);
create function same(int, int) returns boolean language plpgsql immutable as 'begin return $1 = $2; end';
create operator === (function = same, leftarg = int, rightarg = int);
create table compared (a int, b int, constraint c check (a === b) not valid);
create index compared_a on compared (a) where a === 1;
create materialized view comparing as select a from lone where a === b;
create materialized view reading as select g(a) from lone;
create table guarded (a int);
alter table guarded enable row level security;
create materialized view of_guarded as select a from guarded;
create foreign data wrapper w;
create server remote_server foreign data wrapper w;
create foreign table remote (a int) server remote_server;
create materialized view of_remote as select a from remote with no data;
create temporary table passing (a int);
"""


@pytest.fixture
def connection(project: Project) -> Iterator[Connection]:
    link = connect(project.database, "sqlmigrate")
    link.run(SCHEMA)
    yield link
    link.close()


def footprints(connection: Connection, statements: Sequence[str]) -> list[Footprint]:
    works = [work_of([statement]) for statement in statements]
    names = [name for work in works for name in work.relations]
    found = relations(connection, names, tables_of(parse_table_name("public.migrations")))
    return [footprint(work, found) for work in works]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("create index i on lone (b)", "create index j on other (b)", ""),
        ("create index i on lone (b)", "create index j on s.lone (b)", ""),
        ("create index i on lone (b)", "create index j on public.lone (b)", "public.lone"),
        ("drop index lone_a", "analyze public.lone", "public.lone"),
        ("reindex index public.lone_a", "drop index concurrently lone_a", "public.lone"),
        ("create index i on child (b)", "create index j on parent (b)", "public.child"),
        ("drop index parent_b", "alter table child validate constraint child_a_fkey", "public.child"),
        ("create index i on child (b)", "create index j on sibling (b)", "public.parent"),
        ("create index i on parts (b)", "create index j on part_1 (b)", "public.part_1"),
        ("create index i on part_1 (b)", "create index j on part_2 (b)", "public.parts"),
        ("reindex index part_1_a", "vacuum part_2", "public.parts"),
        ("analyze ancestor", "create index i on heir (a)", "public.ancestor"),
        ("refresh materialized view mat", "create index i on source (a)", "public.source"),
        ("refresh materialized view mat_of_mat", "analyze source", "public.source"),
        ("create index concurrently i on mat (b)", "vacuum source", "public.source"),
        ("drop index mat_a", "refresh materialized view mat_of_mat", "public.mat"),
        ("refresh materialized view mat", "analyze lone", ""),
        ("create index i on calling (b)", "create index j on checked (b)", ""),
    ],
)
def test_two_statements_touch(connection: Connection, first: str, second: str, shared: str) -> None:
    one, other = footprints(connection, [first, second])
    assert (one.barrier, other.barrier) == ("", "")
    found = clash(one, other)
    assert found.startswith(f"both touch {shared}" if shared else "")
    assert bool(found) == bool(shared)


@pytest.mark.parametrize(
    ("statement", "barrier"),
    [
        ("analyze absent", "absent does not exist"),
        ("drop index if exists absent", "absent does not exist"),
        ("analyze seen", "seen is not a table or a materialized view"),
        ("analyze remote", "remote is not a table or a materialized view"),
        ("analyze passing", "passing is a temporary table"),
        ("reindex table pg_catalog.pg_class", "pg_catalog.pg_class is a table of the system"),
        ("vacuum migrations", "migrations is a table of sqlmigrate"),
        ("refresh materialized view reading", "reading reads through the function g"),
        ("refresh materialized view comparing", "comparing reads through the function same"),
        ("alter table compared validate constraint c", "an index or a constraint of compared calls the function same"),
        ("refresh materialized view of_guarded", "of_guarded reads a table with row-level security"),
        ("refresh materialized view of_remote", "of_remote reads a foreign table"),
        ("analyze calling", "an index or a constraint of calling calls the function f"),
        ("alter table checked validate constraint c", "an index or a constraint of checked calls the function f"),
    ],
)
def test_a_statement_whose_reach_is_unknown_is_a_barrier(connection: Connection, statement: str, barrier: str) -> None:
    assert footprints(connection, [statement])[0].barrier == barrier


def test_the_search_path_decides_what_a_name_means(connection: Connection) -> None:
    connection.run("set search_path = s, public")
    first, second, third = footprints(connection, ["analyze lone", "analyze s.lone", "analyze public.lone"])
    assert clash(first, second) == "both touch s.lone"
    assert clash(first, third) == ""


@pytest.mark.parametrize(
    ("options", "fires"),
    [
        ("ddl_command_end", True),
        ("ddl_command_start when tag in ('CREATE INDEX', 'CREATE TABLE')", True),
        ("ddl_command_start when tag in ('CREATE TABLE')", False),
    ],
)
def test_an_event_trigger_that_these_statements_fire_makes_every_migration_a_barrier(
    connection: Connection, options: str, fires: object
) -> None:
    assert event_trigger(connection) == ""
    connection.run("create function nothing() returns event_trigger language plpgsql as 'begin end'")
    connection.run(f"create event trigger watcher on {options} execute function nothing()")
    assert event_trigger(connection) == ("watcher" if fires else "")
    connection.run("alter event trigger watcher disable")
    assert event_trigger(connection) == ""


# What each relation touches, written down by hand. Their indexes have the names that SCHEMA gives them.
TOUCHED = {
    "lone": "lone",
    "s.lone": "s.lone",
    "other": "other",
    "parent": "parent child sibling",
    "child": "child parent",
    "sibling": "sibling parent",
    "parts": "parts part_1 part_2",
    "part_1": "part_1 parts",
    "part_2": "part_2 parts",
    "ancestor": "ancestor heir",
    "heir": "heir ancestor",
    "source": "source",
    "mat": "mat source",
    "mat_of_mat": "mat_of_mat mat source",
    "calling": "calling",
    "checked": "checked",
}
INDEXES = {"lone_a": "lone", "parent_b": "parent", "part_1_a": "part_1", "mat_a": "mat"}
tables = st.sampled_from(sorted(TOUCHED))
statements = st.one_of(
    st.builds("create index n{1} on {0} (a)".format, tables, st.integers(1, 20)),
    st.builds("create index concurrently n{1} on {0} (a)".format, tables, st.integers(1, 20)),
    st.builds("create index on {0} (a)".format, tables),
    st.builds(
        "{1} index concurrently {0}".format, st.sampled_from(sorted(INDEXES)), st.sampled_from(["drop", "reindex"])
    ),
    st.builds("analyze {0}".format, tables),
    st.builds("vacuum {0}, {1}".format, tables, tables),
    st.builds("refresh materialized view {0}".format, st.sampled_from(["mat", "mat_of_mat"])),
    st.just("alter table child validate constraint child_a_fkey"),
    st.just("alter table sibling validate constraint sibling_a_fkey"),
    st.sampled_from(["create table x ()", "select 1", "reindex table calling", "refresh materialized view reading"]),
)


def touched(migration: Sequence[str]) -> set[str] | None:
    """The relations that a migration touches, from TOUCHED; None for a barrier."""
    found: set[str] = set()
    for statement in migration:
        if statement.startswith(("create table", "select", "reindex table", "refresh materialized view reading")):
            return None
        if statement.startswith(("analyze", "vacuum")) and {"calling", "checked"} & {
            *statement.replace(",", "").split()
        }:
            return None
        words = [INDEXES.get(word, word) for word in statement.replace(",", "").split()]
        found |= {relation for word in words if word in TOUCHED for relation in TOUCHED[word].split()}
    return found


@pytest.fixture(scope="module")
def shared_connection(server: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    from tests.servers import Server, execute

    assert isinstance(server, Server)
    execute(server.conninfo, "drop database if exists drawn_waves", "create database drawn_waves")
    link = connect(server.database("drawn_waves"), "sqlmigrate")
    link.run(SCHEMA)
    yield link
    link.close()
    execute(server.conninfo, "drop database drawn_waves with (force)")


@settings(max_examples=150)
@given(st.lists(st.lists(statements, min_size=1, max_size=3), max_size=10))
def test_no_two_migrations_that_touch_a_common_relation_share_a_wave(
    shared_connection: Connection, migrations: list[list[str]]
) -> None:
    works = [work_of(migration) for migration in migrations]
    names = [name for work in works for name in work.relations]
    found = relations(shared_connection, names, tables_of(parse_table_name("public.migrations")))
    divided = groups([footprint(work, found) for work in works], [str(n) for n in range(len(works))])

    assert [number for group in divided for number in range(group.start, group.end)] == [*range(len(migrations))]
    for group in divided:
        members = [touched(migration) for migration in migrations[group.start : group.end]]
        if len(members) > 1:
            assert None not in members
            seen: set[str] = set()
            for member in members:
                assert member is not None
                assert not seen & member, (migrations, group)
                seen |= member
