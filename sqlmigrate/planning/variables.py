"""The values of psql's variables with which a plan file was made: its SQL shows them. Pure."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING

from sqlmigrate.model import Location, Problem
from sqlmigrate.planning.plan_file import PLAN_AGAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlmigrate.planning.plan_file import PlanFile, ShownStep
    from sqlmigrate.sql.psql import ClientState

# Characters for private use: no script contains them, and psql reads them as letters.
_MARK = "\ue000{}\ue001"
_MARKED = re.compile("\ue000([A-Z_]+)\ue001")
# The variables that depend on who connects, and how. They may differ between the people who plan and approve.
PERSONAL = frozenset(("USER", "HOST", "PORT"))


def planned_values(
    shown: Sequence[ShownStep], render: Callable[[ClientState], list[ShownStep]], client: ClientState
) -> dict[str, str]:
    """Returns the values that differ from those of this session, if nothing else differs in the SQL that is shown.

    Args:
        shown: The SQL of the plan file.
        render: A function that returns the SQL of the files for a session.
        client: The start of this session.
    """
    marked = render(client._replace(variables={name: _MARK.format(name) for name in client.variables}))
    values: dict[str, str] = {}
    for then, now in zip_longest(_statements(shown), _statements(marked), fillvalue=""):
        values |= _captured(then, now)
    is_all = values and render(client._replace(variables={**client.variables, **values})) == shown
    return {name: value for name, value in values.items() if value != client.variables[name]} if is_all else {}


def problems(file: PlanFile, values: dict[str, str], client: ClientState) -> list[Problem]:
    """Returns a problem for each variable that had another value when the plan was made."""
    hint = f"run it with the connection for which it was made, or {PLAN_AGAIN}"
    return [
        Problem(
            "plan-outdated",
            f"the plan is out of date: it was made with psql variable {name} = '{value}',"
            f" but this is '{client.variables[name]}'",
            Location(file.path),
            hint,
        )
        for name, value in values.items()
    ]


def _statements(shown: Sequence[ShownStep]) -> Iterator[str]:
    return (sql for step in shown for transaction in step.transactions for _, sql in transaction.statements)


def _captured(then: str, now: str) -> dict[str, str]:
    """Returns the texts of a statement where another version of it has marks."""
    pieces = _MARKED.split(now)
    pattern = "(.*?)".join(map(re.escape, pieces[::2]))
    match = re.fullmatch(pattern, then, re.DOTALL) if len(pieces) > 1 else None
    return dict(zip(pieces[1::2], map(_unquoted, match.groups(), pieces[::2]), strict=True)) if match else {}


def _unquoted(value: str, before: str) -> str:
    return value.replace(before[-1:] * 2, before[-1:]) if before.endswith(("'", '"')) else value
