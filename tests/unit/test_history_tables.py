from __future__ import annotations

import pytest

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.history.tables import TableName, parse_table_name


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("m", ("public", "m")),
        ("ops.m", ("ops", "m")),
        ("Ops.M", ("Ops", "M")),
        ('"ops"."m"', ("ops", "m")),
        ('"a.b"."m"', ("a.b", "m")),
        ('ops."M"', ("ops", "M")),
        ('"M"', ("public", "M")),
        ('"ops".m', ("ops", "m")),
        ('"a""b"', ("public", 'a"b')),
        ('"a""b"."c""d"', ('a"b', 'c"d')),
        ('ops."a.b"', ("ops", "a.b")),
        ('"a.b".m', ("a.b", "m")),
        ('"o""ps".m', ('o"ps', "m")),
        ('o"ps.m', ('o"ps', "m")),
        ("s" * 63 + ".m", ("s" * 63, "m")),
    ],
)
def test_a_table_name_may_be_quoted(text: str, table: tuple[str, str]) -> None:
    assert parse_table_name(text) == TableName(*table)


@pytest.mark.parametrize("text", ["s" * 64 + ".m", "é" * 32 + ".m", "m" * 57, "", ".m", "s."])
def test_a_name_that_postgresql_would_cut_or_refuse_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a table name"):
        parse_table_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c",
        "a.b.c.d",
        '"a"."b"."c"',
        '"a".b.c',
        'a."b".c',
        '"ops.m',
        'ops.m"',
        'ops".m',
        'ops."m',
        '"ops',
        'ops"',
        '"',
        '""',
        '"".m',
        'ops.""',
        '""."m"',
        '"ops"x.m',
        'ops.x"m"',
        '"a"b"',
        "ops..m",
        ".",
        "..",
        '."m"',
        '"ops".',
        " ops.m",
        "ops.m ",
        "ops . m",
        '"ops" . "m"',
        " ",
    ],
)
def test_a_name_that_postgresql_would_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a table name") as refused:
        parse_table_name(text)

    assert refused.value.hint == (
        'write --history-table schema.name; only a name in double quotes, such as "a.b", may contain a dot'
    )
