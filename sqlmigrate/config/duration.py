"""Converts durations such as `500ms`, `5s`, `10min`, `1h`, `7d` and `2w` from and to milliseconds. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sqlmigrate.errors import ConfigurationError

_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)\s*", re.IGNORECASE)
_UNITS = {"ms": 1, "s": 1000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_LONGEST = 2**31 - 1  # the maximum of PostgreSQL's timeouts


def milliseconds(text: str) -> int:
    """Parses a duration; `0` needs no unit and means no limit.

    Raises:
        ConfigurationError: the text is not a duration, has no unit, or exceeds the maximum of PostgreSQL's timeouts.
    """
    duration = _milliseconds(text)
    if duration > _LONGEST:
        raise ConfigurationError(f"{text!r} is too long", hint="write at most 24d, or 0 for no limit")
    return round(duration)


def _milliseconds(text: str) -> float:
    if text.strip() == "0":
        return 0
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"{text!r} is not a duration", hint="write it with its unit: 500ms, 5s, 10min, 1h")
    return float(match[1]) * _UNITS[match[2].lower()]


def moment(text: str) -> datetime:
    """Parses a date, a time, or an age such as `7d`; a time without a time zone is local.

    Raises:
        ConfigurationError: the text is none of these.
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):  # not a time, or outside the range of UTC
        pass
    try:
        return datetime.now().astimezone() - timedelta(milliseconds=_milliseconds(text))
    except (ConfigurationError, OverflowError):
        raise ConfigurationError(
            f"{text!r} is neither a time nor an age", hint="write 2026-01-31, 2026-01-31T12:00, 2w, 7d or 12h"
        ) from None


def shown(duration_ms: int) -> str:
    """Formats a duration: `12 ms`, `3.4 s`, `2 min 05 s`."""
    if duration_ms < 1000:
        return f"{duration_ms} ms"
    if duration_ms < 59_950:
        return f"{duration_ms / 1000:.1f} s"
    minutes, rest = divmod(round(duration_ms / 1000), 60)
    return f"{minutes} min {rest:02d} s"


def whole(seconds: int) -> str:
    """Formats whole seconds that are passing: `12 s`, `2 min 05 s`, `3 h 07 min`."""
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
