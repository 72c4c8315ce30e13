"""The hint for a misspelled name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_MANY = 40


def suggestion(name: str, names: Collection[str]) -> str:
    """Returns, as a hint, the closest valid name, or all of them; of many names, the three closest."""
    if close := closest(name, names):
        return f"did you mean {close}?"
    if not names:
        return "there is none"
    if len(names) > _MANY:
        return f"the closest names: {', '.join(_matches(name, names, 3, 0))}"
    return f"valid names: {', '.join(names)}"


def did_you_mean(name: str, names: Collection[str]) -> str:
    """Returns the closest valid name as a hint, for a message that lists all names; empty if none resembles it."""
    close = closest(name, names)
    return f"did you mean {close}?" if close else ""


def closest(name: str, names: Collection[str]) -> str | None:
    """Returns the valid name that a misspelled name resembles most, if it resembles any."""
    return next(iter(_matches(name, names, 1, 0.6)), None)


def _matches(name: str, names: Collection[str], count: int, cutoff: float) -> list[str]:
    import difflib  # only for an error

    originals = {_folded(valid): valid for valid in names}
    matches = difflib.get_close_matches(_folded(name), list(originals), count, cutoff)
    return [originals[match] for match in matches]


def _folded(name: str) -> str:
    return name.lower().replace("_", "-")
