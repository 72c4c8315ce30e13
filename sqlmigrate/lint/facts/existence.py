"""The names that no file creates, in a project whose files create the whole schema (`history = "complete"`). Pure."""

# ruff: noqa: SIM905  # a long list of names is easier to read as one text

from __future__ import annotations

from string import ascii_lowercase, digits
from typing import TYPE_CHECKING

from sqlmigrate.lint.schema.datatype import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Name

# The tables of sqlmigrate itself.
_OWN = ("migrations", "migrations_log")
_SYSTEM = ("pg_catalog", "information_schema", "pg_toast", "pg_temp")
_TYPES = BUILT_IN | frozenset(
    (
        "serial serial2 serial4 serial8 bigserial smallserial bool int4range name oidvector int2vector refcursor "
        "gtsvector aclitem cid xid unknown cstring void trigger any anyelement anyarray pg_ndistinct regnamespace"
    ).split()
)
_LETTERS = ascii_lowercase + digits + "_"
# Trigger functions of PostgreSQL itself.
_TRIGGERS = ("tsvector_update_trigger", "tsvector_update_trigger_column", "suppress_redundant_updates_trigger")


def never_created(catalog: Catalog, name: Name) -> bool:
    """Returns whether a relation or index exists in no file; false for the names that others may create."""
    if not _is_ours(catalog, name) or name[1].startswith("pg_") or name[1] in _OWN or name[1].endswith("_seq"):
        return False
    kinds = (catalog.tables, catalog.index_tables, catalog.sequences, catalog.types)
    return not any(catalog.resolve(name, kind) in kind for kind in kinds)


def type_never_created(catalog: Catalog, name: Name) -> bool:
    """Returns whether a type exists in no file, no extension may create it, and it is none of PostgreSQL's own."""
    if not _is_ours(catalog, name) or catalog.extensions or name[1] in _TYPES or name[1].startswith(("pg_", "reg")):
        return False
    kinds = (catalog.types, catalog.tables)
    return not any(catalog.resolve(name, kind) in kind for kind in kinds)


def function_never_created(catalog: Catalog, name: Name) -> bool:
    """Returns whether a trigger function exists in no file."""
    if not _is_ours(catalog, name) or catalog.extensions or name[1] in _TRIGGERS or name[1].startswith("RI_"):
        return False
    return catalog.resolve(name, catalog.functions) not in catalog.functions


def similar(catalog: Catalog, name: Name, objects: Container[Name]) -> str:
    """Returns an object whose name differs in one character or the order of two, or an empty string.

    It looks up each such name: a comparison with all names would take time in proportion to the schema.
    """
    schemas = (name[0],) if name[0] else catalog.search_path
    return next((other for other in _variants(name[1]) for schema in schemas if (schema, other) in objects), "")


def _variants(name: str) -> Iterator[str]:
    for at in range(len(name) + 1):
        head, tail = name[:at], name[at:]
        yield head + tail[1:]
        yield head + tail[1:2] + tail[:1] + tail[2:]
        for letter in _LETTERS:
            yield head + letter + tail
            yield head + letter + tail[1:]


def _is_ours(catalog: Catalog, name: Name) -> bool:
    """Returns whether only the files can create a name: it is in public, or in schemas that a file creates."""
    if not catalog.complete or catalog.uncertain or name[1] in catalog.uncertain_names or name[0] in _SYSTEM:
        return False
    schemas = (name[0],) if name[0] else catalog.search_path
    return all(schema == "public" or schema in catalog.schemas for schema in schemas)
