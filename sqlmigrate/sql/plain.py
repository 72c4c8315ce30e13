"""Recognizes statements that cannot change their session. Pure.

They run no code of users, unless an event trigger does. A statement with an unusual spelling is not recognized, which
only costs time.
"""

from __future__ import annotations

import re

_PART = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})?"
_TYPE = (
    r"(?:big|small)?(?:int|serial)|int[248]|integer|bool(?:ean)?|real|float[48]?|double\s+precision|numeric|decimal|text"
    r"|varchar|char|uuid|jsonb?|bytea|inet|date|interval|time(?:stamp)?(?:tz|\s+with(?:out)?\s+time\s+zone)?"
)
_OBJECT = (
    r"table|index|view|materialized\s+view|sequence|type|domain|function|procedure|aggregate|trigger|policy|rule"
    r"|schema"
)
# CREATE TABLE stores its expressions; CREATE TABLE AS and the bounds of PARTITION OF evaluate theirs, and have no "("
# after the name, or an AS. An index build restores the settings after the functions that it calls, and cannot change
# the role or create temporary tables. ADD COLUMN with a default, a check or a domain evaluates it for each row; a comma
# in ALTER TABLE may add such an action.
_PLAIN = re.compile(
    rf"""(?:
      comment\s+on\b
    | create\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?{_NAME}\s*\(
    | create\s+(?:unique\s+)?index\b(?!\s+concurrently\b)
    | create\s+(?:or\s+replace\s+)?(?:view|function|procedure|trigger)\b
    | create\s+(?:sequence|policy|rule|domain)\b
    | create\s+type\s+{_NAME}\s+as\s+(?:enum\s*)?\(
    | create\s+schema\s+(?:if\s+not\s+exists\s+)?{_PART}\s*;?\s*$
    | alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?{_NAME}\s+(?:
        rename\b | set\s+schema\b | owner\s+to\s+{_PART}\s*;?\s*$ | set\s*\([^()]*\)\s*;?\s*$
        | (?:enable|disable|force|no\s+force)\b[^,]*$
        | drop\s+(?:column|constraint)\s+(?:if\s+exists\s+)?{_PART}(?:\s+(?:cascade|restrict))?\s*;?\s*$
        | add\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?{_PART}\s+(?:{_TYPE})
          (?:\s*\([\d\s,]*\))?(?:\s*\[\s*\])?(?:\s+not)?(?:\s+null)?\s*;?\s*$
      )
    | alter\s+type\s+{_NAME}\s+(?:add\s+value|rename)\b
    | alter\s+(?:sequence|index)\b
    | drop\s+(?:{_OBJECT})\b(?!\s+concurrently\b)
    | (?:grant|revoke)\b
    )""",
    re.VERBOSE,
)
# In a CREATE TABLE, AS stands before IDENTITY or the expression of a generated column.
_QUERY = re.compile(r"\bas\b(?!\s+identity\b)(?!\s*\(\s*(?!(?:select|with|values|table)\b)[\w\"])")
_TABLE = re.compile(r"create\s+(?:unlogged\s+)?table\b")
_DROP = re.compile(r"drop\b|alter\s+table\b.*\sdrop\s+(?:column|constraint)\s", re.DOTALL)


def is_plain(statement: str) -> bool:
    """Whether a statement cannot change a setting or the role, or leave an object in the session."""
    text = statement.lower()  # re takes twice as long to ignore the case
    if "pg_temp" in text or not _PLAIN.match(text):
        return False
    return not (_TABLE.match(text) and _QUERY.search(text))


def is_plain_drop(statement: str) -> bool:
    """Whether a plain statement drops an object or a part of a table: its time does not depend on the rows."""
    return _DROP.match(statement.lower()) is not None and is_plain(statement)
