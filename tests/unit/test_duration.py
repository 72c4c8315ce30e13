from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sqlmigrate.duration import milliseconds, moment, shown
from sqlmigrate.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), (" 0 ", 0), ("500ms", 500), ("5s", 5_000), ("1.5 s", 1_500), ("10min", 600_000), ("10m", 600_000),
        ("2H", 7_200_000), (" 1d ", 86_400_000),
    ],
)  # fmt: skip
def test_a_duration_is_read_with_its_unit(text: str, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["5", "", "s", "-1s", "5 weeks", "1h30m", "1.s", "00"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a duration") as caught:
        milliseconds(text)
    assert "unit" in caught.value.hint


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0, "0 ms"), (999, "999 ms"), (1_000, "1.0 s"), (59_949, "59.9 s"), (59_999, "1 min 00 s"),
        (60_000, "1 min 00 s"),
        (125_400, "2 min 05 s"), (3_600_000, "60 min 00 s"),
    ],
)  # fmt: skip
def test_a_duration_is_shown_to_a_person(duration: int, expected: str) -> None:
    assert shown(duration) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        (" 2026-01-31 12:00+02:00 ", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31).astimezone()),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12).astimezone()),
    ],
)
def test_a_moment_is_a_date_or_a_time(text: str, expected: datetime) -> None:
    assert moment(text) == expected
    assert moment(text).tzinfo is not None


@pytest.mark.parametrize(("text", "hours"), [("7d", 168), ("12h", 12), ("0", 0)])
def test_a_moment_is_an_age(text: str, hours: int) -> None:
    then = moment(text)
    assert timedelta(hours=hours) <= datetime.now(UTC) - then < timedelta(hours=hours, minutes=1)


@pytest.mark.parametrize("text", ["", "yesterday", "7", "2026-13-01", "9999999999d"])
def test_a_moment_is_nothing_else(text: str) -> None:
    with pytest.raises(ConfigurationError, match="neither a time nor an age"):
        moment(text)
