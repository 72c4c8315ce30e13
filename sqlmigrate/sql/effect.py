"""Reads what a statement that cannot run inside a transaction block creates, drops, detaches or rebuilds. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlmigrate.sql.identifier import folded
from sqlmigrate.sql.tokens import token_ends

_PART = re.compile(r'"(?:[^"]|"")+"|[^\W\d][\w$]*')
_OFF = {"off", "false", "0"}


class CatalogEffect(NamedTuple):
    """The effect of a statement on the catalog.

    Names are tuples of their parts as in the catalog: the schema, if it is written, and the name. `name` is empty for
    an index without a name, and `table` is the table of an index or the parent of a partition. `conditional` is
    IF EXISTS or IF NOT EXISTS. `rest` is the text after the name of the table or of the object.
    """

    kind: str
    name: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    conditional: bool = False
    unique: bool = False
    rest: str = ""


def effect_of(statement: str) -> CatalogEffect | None:
    """Returns the effect of a statement; None if it can be repeated, or is not spelled as expected."""
    words = Words(statement.rstrip("; \t\r\n"))
    if words.take("create"):
        return _creation(words)
    if words.take("drop"):
        return _drop(words)
    if words.take("reindex"):
        return _reindex(words)
    return _detach(words) if words.take("alter", "table") else None


class Words:
    """The tokens of a text, read from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(token_ends(text))
        self._at = 0

    def take(self, *keywords: str) -> bool:
        """Whether the next tokens are these keywords; passes over them."""
        ahead = [token.lower() for token, _ in self._tokens[self._at : self._at + len(keywords)]]
        if ahead != list(keywords):
            return False
        self._at += len(keywords)
        return True

    def next(self) -> str:
        """Returns the next token; an empty text at the end."""
        self._at += 1
        return self._tokens[self._at - 1][0] if self._at <= len(self._tokens) else ""

    def name(self) -> tuple[str, ...]:
        """Returns the schema, if it is written, and the name; an empty tuple if no name follows."""
        parts = [self.next()]
        while self.take("."):
            parts.append(self.next())
        is_escaped = self.take("&")  # U&"…"
        is_name = not is_escaped and all(map(_PART.fullmatch, parts))
        return tuple(folded(part) for part in parts[-2:]) if is_name else ()

    @property
    def rest(self) -> str:
        """The text that follows."""
        return self._text[self._tokens[self._at - 1][1] :] if 0 < self._at <= len(self._tokens) else ""

    @property
    def ended(self) -> bool:
        """Whether no token follows."""
        return self._at >= len(self._tokens)


def _creation(words: Words) -> CatalogEffect | None:
    unique = words.take("unique")
    if words.take("index", "concurrently"):
        return _index(words, unique=unique)
    for kind in ("database", "tablespace"):
        if words.take(kind) and (name := words.name()):
            return CatalogEffect(f"create {kind}", name, rest=words.rest)
    return None


def _index(words: Words, *, unique: bool) -> CatalogEffect | None:
    conditional = words.take("if", "not", "exists")
    name: tuple[str, ...] = ()
    if not words.take("on") and not ((name := words.name()) and words.take("on")):
        return None
    words.take("only")
    table = words.name()
    words.take("*")
    return CatalogEffect("create index", name, table, conditional, unique, words.rest) if table else None


def _drop(words: Words) -> CatalogEffect | None:
    for kind, *more in (("index", "concurrently"), ("database",), ("tablespace",)):
        if words.take(kind, *more):
            conditional = words.take("if", "exists")
            name = words.name()
            return (
                CatalogEffect(f"drop {kind}", name, conditional=conditional) if name and not words.take(",") else None
            )
    return None


def _reindex(words: Words) -> CatalogEffect | None:
    concurrent = words.take("(") and _is_concurrent(words)
    kind = words.next().lower()
    concurrent = words.take("concurrently") or concurrent
    name = () if words.ended else words.name()
    known = kind == "database" or (kind in ("index", "table", "schema") and name)
    return CatalogEffect(f"reindex {kind}", name) if concurrent and known else None


def _is_concurrent(words: Words) -> bool:
    """Whether the options in parentheses contain CONCURRENTLY; passes over them."""
    options = [""]
    while (word := words.next().lower()) not in (")", ""):
        options[-1:] = [options[-1], ""] if word == "," else [f"{options[-1]} {word}".strip()]
    values = [
        option.removeprefix("concurrently").strip(" '") for option in options if option.startswith("concurrently")
    ]
    return bool(values) and values[-1] not in _OFF


def _detach(words: Words) -> CatalogEffect | None:
    words.take("if", "exists")
    words.take("only")
    table = words.name()
    words.take("*")
    if not words.take("detach", "partition"):
        return None
    name = words.name()
    return CatalogEffect("detach", name, table) if table and name and words.take("concurrently") else None
