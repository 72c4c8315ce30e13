"""What the catalog shows of a statement that an earlier run started."""

from __future__ import annotations

from typing import Any, NamedTuple

# The state before the statement: see `catalog.state_before`.
State = dict[str, Any]


class Verdict(NamedTuple):
    """Whether a statement did its work, and what a person should know about it."""

    is_done: bool
    remarks: tuple[str, ...]


def done(*remarks: str) -> Verdict:
    """The statement did its work."""
    return Verdict(is_done=True, remarks=remarks)


def repeat(*remarks: str) -> Verdict:
    """The statement must run again, as if it had not run before."""
    return Verdict(is_done=False, remarks=remarks)
