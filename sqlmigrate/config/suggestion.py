"""The hint for a misspelled name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def suggestion(name: str, names: Collection[str]) -> str:
    """Returns the closest valid name, or all of them, as a hint."""
    close = closest(name, names)
    return f"did you mean {close}?" if close else f"valid names: {', '.join(names)}"


def closest(name: str, names: Collection[str]) -> str | None:
    """Returns the valid name that a misspelled name resembles most, if it resembles any."""
    import difflib  # only for an error

    return next(iter(difflib.get_close_matches(name, list(names), n=1)), None)
