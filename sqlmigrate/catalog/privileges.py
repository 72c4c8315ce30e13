"""Writes GRANT and REVOKE for the difference between two lists of privileges."""

from __future__ import annotations

import re
from typing import NamedTuple

_LETTERS = {
    "r": "select", "a": "insert", "w": "update", "d": "delete", "D": "truncate", "x": "references", "t": "trigger",
    "m": "maintain", "X": "execute", "U": "usage", "C": "create", "c": "connect", "T": "temporary",
}  # fmt: skip
# What everybody may do with a new object.
_PUBLIC = {
    "function": "X",
    "procedure": "X",
    "aggregate": "X",
    "type": "U",
    "domain": "U",
    "language": "U",
    "database": "Tc",
}
_ON = {
    "view": "table",
    "materialized view": "table",
    "foreign table": "table",
    "aggregate": "function",
    "domain": "type",
    "server": "foreign server",
}
_ALL = {
    "table": "arwdDxtm", "sequence": "rwU", "function": "X", "procedure": "X", "type": "U", "schema": "UC",
    "database": "CTc", "language": "U", "foreign server": "U", "foreign data wrapper": "U", "column": "arwx",
}  # fmt: skip
_ITEM = re.compile(r'(?P<grantee>"(?:[^"]|"")*"|[^=]*)=(?P<letters>[^/]*)/')
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


class Privilege(NamedTuple):
    """A privilege of a role; the empty name is everybody."""

    grantee: str
    letter: str
    with_grant_option: bool


def parse(text: str | None, kind: str, owner: str) -> set[Privilege]:
    """Returns the privileges in the property of an object; without the property, those of a new one."""
    if text is None:
        public = {Privilege("", letter, with_grant_option=False) for letter in _PUBLIC.get(kind, "")}
        letters = "" if kind == "column" else _ALL.get(_ON.get(kind, kind), "")
        return public | {Privilege(owner, letter, with_grant_option=False) for letter in letters}
    found = set()
    for item in text.splitlines():
        if match := _ITEM.match(item):
            for letter, star in re.findall(r"(\w)(\*?)", match["letters"]):
                found.add(Privilege(match["grantee"].strip('"').replace('""', '"'), letter, bool(star)))
    return found


def statements(
    kind: str, identity: str, owner: str, expected: str | None, actual: str | None, parent: str = ""
) -> list[str]:
    """Returns the statements that change the actual privileges of an object to the expected ones."""
    wanted, present = parse(expected, kind, owner), parse(actual, kind, owner)
    revoked = {item for item in present - wanted if not _has(wanted, item)}
    found = [_written("revoke", item, kind, identity, parent) for item in sorted(revoked)]
    options = {item for item in present - wanted - revoked if item.with_grant_option}
    found += [_written("revoke grant option for", item, kind, identity, parent) for item in sorted(options)]
    granted = {item for item in wanted - present if item.with_grant_option or not _has(present, item)}
    return found + [_written("grant", item, kind, identity, parent) for item in sorted(granted)]


def _has(items: set[Privilege], wanted: Privilege) -> bool:
    return any(item[:2] == wanted[:2] for item in items)


def _written(verb: str, item: Privilege, kind: str, identity: str, parent: str) -> str:
    name = _LETTERS.get(item.letter, item.letter)
    if kind == "column":
        where = f"{name} ({identity[len(parent) + 1 :]}) on table {parent}"
    else:
        where = f"{name} on {_ON.get(kind, kind)} {identity}"
    direction = "to" if verb == "grant" else "from"
    option = " with grant option" if verb == "grant" and item.with_grant_option else ""
    return f"{verb} {where} {direction} {role(item.grantee) if item.grantee else 'public'}{option}"


def role(name: str) -> str:
    """Returns the name of a role, quoted if necessary."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
