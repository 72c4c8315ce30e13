from __future__ import annotations

import pytest

from sqlmigrate.execution.diagnosis import row_copied
from sqlmigrate.model import ServerReport

CONTEXTS = {
    'COPY t1, line 3, column a1: "7"': 3,
    "COPY t1, line 12": 12,
    'COPY a, 1: b, line 3: "x, line 9"': 3,
    "COPY t1, Zeile 3, Spalte a: »x«": 3,
    "COPY t1, línea 3: «x»": 3,
    "COPY t1, ligne 3, colonne a : « x »": 3,
    "COPY t1, строка 3": 3,
    "COPY t1, 行 3, 列 a": 3,
    "COPY t1, ხაზი 3": 3,
    't1のCOPY、行 3、列 a: "x"': 3,
    "t1 복사, 3번째 줄, a 열": 3,
    "PL/pgSQL function f() line 2 at RAISE\nCOPY t1, line 3": 3,
    "PL/pgSQL function f() line 2 at RAISE": 0,
    "": 0,
}


@pytest.mark.parametrize(("context", "row"), CONTEXTS.items())
def test_the_context_of_an_error_has_the_line_of_the_copy_data(context: str, row: int) -> None:
    assert row_copied(ServerReport("message", "22P02", context=context)) == row
