"""Classifies statements by their keywords: which ones start, end or need a segment of their own. Pure."""

from __future__ import annotations

import re
from enum import Enum
from itertools import islice, pairwise

from sqlmigrate.sql.tokens import tokens


class Sort(Enum):
    """The effect of a statement on the segments of its script."""

    ORDINARY = "ordinary"
    ALONE = "alone"
    BEGIN = "begin"
    COMMIT = "commit"
    SESSION = "session"
    PATIENT = "patient"
    REFUSED = "refused"


_TWO_PHASE = "a two-phase transaction cannot be recorded in the same transaction"
REFUSED = {
    "rollback": ("ROLLBACK would roll back the script", "remove it; sqlmigrate rolls back a script that fails"),
    "prepare": (_TWO_PHASE, "use BEGIN and COMMIT"),
    "chain": ("COMMIT AND CHAIN leaves a transaction open", "write COMMIT and BEGIN"),
    "discard": ("DISCARD ALL would release the migration lock", "use RESET ALL, DISCARD TEMP or DEALLOCATE ALL"),
    "read only": ("a read-only transaction cannot write to the history table", "remove READ ONLY"),
}
# The first words show that most statements are ordinary; they are not examined further.
_INTERESTING = re.compile(
    r"(?:abort|begin|commit|discard|drop|end|prepare|reindex|reset|rollback|select|set|start|vacuum)\b"
    r"|create\b(?!\s+(?:table|function|view|type|trigger|sequence|(?:unique\s+)?index(?!\s+(?:concurrently|--|/\*)))\s)"
    r"|alter\b(?=.*\b(?:validate|system|tablespace|concurrently)\b)",
    re.IGNORECASE | re.DOTALL,
)


def sort_of(statement: str) -> tuple[Sort, str]:
    """Returns the sort of a statement and, for REFUSED, the key of the reason in `REFUSED`."""
    if not _INTERESTING.match(statement):
        return Sort.ORDINARY, ""
    # The relevant words of an ALTER may be at its end, those of the other statements are at the start.
    wanted = None if statement[:5].lower() == "alter" else 16
    words = [token.lower() for token in islice(tokens(statement[:2000]), wanted)]
    match words[0]:
        case "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "prepare":
            return _sort_of_control(words)
        case "discard" if words[1:2] == ["all"]:
            return Sort.REFUSED, "discard"
        case "set" | "reset" | "select":
            return (Sort.SESSION if _sets_session(words) else Sort.ORDINARY), ""
        case "alter" if "validate" in words and "constraint" in words:
            return Sort.PATIENT, ""
    return (Sort.ALONE if _stands_alone(words) else Sort.ORDINARY), ""


def _sort_of_control(words: list[str]) -> tuple[Sort, str]:
    match words:
        case ["begin", *rest] | ["start", "transaction", *rest]:
            return (Sort.REFUSED, "read only") if _follow(rest, "read", "only") else (Sort.BEGIN, "")
        case ["commit" | "rollback", "prepared", *_] | ["prepare", "transaction", *_]:
            return Sort.REFUSED, "prepare"
        case ["commit" | "end", *rest]:
            chained = _follow(rest, "and", "chain")
            return (Sort.REFUSED, "chain") if chained else (Sort.COMMIT, "")
        case ["rollback" | "abort", *rest]:
            savepoint = "to" in rest
            return (Sort.ORDINARY, "") if savepoint else (Sort.REFUSED, "rollback")
    return Sort.ORDINARY, ""


def _follow(words: list[str], first: str, second: str) -> bool:
    return (first, second) in pairwise(words)


def _sets_session(words: list[str]) -> bool:
    match words:
        case ["set", "local" | "transaction" | "constraints", *_]:
            return False
        case ["select", "pg_catalog", ".", "set_config", *_] | ["select", "set_config", *_]:
            return True
    return words[0] in ("set", "reset")


def _stands_alone(words: list[str]) -> bool:
    """Whether the statement cannot run inside a transaction block; SQLSTATE 25001 of the server reveals other cases."""
    match words:
        case ["create", "unique", "index", "concurrently", *_]:
            return True
        case ["create" | "drop", "index", "concurrently", *_]:
            return True
        case ["reindex", *rest]:
            return "concurrently" in rest or bool({"database", "system", "schema"} & set(rest[:1]))
        case ["vacuum", *_] | ["alter", "system", *_]:
            return True
        case ["create" | "drop", "database" | "tablespace", *_]:
            return True
        case ["alter", "table", *rest]:
            return "detach" in rest and (rest[-1] == "concurrently" or rest[-2:] == ["concurrently", ";"])
        case ["alter", "database", _, "set", "tablespace", *_]:
            return True
    return False
