"""After an interrupted statement, a table that is not the same any more is named, with what happened to it."""

from __future__ import annotations

import pytest

from tests.integration.test_recovery import die_before, die_within, prepared, rerun
from tests.project import Project

DROPPED = "table a was dropped and created again after the statement was started"
OTHER = "table a is another table than before the statement was started: that one is now public.a_old"
BUILD = "create index concurrently a_i on a (y)"


@pytest.mark.parametrize(
    ("statement", "changes", "remark"),
    [
        (BUILD, ["drop table a cascade", "create table a (y int)", "create index a_i on a (y)"], DROPPED),
        (BUILD, ["alter table a rename to a_old", "create table a (y int)", "create table a_i ()"], OTHER),
        (BUILD, ["drop table a cascade"], "table a was dropped after the statement was started"),
        (BUILD, ["alter table a rename to b"], "table a was renamed to public.b after the statement was started"),
        (
            'create index concurrently "A i" on public."T a" (y)',
            ['drop table "T a"', 'create table "T a" (y int)', 'create table "A i" ()'],
            'table public."T a" was dropped and created again after the statement was started',
        ),
        (
            "create index concurrently on a (y)",
            ["drop table a cascade", "create view a as select 1 as y"],
            DROPPED,
        ),
        ("reindex table concurrently a", ["drop table a cascade"], "table a was dropped after the statement was"),
        (
            "alter table p detach partition p_1 concurrently",
            ["drop table p_1", "create table p_1 (y int)"],
            "table p_1 was dropped and created again after the statement was started",
        ),
        (
            "alter table p detach partition p_1 concurrently",
            ["drop table p cascade", "create table p (y int)", "create table p_1 (y int)"],
            "table p was dropped and created again after the statement was started",
        ),
    ],
)
def test_the_error_names_the_table_that_was_replaced(
    project: Project, statement: str, changes: list[str], remark: str
) -> None:
    prepared(project, statement)
    die_before(project)
    project.query(*changes)

    run = rerun(project)

    assert run.returncode == 1, run.stderr
    error = run.stderr[run.stderr.index("error: ") :]
    assert remark in error


def test_a_table_that_was_replaced_while_its_index_was_built_is_named(project: Project) -> None:
    prepared(project, BUILD)
    die_within(project)
    project.query("drop table a cascade", "create table a (y int)")

    run = rerun(project)

    assert run.returncode == 0
    assert DROPPED in run.stderr


def test_the_same_table_is_not_called_replaced(project: Project) -> None:
    prepared(project, "set search_path = app; create index concurrently a_i on a (y)")
    die_before(project)

    run = rerun(project)

    assert run.returncode == 0
    assert "after the statement was started" not in run.stderr


def test_a_partition_that_was_detached_and_then_dropped_is_done(project: Project) -> None:
    prepared(project, "alter table p detach partition p_1 concurrently")
    die_before(project)
    project.query("alter table p detach partition p_1", "drop table p_1")

    run = rerun(project)

    assert run.returncode == 0, run.stderr
    assert "table p_1 was dropped after the statement was started" in run.stderr
