"""The result of `drift`: what differs between a database and its files, with both definitions."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.catalog.differences import SchemaChange
from sqlmigrate.catalog.repairing import repairs
from sqlmigrate.render.escape import in_line
from sqlmigrate.render.phrases import count, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.catalog.differences import Difference
    from sqlmigrate.catalog.repairing import CatalogRepair
    from sqlmigrate.scratch.drift import Drift

_COLOURS = {SchemaChange.ADDED: "green", SchemaChange.MISSING: "red", SchemaChange.CHANGED: "yellow"}


def text(result: Drift) -> str:
    """Returns each difference, and how many there are."""
    lines = [line for difference in result.differences for line in _lines(difference)]
    made = "1 applied migration makes" if result.migrations == 1 else f"{result.migrations} applied migrations make"
    if not lines:
        summary = style(f"no drift: the database is what {made}", fg="green")
    else:
        summary = style(f"{count(result.differences, 'difference')} from what {made}", fg="yellow")
    return "\n".join([*lines, *listed(result.problems), summary])


def sql(result: Drift) -> str:
    """Returns the statements that bring the database back to the files; those that lose data are comments."""
    lines = []
    for repair in repairs(result.differences, result.expected):
        difference = repair.difference
        name = in_line(f"{difference.change.value}: {difference.key}")
        lines.append(f"-- {name}")
        if repair.statements is None:
            lines.append(f"-- not written: change {', '.join(difference.properties)} by hand")
        elif repair.loses_data:
            lines.append("-- loses data: check it, and remove the comment")
            lines += [f"-- {line}" for line in _terminated(repair.statements).splitlines()]
        else:
            lines.append(_terminated(repair.statements))
    return "\n".join(lines) or "-- no drift"


def _terminated(statements: Sequence[str]) -> str:
    return "\n".join(f"{statement};" for statement in statements)


def _lines(difference: Difference) -> Iterator[str]:
    key, change, properties, *_ = difference
    yield f"{style(f'{change.value:<7}', fg=_COLOURS[change])}  {key}"
    for name, (expected, actual) in properties.items():
        if change is SchemaChange.CHANGED:
            yield from _both(name, expected, actual)
        elif name == "definition":
            yield indent((expected or actual or "").strip(), " " * 9)


def _both(name: str, expected: str | None, actual: str | None) -> Iterator[str]:
    """Yields a property, on one line if it is short."""
    old, new = ("none" if text is None else text.strip() or "yes" for text in (expected, actual))
    if "\n" not in f"{old}{new}" and len(f"{old}{new}") < 80:
        yield f"         {name}: {old} → {new}"
    else:
        yield f"         {name} in the files:"
        yield indent(old, " " * 11)
        yield f"         {name} in the database:"
        yield indent(new, " " * 11)


def as_json(result: Drift) -> dict[str, object]:
    """Returns `drift`, `differences`, `migrations` and `postgres`."""
    expected, actual = result.postgres
    found = sorted(repairs(result.differences, result.expected), key=lambda repair: repair.difference.key)
    return {
        "drift": bool(result.differences),
        "differences": [_difference(repair) for repair in found],
        "migrations": result.migrations,
        "postgres": {"files": expected, "database": actual},
    }


def _difference(repair: CatalogRepair) -> dict[str, object]:
    key, change, properties, *_ = repair.difference
    return {
        "kind": key.kind,
        "identity": key.identity,
        "change": change.value,
        "properties": {
            name: {"files": expected, "database": actual} for name, (expected, actual) in properties.items()
        },
        "sql": None if repair.statements is None else list(repair.statements),
        "loses_data": repair.loses_data,
    }
