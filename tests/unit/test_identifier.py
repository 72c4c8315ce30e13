from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.sql.identifier import Identifier, identifier, identifiers, quoted

PARTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


@pytest.mark.parametrize(
    ("text", "name", "sql"),
    [
        ("orders", Identifier("", "orders"), "orders"),
        (" Shop.Orders ", Identifier("shop", "orders"), "shop.orders"),
        ('"Shop" . "Order Items"', Identifier("Shop", "Order Items"), '"Shop"."Order Items"'),
        ("user", Identifier("", "user"), '"user"'),
        ('say."""hi"""', Identifier("say", '"hi"'), 'say."""hi"""'),
        ('"a.b"', Identifier("", "a.b"), '"a.b"'),
        ("ÄRA", Identifier("", "Ära"), '"Ära"'),
        ("a$1", Identifier("", "a$1"), "a$1"),
    ],
)
def test_a_name_is_read_as_postgresql_reads_it(text: str, name: Identifier, sql: str) -> None:
    assert identifier(text) == name
    assert str(name) == sql


@pytest.mark.parametrize(
    "text",
    ["", " ", ".", "a.", ".a", "a.b.c", "order items", "order-items", '"open', '""', "1st", "a;b", '"a\nb"', "a,,b"],
)
def test_an_invalid_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a name"):
        identifiers(text)


def test_several_names_are_read() -> None:
    assert [*map(str, identifiers('a, S.b ,"x,y"'))] == ["a", "s.b", '"x,y"']
    with pytest.raises(ConfigurationError, match="more than one name"):
        identifier("a, b")


@given(PARTS, PARTS)
def test_a_written_name_is_read_back(schema: str, name: str) -> None:
    assert identifier(str(Identifier(schema, name))) == Identifier(schema, name)


def test_a_generated_name_stays_in_the_schema() -> None:
    made = identifier('shop."Order"').joined(identifiers("a, b"), "idx")
    assert (str(made), made.alone) == ('shop."Order_a_b_idx"', '"Order_a_b_idx"')


@given(PARTS, PARTS)
def test_a_generated_name_fits_in_63_bytes(table: str, column: str) -> None:
    made = Identifier("", table * 9).joined([Identifier("", column * 9)], "fkey").name
    assert len(made.encode()) <= 63
    assert made.endswith("_fkey")


def test_a_part_is_quoted_only_if_necessary() -> None:
    assert [*map(quoted, ("orders", "select", "Orders", "a b", "_x1"))] == [
        "orders", '"select"', '"Orders"', '"a b"', "_x1",
    ]  # fmt: skip
