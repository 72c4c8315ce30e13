from __future__ import annotations

import pytest

from sqlmigrate.lint.schema.catalog import Catalog
from sqlmigrate.lint.schema.datatype import Type
from sqlmigrate.lint.schema.narrowing import is_narrower

SOME = [
    (Type("int8"), Type("int4")),
    (Type("int4"), Type("float4")),
    (Type("int8"), Type("float8")),
    (Type("numeric"), Type("float8")),
    (Type("numeric"), Type("numeric", (20, 4))),
    (Type("numeric", (10, 2)), Type("numeric", (10, 3))),
    (Type("numeric", (10, 2)), Type("int4")),
    (Type("int8"), Type("numeric", (10, 0))),
    (Type("float8"), Type("int8")),
    (Type("varchar"), Type("varchar", (255,))),
    (Type("text"), Type("bpchar", (3,))),
    (Type("text"), Type("jsonb")),
    (Type("timestamptz"), Type("timestamp")),
    (Type("timestamp"), Type("timestamp", (3,))),
    (Type("interval"), Type("interval", (0x7FFF, 0))),
    (Type("varbit"), Type("varbit", (8,))),
    (Type("text", array=True), Type("text")),
]
NONE = [
    (Type("interval", (0x7FFF, 2)), Type("interval", (0x7FFF, 4))),
    (Type("int4"), Type("float8")),
    (Type("int2"), Type("float4")),
    (Type("int4"), Type("numeric")),
    (Type("int4"), Type("numeric", (10, 0))),
    (Type("numeric", (10, 2)), Type("numeric", (14, 4))),
    (Type("numeric", (5, 0)), Type("int4")),
    (Type("float8"), Type("numeric")),
    (Type("float4"), Type("float8")),
    (Type("varchar", (20,)), Type("varchar", (20,))),
    (Type("bpchar", (3,)), Type("text")),
    (Type("text"), Type("bytea")),
    (Type("uuid"), Type("text")),
    (Type("date"), Type("timestamptz")),
    (Type("timestamptz", (3,)), Type("timestamptz", (6,))),
    (Type("cidr"), Type("inet")),
    (Type("int4"), Type("int4", array=True)),
    (Type("mood"), Type("text")),
]


@pytest.mark.parametrize(("old", "new"), SOME)
def test_narrower_type_is_recognised(old: Type, new: Type) -> None:
    assert is_narrower(old, new, Catalog())


@pytest.mark.parametrize(("old", "new"), NONE)
def test_wide_enough_type_is_recognised(old: Type, new: Type) -> None:
    assert not is_narrower(old, new, Catalog())
