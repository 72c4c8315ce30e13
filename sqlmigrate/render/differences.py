"""The result of `drift`: what differs between a database and its files, with both definitions."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.catalog.differences import Change
from sqlmigrate.render.phrases import count, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.catalog.differences import Difference
    from sqlmigrate.scratch.drift import Drift

_COLOURS = {Change.ADDED: "green", Change.MISSING: "red", Change.CHANGED: "yellow"}


def text(result: Drift) -> str:
    """Returns each difference, and how many there are."""
    lines = [line for difference in result.differences for line in _lines(difference)]
    made = "1 applied migration makes" if result.migrations == 1 else f"{result.migrations} applied migrations make"
    if not lines:
        summary = style(f"no drift: the database is what {made}", fg="green")
    else:
        summary = style(f"{count(result.differences, 'difference')} from what {made}", fg="yellow")
    return "\n".join([*lines, *listed(result.problems), summary])


def _lines(difference: Difference) -> Iterator[str]:
    key, change, properties, *_ = difference
    yield f"{style(f'{change.value:<7}', fg=_COLOURS[change])}  {key}"
    for name, (expected, actual) in properties.items():
        if change is Change.CHANGED:
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
    return {
        "drift": bool(result.differences),
        "differences": [_difference(difference) for difference in result.differences],
        "migrations": result.migrations,
        "postgres": {"files": expected, "database": actual},
    }


def _difference(difference: Difference) -> dict[str, object]:
    pairs = difference.properties.items()
    return {
        "kind": difference.key.kind,
        "identity": difference.key.identity,
        "change": difference.change.value,
        "properties": {name: {"files": expected, "database": actual} for name, (expected, actual) in pairs},
    }
