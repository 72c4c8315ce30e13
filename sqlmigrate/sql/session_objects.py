"""What a statement leaves in its session, as far as its text shows it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.sql.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_TEMPORARY = re.compile(r"\b(?:temp|temporary|pg_temp)\b", re.IGNORECASE)
_CREATES = re.compile(r"(?:create|select|with)\b", re.IGNORECASE)
_NAMES = re.compile(r"(?:prepare|declare)\b", re.IGNORECASE)
_SEQUENCE_VALUE = re.compile(r"\b(lastval|currval)\s*\(", re.IGNORECASE)
_DRAWS_VALUE = re.compile(r"\bnextval\s*\(|\binsert\b", re.IGNORECASE)
_RUNS_CODE = re.compile(r"(?:do|call|select|with)\b", re.IGNORECASE)
_CHANGES_SESSION = re.compile(r"\b(?:set_config|set|temp|temporary|pg_temp)\b", re.IGNORECASE)
# A call of a function that is probably not one of PostgreSQL's own: its name follows CALL, SELECT or PERFORM.
_CALLING = ("call", "select", "perform")
_CALLS = re.compile(
    rf"\b(?:{'|'.join(_CALLING)})\s+(?:\*\s+from\s+)?"
    r"(?!(?:pg_catalog\.)?(?:set_config|setval|nextval|count|coalesce|pg_\w+)\b)[\w.\"]+\s*\("
)
# These statements leave nothing in the session, unless they create a temporary object.
_LEAVES_NOTHING = re.compile(
    r"(?:alter|analyze|cluster|comment|create|drop|grant|reindex|revoke|security|vacuum)\b", re.IGNORECASE
)

# ALTER DATABASE and ALTER ROLE change the settings of later sessions; the others may call functions.
_CHANGES_LATER = re.compile(
    r"alter\s+(?:database|role|user|system)\b.*\b(?:set|reset)\b"
    r"|alter\s+table\b.*\b(?:using|default)\b"
    r"|create\b[^(]*?\btable\b.*\bas\b",
    re.IGNORECASE | re.DOTALL,
)


class SessionObject(NamedTuple):
    """An object that ends with its session; `kind` is "temporary table", "prepared statement" and so on."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def session_objects(statement: str) -> Iterator[SessionObject]:
    """Yields the objects that a statement creates and that end with the session, not with the transaction."""
    # To look for a part of the pattern first takes a fraction of the time.
    is_temporary = "temp" in statement.lower() and _CREATES.match(statement) and _TEMPORARY.search(statement)
    if not is_temporary and not _NAMES.match(statement):
        return
    words = _words(statement)
    match words:
        case ["create", *rest]:
            yield from _created(rest)
        case ["prepare", name, *_] if name != "transaction":
            yield SessionObject("prepared statement", name)
        case ["declare", name, *rest] if "hold" in rest and "without" not in rest:
            yield SessionObject("cursor", name)
        case ["select" | "with", *_] if "into" in words:
            into = words.index("into") + 1
            if words[into : into + 1] in (["temp"], ["temporary"]):
                yield SessionObject("temporary table", words[into + 1 + (words[into + 1] == "table")])


class SessionNeeds:
    """Collects what a segment needs of the session of the segments before it: `carried`, in order."""

    def __init__(self) -> None:
        self.carried: dict[SessionObject, None] = {}
        self._created: dict[SessionObject, int] = {}
        self._drawn = 0

    def add(self, statement: str, objects: Collection[SessionObject], segment: int) -> None:
        """Adds the next statement, the objects that it creates, and the number of its segment."""
        for created, first in self._created.items():
            if first < segment and created not in objects and _mentions(created.name, statement):
                self.carried[created] = None
        self._created |= dict.fromkeys(objects, segment)
        if segment > self._drawn and (needed := sequence_value([statement])):
            self.carried[needed[1]] = None
        elif segment and _DRAWS_VALUE.search(statement):
            self._drawn = segment


def sequence_value(scripts: Iterable[str]) -> tuple[int, SessionObject] | None:
    """Returns the first statement that needs a value which a sequence gave earlier in the session, and that value.

    A statement before it that may draw a value makes it unnecessary.
    """
    for index, statement in enumerate(scripts):
        if match := _SEQUENCE_VALUE.search(statement):
            return index, SessionObject("value of", f"{match[1].lower()}()")
        if _DRAWS_VALUE.search(statement):
            return None
    return None


def hides_session_change(statement: str) -> bool:
    """Whether a block, a call or a query may change the session in a way that its text does not show fully."""
    return _RUNS_CODE.match(statement) is not None and _CHANGES_SESSION.search(statement) is not None


def may_change_session(statement: str, objects: Collection[SessionObject]) -> bool:
    """Whether a statement, which creates the objects, may change a setting or leave an object in the session.

    A setting of later sessions counts, since a rerun is one.
    """
    return bool(objects) or not _LEAVES_NOTHING.match(statement) or _CHANGES_LATER.match(statement) is not None


def calls_function(statement: str) -> bool:
    """Whether a statement may call a function that is not PostgreSQL's own."""
    text = statement.lower()  # and re takes twice as long to ignore the case
    return any(word in text for word in _CALLING) and _CALLS.search(text) is not None


def first_use(name: str, scripts: Iterable[str]) -> int | None:
    """Returns the index of the first statement that names an object which no statement before it creates again."""
    for index, statement in enumerate(scripts):
        if any(created.name == name for created in session_objects(statement)):
            return None
        if _mentions(name, statement):
            return index
    return None


def first_call(name: str, scripts: Iterable[str]) -> int | None:
    """Returns the index of the first statement that may call a function, unless one creates the object before it."""
    for index, statement in enumerate(scripts):
        if any(created.name == name for created in session_objects(statement)):
            return None
        if calls_function(statement):
            return index
    return None


def _mentions(name: str, statement: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", statement, re.IGNORECASE) is not None


def _words(statement: str) -> list[str]:
    """Returns the tokens of a statement; names as in the catalog, other words in lower case."""
    return [word[1:-1].replace('""', '"') if word.startswith('"') else word.lower() for word in tokens(statement)]


def _created(words: list[str]) -> Iterator[SessionObject]:
    kind = next((word for word in words[:6] if word in ("table", "view", "sequence")), "")
    if not kind or " on commit drop" in f" {' '.join(words)}":
        return
    start = words.index(kind)
    is_temporary, rest = not {"temp", "temporary"}.isdisjoint(words[:start]), words[start + 1 :]
    if rest[:3] == ["if", "not", "exists"]:
        rest = rest[3:]
    if rest[:2] == ["pg_temp", "."]:
        is_temporary, rest = True, rest[2:]
    if is_temporary and rest:
        yield SessionObject(f"temporary {kind}", rest[0])
