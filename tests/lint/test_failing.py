"""The server fails on the bad examples of rules of level error, and runs the good examples."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from sqlmigrate.lint.rule import Example
from sqlmigrate.lint.rules.clients import functions, interfaces, rows
from sqlmigrate.lint.rules.correctness import refused
from tests.servers import Server, execute

RULES = (
    *(rows.REQUIRED, interfaces.VIEW_COLUMNS, interfaces.NEEDED_INDEX, functions.SIGNATURE),
    *(refused.USING_INDEX, refused.PARTITION_KEY, refused.KEY_TYPES),
)
# The table that the examples name but do not create. A table in use has rows, so every table gets one row.
MADE_BEFORE = "create table if not exists t (a int, b int, c int);"
ONE_ROW = "do $$ begin insert into t default values; exception when others then null; end $$;"


def cases() -> Iterator[object]:
    for rule in RULES:
        for number, example in enumerate(rule.examples, 1):
            if example.earlier and not example.unsure:
                yield pytest.param(example, id=f"{rule.name}-{number}")


@pytest.fixture(scope="module")
def scratch(server: Server) -> Iterator[str]:
    execute(server.conninfo, "create database failing")
    yield server.database("failing")
    execute(server.conninfo, "drop database failing with (force)")


@pytest.mark.parametrize("example", [*cases()])
def test_server_fails_where_the_rule_reports_an_error(example: Example, scratch: str) -> None:
    with psycopg.connect(scratch) as connection:
        connection.execute((example.earlier + ";" + MADE_BEFORE + ONE_ROW).encode())
        if example.bad:
            with pytest.raises(psycopg.Error):
                connection.execute(_in_transaction(example.sql))
        else:
            connection.execute(_in_transaction(example.sql))
        connection.rollback()


def _in_transaction(sql: str) -> bytes:
    return sql.replace(" concurrently", "").encode()
