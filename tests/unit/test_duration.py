from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from sqlmigrate.config.duration import milliseconds, moment, shown
from sqlmigrate.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), (" 0 ", 0), ("500ms", 500), ("5s", 5_000), ("1.5 s", 1_500), ("10min", 600_000), ("10m", 600_000),
        ("2H", 7_200_000), (" 1d ", 86_400_000), ("2w", 1_209_600_000), ("2147483647ms", 2**31 - 1),
    ],
)  # fmt: skip
def test_a_duration_has_a_unit(text: str, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["5", "", "s", "-1s", "5 weeks", "1h30m", "1.s", "00"])
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a duration") as caught:
        milliseconds(text)
    assert "unit" in caught.value.hint


@pytest.mark.parametrize("text", ["25d", "2147483648ms", "99999999999999d", "9" * 400 + "s"])
def test_a_duration_that_postgresql_cannot_store_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is too long") as caught:
        milliseconds(text)
    assert "24d" in caught.value.hint


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0, "0 ms"), (999, "999 ms"), (1_000, "1.0 s"), (59_949, "59.9 s"), (59_999, "1 min 00 s"),
        (60_000, "1 min 00 s"),
        (125_400, "2 min 05 s"), (3_600_000, "60 min 00 s"),
    ],
)  # fmt: skip
def test_a_duration_is_formatted_for_display(duration: int, expected: str) -> None:
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
def test_a_moment_can_be_a_date_or_a_time(text: str, expected: datetime) -> None:
    assert moment(text) == expected
    assert moment(text).tzinfo is not None


@pytest.mark.parametrize(("text", "hours"), [("7d", 168), ("12h", 12), ("0", 0), ("53w", 53 * 168)])
def test_a_moment_can_be_an_age(text: str, hours: int) -> None:
    then = moment(text)
    assert timedelta(hours=hours) <= datetime.now(UTC) - then < timedelta(hours=hours, minutes=1)


@pytest.mark.parametrize("text", ["", "yesterday", "7", "2026-13-01", "9999999999d", "9" * 400 + "s"])
def test_any_other_moment_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="neither a time nor an age"):
        moment(text)


def test_a_moment_beyond_the_calendar_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with pytest.raises(ConfigurationError, match="neither a time nor an age"):
            moment("9999-12-31T23:59")
    finally:
        monkeypatch.undo()
        time.tzset()
