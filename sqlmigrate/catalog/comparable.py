"""Makes snapshots of different servers comparable, and leaves out differences that no migration is to blame for."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sqlmigrate.catalog.differences import SchemaChange
from sqlmigrate.catalog.snapshot import CatalogObject, Key, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlmigrate.catalog.differences import Difference

# What extensions, agents and hosting providers create: a kind and an identity, as shell patterns.
IGNORED = (
    "* cron.*", "schema cron", "* partman.*", "schema partman", "* repack.*", "schema repack", "* _timescaledb*",
    "schema _timescaledb*", "* pglogical.*", "schema pglogical", "* pgagent.*", "schema pgagent", "* topology.*",
    "schema topology", "* tiger.*", "* pganalyze.*", "schema pganalyze", "* datadog.*", "schema datadog",
    "event trigger pgaudit_*", "event trigger rds_*", "* aws_*.*", "schema aws_*",
)  # fmt: skip
# Differences of these kinds count only where the files say something: others belong to the server's operation.
_ENVIRONMENT = {"role setting", "system privileges", "subscription", "user mapping"}
# The names of partitions that pg_partman and similar programs make and drop: parent_p20260101, parent_default.
_MADE_PARTITION = re.compile(r"_(p\d[\d_]*|default|\d{4}_?\d{2}(_?\d{2})?|y\d{4}.*|w\d+)\"?$")
_MAINTAIN = re.compile(r"(?<=[a-zA-Z*])m\*?(?=[a-zA-Z]*/)")


def comparable(snapshot: Snapshot, other: int) -> Snapshot:
    """Returns a snapshot without what a server of another major version does not know, or says otherwise."""
    if snapshot.major == other:
        return snapshot
    older = min(snapshot.major, other)
    objects = {
        key: item._replace(properties=_known(key, item.properties, older)) for key, item in snapshot.objects.items()
    }
    return Snapshot(objects, snapshot.major)


def _known(key: Key, properties: Mapping[str, str], older: int) -> dict[str, str]:
    found = dict(properties)
    if key.kind == "extension":
        found.pop("version", None)
        found.pop("comment", None)
    if key.kind == "collation":
        found.pop("locale", None)
    if older < 18 and "not null" in found and key.kind == "column":
        found["not null"] = ""  # the constraint has no name there
    if older < 17 and "privileges" in found:
        found["privileges"] = _MAINTAIN.sub("", found["privileges"])
    if older < 15 and key == Key("schema", "public"):
        found.pop("privileges", None)  # everybody may create objects there
    return found


def relevant(
    differences: Iterable[Difference], expected: Snapshot, patterns: Sequence[str] = ()
) -> Iterator[Difference]:
    """Yields the differences that are not ignored: by the rules of this module, and by patterns for `KIND IDENTITY`."""
    rules = [*IGNORED, *patterns]
    for difference in differences:
        name = str(difference.key)
        if any(fnmatchcase(name, rule) for rule in rules) or _is_made(difference, expected):
            continue
        if (found := _without_environment(difference)) is not None:
            yield found


def _is_made(difference: Difference, expected: Snapshot) -> bool:
    """Whether this is a partition that a program makes or drops, of a table that the files create."""
    item = difference.actual or difference.expected
    if difference.change is SchemaChange.CHANGED or item is None or difference.key.kind not in {"table", "index"}:
        return False
    parent = item.properties.get("partition of", "")
    is_partition = Key("table", parent) in expected.objects
    return is_partition and _MADE_PARTITION.search(difference.key.identity) is not None


def _without_environment(difference: Difference) -> Difference | None:
    kind, change = difference.key.kind, difference.change
    if kind in _ENVIRONMENT and change is SchemaChange.ADDED:
        return None
    if kind != "database":
        return difference
    named = {name: pair for name, pair in difference.properties.items() if pair[0] is not None and name != "owner"}
    return difference._replace(properties=named) if named else None


def owner_of(snapshot: Snapshot) -> str:
    """Returns the role that owns most objects; empty if there are none."""
    owners: dict[str, int] = {}
    for key, item in snapshot.objects.items():
        if key.kind not in {"database", "schema"} and (owner := item.properties.get("owner")):
            owners[owner] = owners.get(owner, 0) + 1
    return max(owners, key=lambda owner: (owners[owner], owner)) if owners else ""


def stored(snapshot: Snapshot) -> dict[str, object]:
    """Returns a snapshot for JSON, from which `restored` makes it again."""
    objects = [[*key, item.parent, item.properties] for key, item in snapshot.objects.items()]
    return {"major": snapshot.major, "objects": objects}


def restored(content: Mapping[str, list[tuple[str, str, str, dict[str, str]]]], major: int) -> Snapshot:
    """Returns the snapshot that was stored."""
    objects = {
        Key(kind, name): CatalogObject(properties, parent) for kind, name, parent, properties in content["objects"]
    }
    return Snapshot(objects, major)
