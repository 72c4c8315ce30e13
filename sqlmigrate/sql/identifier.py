"""Parses and quotes identifiers by PostgreSQL's rules. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

# All keywords that are reserved in any context, from `pg_get_keywords()` of PostgreSQL 18.
_RESERVED = """
all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast
char character check coalesce collate collation column concurrently constraint create cross current_catalog
current_date current_role current_schema current_time current_timestamp current_user dec decimal default deferrable
desc distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group
grouping having ilike in initially inner inout int integer intersect interval into is isnull join json json_array
json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value
lateral leading least left like limit localtime localtimestamp merge_action national natural nchar none normalize not
notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real
references returning right row select session_user setof similar smallint some substring symmetric system_user table
tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose
when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
xmlserialize xmltable
"""
KEYWORDS = frozenset(_RESERVED.split())
_LONGEST = 63  # bytes; PostgreSQL truncates longer identifiers
_PART = r'"(?:[^"]|"")+"|[^\W\d][\w$]*'
_NAME = re.compile(rf"\s*(?:({_PART})\s*\.\s*)?({_PART})\s*(?:,|$)")
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


class Identifier(NamedTuple):
    """The name of an object as in the catalog; `schema` may be empty. `str` returns it as SQL."""

    schema: str
    name: str

    def __str__(self) -> str:
        return ".".join(quoted(part) for part in self if part)

    @property
    def alone(self) -> str:
        """The name without its schema, as SQL."""
        return quoted(self.name)

    def joined(self, others: Iterable[Identifier], kind: str) -> Identifier:
        """Builds the name of an index or constraint in the same schema as PostgreSQL does: `orders_total_idx`."""
        parts = [self.name, *(identifier.name for identifier in others), kind]
        while len("_".join(parts).encode()) > _LONGEST:
            longest = max(range(len(parts) - 1), key=lambda index: len(parts[index].encode()))
            parts[longest] = parts[longest][:-1]
        return Identifier(self.schema, "_".join(parts))


def quoted(name: str) -> str:
    """Returns a part of a name as SQL, quoted only if necessary."""
    if _PLAIN.fullmatch(name) and name not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def identifier(text: str) -> Identifier:
    """Parses a name as written in SQL: `orders`, `shop.orders`, `"Order Items"`.

    Raises:
        ConfigurationError: The text is not a name, or contains several names.
    """
    found = identifiers(text)
    if len(found) > 1:
        raise ConfigurationError(f"{text!r} is more than one name")
    return found[0]


def identifiers(text: str) -> tuple[Identifier, ...]:
    """Parses names that are separated by commas.

    Raises:
        ConfigurationError: The text is not a list of names.
    """
    found: list[Identifier] = []
    at = 0
    while at < len(text) or not found:
        match = _NAME.match(text, at)
        if match is None or not match[0].isprintable():
            hint = """write it as in SQL, such as shop.orders or '"Order Items"'"""
            raise ConfigurationError(f"{text!r} is not a name", hint=hint)
        found.append(Identifier(*(folded(part or "") for part in match.groups())))
        at = match.end()
    return tuple(found)


def folded(part: str) -> str:
    """Returns a part of a name as in the catalog: without its quotes, or in lower case."""
    if part.startswith('"'):
        return part[1:-1].replace('""', '"')
    return re.sub(r"[A-Z]+", lambda match: match[0].lower(), part)  # PostgreSQL folds only ASCII letters
