from __future__ import annotations

import pytest

from sqlmigrate.sql.effect import CatalogEffect, effect_of


@pytest.mark.parametrize(
    ("statement", "effect"),
    [
        ("create index concurrently i on t (a);", CatalogEffect("create index", ("i",), ("t",), rest=" (a)")),
        ("CREATE INDEX CONCURRENTLY ON T(a)", CatalogEffect("create index", (), ("t",), rest="(a)")),
        (
            'create unique index concurrently if not exists "I ""x" on only "S".T using gin (a)',
            CatalogEffect("create index", ('I "x',), ("S", "t"), conditional=True, unique=True, rest=" using gin (a)"),
        ),
        (
            "/* a */ create index concurrently i on d.s.t * (a)",
            CatalogEffect("create index", ("i",), ("s", "t"), rest=" (a)"),
        ),
        ("drop index concurrently s.i cascade", CatalogEffect("drop index", ("s", "i"))),
        ("drop index concurrently if exists i", CatalogEffect("drop index", ("i",), conditional=True)),
        ("drop database d with (force)", CatalogEffect("drop database", ("d",))),
        ("drop tablespace if exists s", CatalogEffect("drop tablespace", ("s",), conditional=True)),
        ("create database d owner = o", CatalogEffect("create database", ("d",), rest=" owner = o")),
        ("create tablespace s location '/x'", CatalogEffect("create tablespace", ("s",), rest=" location '/x'")),
        ("reindex index concurrently s.i", CatalogEffect("reindex index", ("s", "i"))),
        ("reindex (verbose, concurrently) table t", CatalogEffect("reindex table", ("t",))),
        ("reindex (concurrently on, tablespace x) schema s", CatalogEffect("reindex schema", ("s",))),
        ("reindex database concurrently", CatalogEffect("reindex database")),
        ("alter table if exists only p detach partition s.c concurrently", CatalogEffect("detach", ("s", "c"), ("p",))),
    ],
)
def test_the_effect_of_a_statement(statement: str, effect: CatalogEffect) -> None:
    assert effect_of(statement) == effect


@pytest.mark.parametrize(
    "statement",
    [
        "create index i on t (a)",
        'create index concurrently U&"\\0069" on t (a)',
        'create index concurrently i on U&"t" (a)',
        'drop index concurrently U&"i"',
        "drop index concurrently i, j",
        "reindex table t",
        "reindex (concurrently off) table t",
        "reindex (verbose) database d",
        "alter table p detach partition c",
        "alter table p detach partition c finalize",
        "vacuum t",
        "alter system set work_mem = 1",
        "do $$ begin commit; end $$",
        "drop database",
        "",
    ],
)
def test_other_statements_have_no_effect_that_is_recorded(statement: str) -> None:
    assert effect_of(statement) is None
