from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlmigrate.planning.relations import Relation
from sqlmigrate.planning.waves import Footprint, clash, footprint, groups
from sqlmigrate.planning.work import NewIndex, Work, work_of
from sqlmigrate.sql.identifier import Identifier


def name(text: str) -> Identifier:
    schema, _, plain = text.rpartition(".")
    return Identifier(schema, plain)


def table(text: str, *others: str, barrier: str = "", function: str = "") -> Relation:
    touched = {text: (f"public.{text}", ""), **{other: (f"public.{other}", "via") for other in others}}
    return Relation("public", text, touched, barrier, function)


CATALOG = {
    name("t"): table("t"),
    name("public.t"): table("t"),
    name("u"): table("u"),
    name("child"): table("child", "t"),
    name("t_a"): table("t"),
    name("remote"): table("remote", barrier="is not a table or a materialized view"),
    name("indexed"): table("indexed", function="f"),
}


def foot(sql: str, catalog: Mapping[Identifier, Relation] = CATALOG, *, is_preview: bool = False) -> Footprint:
    return footprint(work_of([sql]), catalog, is_preview=is_preview)


@pytest.mark.parametrize(
    ("sql", "relations"),
    [
        ("create index i on t (a)", "t"),
        ("create unique index concurrently if not exists i on public.t (lower(a)) where b > 0", "public.t"),
        ('create index on "T" (a)', "T"),
        ("drop index i", "i"),
        ("drop index concurrently if exists public.i, j", "public.i j"),
        ("reindex table t", "t"),
        ("reindex (concurrently) index public.i", "public.i"),
        ("alter table only t validate constraint c, validate constraint d", "t"),
        ("refresh materialized view concurrently m", "m"),
        ("analyze t (a), u", "t u"),
        ("vacuum (full, analyze) t", "t"),
    ],
)
def test_statements_that_may_share_a_wave_name_their_relations(sql: str, relations: str) -> None:
    work = work_of([sql])
    assert (work.relations, work.barrier) == (frozenset(map(name, relations.split())), "")


@pytest.mark.parametrize(
    ("sql", "barrier"),
    [
        ("create table t ()", "CREATE TABLE may depend on any migration"),
        ("-- why\ninsert into t values (1)", "INSERT INTO may depend on any migration"),
        ("alter table t validate constraint c, add column b int", "ALTER TABLE may depend on any migration"),
        ("alter index i set (fillfactor = 50)", "ALTER INDEX may depend on any migration"),
        ("alter domain d validate constraint c", "ALTER DOMAIN may depend on any migration"),
        ("drop table t", "DROP TABLE may depend on any migration"),
        ("drop index i cascade", "DROP INDEX may depend on any migration"),
        ("reindex schema public", "REINDEX SCHEMA may depend on any migration"),
        ("reindex database", "REINDEX DATABASE may depend on any migration"),
        ("vacuum", "VACUUM may depend on any migration"),
        ("analyze", "ANALYZE may depend on any migration"),
        ("set role owner", "SET ROLE may depend on any migration"),
        ("do $$ begin end $$", "DO may depend on any migration"),
        ("select 1", "SELECT may depend on any migration"),
        ("create index i on t (f(a))", "the index calls f(), whose statements are not analysed"),
        ("create index i on t (a) where s.f(a) > 0", "the index calls s.f(), whose statements are not analysed"),
        ("cluster t", "CLUSTER T may depend on any migration"),
        ("creat index i on t (a)", "CREAT INDEX may depend on any migration"),
        ("create index i in t (a)", "CREATE INDEX cannot be analysed"),
        (f"create index i on t (a) where b = '{'x' * 70_000}'", "a statement is too long to be analysed"),
    ],
)
def test_every_other_statement_is_a_barrier(sql: str, barrier: str) -> None:
    assert work_of(["analyze t", sql]) == Work(barrier=barrier)


def test_only_the_statements_up_to_the_first_barrier_are_read() -> None:
    def texts() -> object:
        yield "create table t ()"
        pytest.fail("the second statement was read")

    assert work_of(texts()).barrier  # type: ignore[arg-type]  # a generator


def test_several_statements_add_up() -> None:
    work = work_of(["create index i on t (a)", "drop index public.j", "analyze u"])
    assert work == Work(
        frozenset(map(name, ("t", "public.j", "u"))),
        frozenset([NewIndex(name("t"), "i")]),
        frozenset([name("public.j")]),
        frozenset([name("public.j")]),
        evaluates=True,
    )


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("analyze t", "analyze u", ""),
        ("create index i on t (a)", "create index j on u (a)", ""),
        ("create index i on t (a)", "create index j on public.t (b)", "both touch public.t"),
        ("create index i on t (a)", "analyze child", "both touch public.t (via)"),
        ("create index i on child (a)", "create index j on t (a)", "both touch public.t (via)"),
        ("drop index t_a", "analyze t", "both touch public.t"),
        ("create index i on t (a)", "create index i on u (a)", "both use the name public.i"),
        ("create index i on t (a)", "create index if not exists i on u (a)", "both use the name public.i"),
        ("create index u on t (a)", "analyze u", "both use the name public.u"),
        ("create index on t (a)", "create index on u (a)", "PostgreSQL chooses the name of an index, "),
        ("create index on t (a)", "create index j on u (a)", "PostgreSQL chooses the name of an index, "),
    ],
)
def test_two_migrations_share_a_wave_only_if_no_relation_and_no_name_is_touched_by_both(
    first: str, second: str, reason: str
) -> None:
    for left, right in ((first, second), (second, first)):
        found = clash(foot(left), foot(right))
        assert found.startswith(reason)
        assert bool(found) == bool(reason)


def test_indexes_of_the_same_name_in_two_schemas_share_a_wave() -> None:
    catalog = {
        name("one.t"): Relation("one", "t", {"1": ("one.t", "")}),
        name("two.t"): Relation("two", "t", {"2": ("two.t", "")}),
    }
    first, second = (foot(f"create index i on {schema}.t (a)", catalog) for schema in ("one", "two"))
    assert clash(first, second) == ""


@pytest.mark.parametrize(
    ("sql", "barrier"),
    [
        ("analyze absent", "absent does not exist"),
        ("drop index absent", "absent does not exist"),
        ("analyze remote", "remote is not a table or a materialized view"),
        ("reindex table indexed", "an index or a constraint of indexed calls the function f"),
        ("create index i on indexed (a)", ""),
    ],
)
def test_what_the_catalog_leaves_in_doubt_is_a_barrier(sql: str, barrier: str) -> None:
    assert foot(sql).barrier == barrier


def test_a_preview_trusts_the_names_of_tables_that_do_not_exist_yet() -> None:
    first, second, third = (foot(sql, is_preview=True) for sql in ("analyze x", "analyze y", "analyze s.x"))
    assert clash(first, second) == ""
    assert clash(first, third) == "both touch x"
    assert foot("drop index x", is_preview=True).barrier == "x does not exist yet"
    (group,) = groups([first, second], ["a", "b"])
    assert group.reason == "x does not exist yet, which may change this; y does not exist yet, which may change this"


def test_waves_end_at_barriers_and_before_a_clash_with_any_member() -> None:
    members = [
        foot(sql) for sql in ("analyze t", "analyze u", "analyze child", "create table x ()", "analyze u", "analyze t")
    ]
    assert groups(members, "abcdef") == [
        (0, 2, "a and c: both touch public.t (via)"),
        (2, 3, ""),
        (3, 4, "d: CREATE TABLE may depend on any migration"),
        (4, 6, ""),
    ]


footprints = st.builds(
    lambda touched, changed, barrier: Footprint(
        {each: (each, "") for each in touched},
        frozenset(Identifier("public", each) for each in changed),
        barrier=barrier,
    ),
    st.sets(st.sampled_from("abcdefgh"), max_size=3),
    st.sets(st.sampled_from(["i", "j", "k", "l", ""]), max_size=2),
    st.sampled_from(["", "", "", "", "it is a barrier"]),
)


@given(st.lists(footprints, max_size=20))
def test_waves_cover_every_migration_in_order_and_have_no_two_members_that_clash(members: list[Footprint]) -> None:
    divided = groups(members, [str(number) for number in range(len(members))])
    assert [number for group in divided for number in range(group.start, group.end)] == [*range(len(members))]
    for group in divided:
        wave = members[group.start : group.end]
        assert len(wave) == 1 or not any(member.barrier for member in wave)
        for number, member in enumerate(wave):
            for other in wave[number + 1 :]:
                assert not member.touched.keys() & other.touched.keys()
                assert clash(member, other) == ""
