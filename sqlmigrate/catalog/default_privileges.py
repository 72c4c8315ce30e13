"""Writes ALTER DEFAULT PRIVILEGES for the difference between two lists of privileges."""

from __future__ import annotations

import re

from sqlmigrate.catalog import privileges

_IDENTITY = re.compile(
    r"of (?P<role>.*) on (?P<kind>tables|sequences|functions|types|schemas)( in schema (?P<schema>.*))?"
)


def statements(identity: str, expected: str | None, actual: str | None) -> list[str] | None:
    """Returns the statements that change the actual default privileges to the expected ones.

    Without an entry, those in a schema are none, and the others are those of a new object.
    """
    match = _IDENTITY.fullmatch(identity)
    if match is None:
        return None
    role, kind, schema = match["role"], match["kind"], match["schema"]
    wanted, present = ("none" if text is None and schema else text for text in (expected, actual))
    found = privileges.statements(kind.removesuffix("s"), kind, role.strip('"'), wanted, present)
    where = f" in schema {schema}" if schema else ""
    plural = (statement.replace(f" on {kind.removesuffix('s')} {kind} ", f" on {kind} ") for statement in found)
    return [f"alter default privileges for role {role}{where} {statement}" for statement in plural]
