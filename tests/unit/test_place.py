"""The location of a character in a text."""

from hypothesis import given
from hypothesis import strategies as st

from sqlmigrate.model import Location
from sqlmigrate.sql.place import after, locate


@given(st.text("ab \r\n"), st.integers(0, 20), st.integers(1, 3), st.integers(1, 3))
def test_the_location_of_a_character(text: str, at: int, line: int, column: int) -> None:
    before = text[:at]
    start = before.rfind("\n") + 1
    shown = text[start:].partition("\n")[0].rstrip("\r")
    expected = Location("f", *after(before, line, column), shown if start else " " * (column - 1) + shown)
    assert locate("f", text, at, line, column) == expected


def test_places_in_one_line_share_its_text() -> None:
    text = "select 1\n, 2, 3, 4\n, 5"
    assert locate("f", text, 12).text is locate("f", text, 15).text
