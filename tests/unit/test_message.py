from __future__ import annotations

import pytest

from sqlmigrate.execution.message import Message, Part, marked
from sqlmigrate.model import Location
from sqlmigrate.sql.segments import Piece

OPENING = Part("begin;\nset local lock_timeout = 1;\n", 2, 0)
FIRST = Part("select 'é';\n select 2;\n;\n", 2, 0, Piece(0, 23, 3, 5, 2))
SECOND = Part("-- no\nselect 3;\n;\n", 1, 0, Piece(30, 45, 7, 1, 1))
CLOSING = Part("insert into migrations values (1);\ncommit;\n", 2, 0)
OTHER = Part("select 4;\n;\n", 1, 1, Piece(0, 9, 1, 1, 1))
MESSAGE = Message([OPENING, FIRST, SECOND, CLOSING, OTHER])


def test_a_message_joins_its_parts() -> None:
    assert MESSAGE.text == OPENING.text + FIRST.text + SECOND.text + CLOSING.text + OTHER.text


@pytest.mark.parametrize(
    ("count", "part", "number"),
    [
        (0, OPENING, 0), (1, OPENING, 1), (2, FIRST, 0), (3, FIRST, 1), (4, SECOND, 0), (5, CLOSING, 0),
        (6, CLOSING, 1), (7, OTHER, 0),
        (8, OTHER, 1),
    ],
)  # fmt: skip
def test_the_number_of_results_gives_the_statement(count: int, part: Part, number: int) -> None:
    assert MESSAGE.at_result(count) == (part, number)


@pytest.mark.parametrize(
    ("count", "needle", "place", "number"),
    [
        (2, "'é'", Location("f", 3, 12), 0),
        (3, "2", Location("f", 4, 9), 1),
        (4, "3", Location("f", 8, 8), 0),
        (7, "4", Location("f", 1, 8), 0),
        (5, "migrations", Location("f"), 0),
        (0, "3", Location("f", 8, 8), None),  # found while it was read: nothing ran
    ],
)
def test_a_position_is_mapped_to_the_file(count: int, needle: str, place: Location, number: int | None) -> None:
    blame = MESSAGE.blame(count, MESSAGE.text.index(needle) + 1)
    assert (blame.place("f"), blame.number) == (place, number)


def test_a_position_after_the_end_is_the_end_of_the_last_statement() -> None:
    blame = MESSAGE.blame(7, len(MESSAGE.text) + 1)
    assert (blame.part, blame.place("f")) == (OTHER, Location("f", 1, 10))


@pytest.mark.parametrize(
    ("count", "place"),
    [
        (0, Location("f")), (2, Location("f", 3, 5)), (3, Location("f", 4, 2)), (4, Location("f", 8, 1)),
        (5, Location("f")),
        (7, Location("f", 1, 1)), (8, Location("f", 1, 1)),
    ],
)  # fmt: skip
def test_without_a_position_the_next_statement_failed(count: int, place: Location) -> None:
    assert MESSAGE.blame(count, None).place("f") == place


def test_a_copy_with_invalid_data_is_located() -> None:
    part = Part("select 1;\n  copy t from stdin;\n;\n", 2, 0, Piece(0, 30, 1, 1, 2, rows=(31, 40)))
    assert Message([part]).blame(1, None).place("f") == Location("f", 2, 3)


def test_without_a_statement_number_there_is_no_location() -> None:
    blame = MESSAGE.blame(0, MESSAGE.text.index("3") + 1)
    assert blame.number is None
    assert type(blame)(FIRST, None, None).place("f") == Location("f")


THREE = Part("select 1;\n  select 'é';\n select 3;\n;\n", 3, 0, Piece(0, 34, 3, 5, 3))
STARTS = tuple(THREE.text.index("select", at) for at in (0, 1, 13))
MARKS = ["set a = 1;", "set a = 22;", "set a = 333;"]


@pytest.mark.parametrize("first", range(4))
def test_marks_are_before_the_last_statements_and_leave_the_text_plain(first: int) -> None:
    part = marked(THREE, STARTS[first:], MARKS[first:])

    assert part.plain == THREE.text
    assert part.results == 6 - first
    assert part.text.count("set a") == 3 - first
    assert all(f"{mark}select" in part.text for mark in MARKS[first:])


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize(("number", "word"), [(0, "select 1"), (1, "select 'é'"), (2, "select 3")])
def test_with_marks_a_statement_is_found_by_its_number_and_by_its_position(first: int, number: int, word: str) -> None:
    part = marked(THREE, STARTS[first:], MARKS[first:])
    message = Message([OPENING, part, CLOSING])
    place = Message([THREE]).blame(number, None).place("f")
    before = 2 + number + max(number + 1 - first, 0)

    by_number = message.blame(before, None)
    by_position = message.blame(before, message.text.index(word) + 1)

    assert (by_number.number, by_number.place("f")) == (number, place)
    assert (by_position.number, by_position.place("f")) == (number, place)
    assert message.at_result(2 + part.results) == (CLOSING, 0)


def test_a_failed_mark_counts_as_its_statement() -> None:
    message = Message([marked(THREE, STARTS[1:], MARKS[1:])])
    assert [message.blame(count, None).number for count in range(5)] == [0, 1, 1, 2, 2]
