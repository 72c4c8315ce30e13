"""How long: `500ms`, `5s`, `10min`, `1h` <-> milliseconds. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sqlmigrate.errors import ConfigurationError

_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)\s*", re.IGNORECASE)
_UNITS = {"ms": 1, "s": 1000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(text: str) -> int:
    """A duration as people write it; `0` needs no unit and means no limit.

    Raises:
        ConfigurationError: there is no unit, or it is no duration.
    """
    if text.strip() == "0":
        return 0
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"{text!r} is not a duration", hint="write it with its unit: 500ms, 5s, 10min, 1h")
    return round(float(match[1]) * _UNITS[match[2].lower()])


def moment(text: str) -> datetime:
    """A date, a time, or an age such as `7d`, as people write them; without a zone it is a local time.

    Raises:
        ConfigurationError: it is none of these.
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError:
        pass
    try:
        return datetime.now().astimezone() - timedelta(milliseconds=milliseconds(text))
    except (ConfigurationError, OverflowError):
        raise ConfigurationError(
            f"{text!r} is neither a time nor an age", hint="write 2026-01-31, 2026-01-31T12:00, 7d or 12h"
        ) from None


def shown(duration_ms: int) -> str:
    """A duration for a person: `12 ms`, `3.4 s`, `2 min 05 s`."""
    if duration_ms < 1000:
        return f"{duration_ms} ms"
    if duration_ms < 59_950:
        return f"{duration_ms / 1000:.1f} s"
    minutes, rest = divmod(round(duration_ms / 1000), 60)
    return f"{minutes} min {rest:02d} s"
