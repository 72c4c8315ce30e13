"""What a statement means for the segments of its script, by its words. Pure."""

from __future__ import annotations

import re
from enum import Enum
from itertools import islice, pairwise

from sqlmigrate.sql.scanner import tokens


class Sort(Enum):
    """What a statement means for the segments of its script."""

    ORDINARY = "ordinary"
    ALONE = "alone"
    BEGIN = "begin"
    COMMIT = "commit"
    SESSION = "session"
    PATIENT = "patient"
    REFUSED = "refused"


_TWO_PHASE = "two-phase transactions can't be recorded together with their work"
REFUSED = {
    "rollback": ("ROLLBACK takes back what the script did", "leave it out; a failing script is rolled back whole"),
    "prepare": (_TWO_PHASE, "use BEGIN and COMMIT"),
    "chain": ("COMMIT AND CHAIN leaves a transaction open", "write COMMIT and BEGIN"),
    "discard": ("DISCARD ALL would drop the migration lock", "use RESET ALL, DISCARD TEMP or DEALLOCATE ALL"),
    "read only": ("a read-only transaction can't record that it ran", "leave READ ONLY out"),
}
# Most statements are told by their first word to be ordinary, and looked at no further.
_INTERESTING = re.compile(
    r"(?:abort|alter|begin|commit|create|discard|drop|end|prepare|reindex|reset|rollback|select|set|start|vacuum)\b",
    re.IGNORECASE,
)


def sort_of(statement: str) -> tuple[Sort, str]:
    """What a statement means for its script's segments; with REFUSED comes the key of the reason."""
    if not _INTERESTING.match(statement):
        return Sort.ORDINARY, ""
    # What an ALTER does may stand at its end; all others say it with their first words.
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
    """Whether PostgreSQL refuses the statement inside a transaction; the server has the last word (SQLSTATE 25001)."""
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
