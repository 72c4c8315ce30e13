"""Divides consecutive migrations into waves, whose members do not depend on each other. Pure.

Two migrations share a wave only if the parse trees and the catalog prove that no relation is touched by both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.sql.identifier import Identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlmigrate.planning.relations import Relation
    from sqlmigrate.planning.work import Work


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the statements of a migration touch. `barrier` states why they have to run alone, or is empty.

    `touched` maps each relation, by its oid or its unresolved name, to its name and the reason. `changed` are the
    names of the indexes that are created or dropped; PostgreSQL chooses an empty one. `named` are the names that the
    statements write; one with an empty schema depends on the search_path. `missing` are the tables that do not exist.
    """

    touched: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    changed: frozenset[Identifier] = frozenset()
    named: frozenset[Identifier] = frozenset()
    barrier: str = ""
    missing: frozenset[str] = frozenset()


class Stretch(NamedTuple):
    """Consecutive members that run side by side: from `start` to before `end`.

    `reason` states why the next member is not among them, or why the only member runs alone; it may be empty.
    """

    start: int
    end: int
    reason: str = ""


def footprint(work: Work, relations: Mapping[Identifier, Relation], *, is_preview: bool = False) -> Footprint:
    """Returns what statements touch, from the relations that the catalog has.

    Args:
        work: What the statements do, by name.
        relations: The relations of these names that exist.
        is_preview: A table that does not exist may be created before the statements run.
    """
    if work.barrier:
        return Footprint(barrier=work.barrier)
    touched: dict[str, tuple[str, str]] = {}
    missing: set[str] = set()
    for name in sorted(work.relations):
        relation = relations.get(name)
        if relation is None:
            if not is_preview or name in work.indexes:
                return Footprint(barrier=f"{name} does not exist{' yet' if is_preview else ''}")
            missing.add(str(name))
            touched[f"named {name.name}"] = (str(name), "")
        elif barrier := _barrier(work, name, relation):
            return Footprint(barrier=barrier)
        else:
            touched = {**relation.touched, **touched}
    return Footprint(touched, frozenset(_changed(work, relations)), work.relations, missing=frozenset(missing))


def _barrier(work: Work, name: Identifier, relation: Relation) -> str:
    if relation.barrier:
        return f"{name} {relation.barrier}"
    if work.evaluates and relation.function:
        return f"an index or a constraint of {name} calls the function {relation.function}"
    return ""


def _changed(work: Work, relations: Mapping[Identifier, Relation]) -> Iterator[Identifier]:
    """Yields the names of indexes; an index has the schema of its table."""
    for table, index in work.created:
        yield Identifier(relations[table].schema if table in relations else table.schema, index)
    for dropped in work.dropped:
        yield Identifier(relations[dropped].schema, dropped.name)


def clash(first: Footprint, second: Footprint) -> str:
    """Returns why two migrations may not share a wave; an empty text if they may."""
    for key in sorted(first.touched.keys() & second.touched.keys(), key=lambda key: first.touched[key]):
        touched, via = first.touched[key]
        via = via or second.touched[key][1]
        return f"both touch {touched}{f' ({via})' if via else ''}"
    for changing, other in ((first, second), (second, first)):
        for changed, name in product(sorted(changing.changed), sorted(other.changed | other.named)):
            if _may_be_same(changed, name):
                return _name_clash(changed, name)
    return ""


def _may_be_same(changed: Identifier, name: Identifier) -> bool:
    """Whether two names may be the same; PostgreSQL may choose any name that no relation of the schema has."""
    is_same_schema = not changed.schema or not name.schema or changed.schema == name.schema
    return is_same_schema and (changed.name == name.name or not changed.name)


def _name_clash(changed: Identifier, name: Identifier) -> str:
    if changed.name:
        return f"both use the name {name if name.schema else changed}"
    return "PostgreSQL chooses the name of an index, and could choose that of another one"


def groups(footprints: Sequence[Footprint], names: Sequence[str]) -> list[Stretch]:
    """Divides members into groups, in order: each is as long as no two of its members clash.

    Args:
        footprints: What each member touches.
        names: The name of each member, for the reasons.
    """
    divided: list[Stretch] = []
    start = 0
    while start < len(footprints):
        end, reason = _end(footprints, names, start)
        missing = sorted({name for member in footprints[start:end] for name in member.missing})
        reasons = [reason, *(f"{name} does not exist yet, which may change this" for name in missing)]
        divided.append(Stretch(start, end, "; ".join(filter(None, reasons))))
        start = end
    return divided


def _end(footprints: Sequence[Footprint], names: Sequence[str], start: int) -> tuple[int, str]:
    if footprints[start].barrier:
        return start + 1, f"{names[start]}: {footprints[start].barrier}"
    for end in range(start + 1, len(footprints)):
        if footprints[end].barrier:
            return end, ""  # the barrier states its own reason
        for member in range(start, end):
            if reason := clash(footprints[member], footprints[end]):
                return end, f"{names[member]} and {names[end]}: {reason}"
    return len(footprints), ""
