from __future__ import annotations

import pytest

from sqlmigrate.lint.schema.catalog import Catalog, Column, Table
from sqlmigrate.lint.schema.interpret.outputs import output_names
from sqlmigrate.sql.parser import parse

KNOWN = Table(("public", "t"), columns={"a": Column("a"), "b": Column("b")})


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("select a, t.b, 1 as c from t", ["a", "b", "c"]),
        ("select count(*), coalesce(a, 1), a::text, '1'::int from t", ["count", "coalesce", "a", "int4"]),
        ("select * from t", ["a", "b"]),
        ("select t.*, 1 as c from t", ["a", "b", "c"]),
        ("table t", ["a", "b"]),
        ("select a from t union select b as c from t", ["a"]),
        ("select * from t, u", [None]),
        ("select * from u", [None]),
        ("select * from t as x (c, d)", [None]),
        ("with t as (select 1 as c) select * from t", [None]),
        ("select a + b from t", [None]),
        ("values (1, 2)", [None]),
    ],
)
def test_columns_of_a_query_have_the_names_that_postgresql_chooses(query: str, names: list[str | None]) -> None:
    catalog = Catalog()
    catalog.put(KNOWN)
    assert output_names(catalog, parse(query)[0]["stmt"]) == names
