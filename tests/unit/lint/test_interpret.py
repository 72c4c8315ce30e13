from __future__ import annotations

import pytest

from sqlmigrate.lint.schema.catalog import Catalog, Creation, Table
from sqlmigrate.lint.schema.interpret import apply
from sqlmigrate.sql.parser import parse
from sqlmigrate.sql.tree import kind_and_body

T = "create table t (a int primary key, b varchar(50) not null unique, c text default 'x' check (c <> ''));"


def schema(*statements: str) -> Catalog:
    catalog = Catalog()
    for tree in parse("".join(statements)):
        apply(catalog, *kind_and_body(tree["stmt"]), Creation(1, 0))
    return catalog


def table(catalog: Catalog, name: str = "t", in_schema: str = "public") -> Table:
    return catalog.tables[in_schema, name]


def test_create_table() -> None:
    made = table(schema(T))
    assert [(name, str(column.type), column.not_null) for name, column in made.columns.items()] == [
        ("a", "integer", True),
        ("b", "varchar(50)", True),
        ("c", "text", False),
    ]
    assert [(key.name, key.kind) for key in made.constraints] == [
        ("t_pkey", "primary"),
        ("t_b_key", "unique"),
        ("t_c_check", "check"),
    ]
    assert [index.name for index in made.indexes] == [("public", "t_pkey"), ("public", "t_b_key")]
    assert not made.partial


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("alter table t add column d int", ["a", "b", "c", "d"]),
        ("alter table t drop column b", ["a", "c"]),
        ("alter table t rename column b to d", ["a", "d", "c"]),
        ("alter table t add column if not exists b int", ["a", "b", "c"]),
    ],
)
def test_columns(sql: str, columns: list[str]) -> None:
    assert list(table(schema(T, sql)).columns) == columns


@pytest.mark.parametrize(
    ("sql", "indexes"),
    [
        ("create index on t (b, lower(c))", ["t_pkey", "t_b_key", "t_b_lower_idx"]),
        ("alter table t drop column b", ["t_pkey"]),
        ("alter table t drop constraint t_b_key", ["t_pkey"]),
        ("alter index t_b_key rename to x", ["t_pkey", "x"]),
        ("alter table t rename constraint t_b_key to x", ["t_pkey", "x"]),
        ("create index i on t (c); drop index i", ["t_pkey", "t_b_key"]),
        ("create unique index i on t (c); alter table t add unique using index i", ["t_pkey", "t_b_key", "i"]),
        ("create index if not exists t_b_key on t (b)", ["t_pkey", "t_b_key"]),
    ],
)
def test_indexes(sql: str, indexes: list[str]) -> None:
    catalog = schema(T, sql)
    assert [index.name[1] for index in table(catalog).indexes] == indexes
    assert {name[1] for name in catalog.index_tables} == set(indexes)


def test_index_keeps_a_renamed_column() -> None:
    made = table(schema(T, "create index i on t (b) where c <> ''; alter table t rename c to d"))
    assert "'sval': 'd'" in str(made.indexes[-1].predicate)
    assert made.columns["d"].name == "d"


def test_rename_and_schema() -> None:
    catalog = schema(T, "create schema s; alter table t rename to u; alter table u set schema s")
    assert table(catalog, "u", "s").indexes[0].name == ("s", "t_pkey")
    assert {("public", "t"), ("public", "u")} <= catalog.dropped


def test_drop_removes_dependent_objects() -> None:
    catalog = schema(T, "create view v as select * from t; create table u (a int references t); drop table t cascade")
    assert list(catalog.tables) == [("public", "u")]
    assert table(catalog, "u").constraints == ()


def test_unknown_table_is_partial() -> None:
    made = table(schema("alter table t add column a varchar(9)"))
    assert made.partial
    assert made.created is None
    assert str(made.columns["a"].type) == "varchar(9)"


def test_like_and_partitions() -> None:
    catalog = schema(
        "create table p (a int primary key, b text) partition by range (a); create index on p (b);"
        "create table q partition of p for values from (0) to (9); create table r (like p including all);"
        "create index on p (a, b);"
    )
    assert [index.name[1] for index in table(catalog, "q").indexes] == ["q_pkey", "q_b_idx", "q_a_b_idx"]
    assert [index.name[1] for index in table(catalog, "r").indexes] == ["r_pkey", "r_b_idx"]
    assert table(catalog, "q").parents == (("public", "p"),)
    assert schema("create table x (like y)").tables["public", "x"].partial


@pytest.mark.parametrize(
    ("sql", "not_null"),
    [
        ("alter table t alter c set not null", True),
        ("alter table t alter c set not null; alter table t alter c drop not null", False),
        ("alter table t add not null c; alter table t drop constraint t_c_not_null", False),
        ("alter table t add constraint n not null c not valid", False),
        ("alter table t add constraint n not null c not valid; alter table t validate constraint n", True),
    ],
)
def test_not_null(sql: str, not_null: bool) -> None:  # noqa: FBT001  # a parameter of the test
    assert table(schema(T, sql)).columns["c"].not_null is not_null


def test_types_and_functions() -> None:
    catalog = schema(
        "create type mood as enum ('ok'); alter type mood add value 'bad'; alter type mood rename value 'ok' to 'fine';"
        "create domain d as text check (value <> ''); alter domain d set not null;"
        "create table t (a mood); alter type mood rename to state;"
        "create function f() returns int language sql stable as 'select 1'; alter function f() immutable"
    )
    assert set(catalog.types["public", "state"].values) == {"fine", "bad"}
    assert catalog.types["public", "d"].not_null
    assert str(table(catalog).columns["a"].type) == "state"
    assert catalog.functions["public", "f"].volatility == "immutable"


def test_drop_schema() -> None:
    catalog = schema("create schema s create table t (a int) create view v as select 1; drop schema s cascade")
    assert catalog.tables == {}


def test_changes_are_taken_back() -> None:
    catalog = schema(T)
    with catalog.taken_back():
        for tree in parse("drop table t"):
            apply(catalog, *kind_and_body(tree["stmt"]), Creation(2, 1))
        assert catalog.tables == {}
    assert table(catalog).name == ("public", "t")
    assert not catalog.dropped
