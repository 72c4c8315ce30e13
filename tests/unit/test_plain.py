"""Statements that cannot change their session; tests/integration/test_wipe.py holds them against a server."""

from __future__ import annotations

import pytest

from sqlmigrate.sql.plain import is_plain
from tests.plain_statements import CODE, PLAIN


@pytest.mark.parametrize("statement", PLAIN)
def test_a_plain_statement_is_recognized_in_each_spelling(statement: str) -> None:
    assert is_plain(statement)
    assert is_plain(statement.upper().replace("T_", "t_"))
    assert is_plain(statement.replace(" ", "\n  ") + ";")


@pytest.mark.parametrize("statement", CODE)
def test_a_statement_that_may_run_code_is_not_plain(statement: str) -> None:
    assert not is_plain(statement)
    assert not is_plain(statement.upper())
    assert not is_plain(statement.replace(" ", "\n  ") + ";")
