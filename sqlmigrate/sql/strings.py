"""Follows the settings that decide how a script is read: standard_conforming_strings and client_encoding. Pure."""

from __future__ import annotations

import re

from sqlmigrate.sql.psql import is_utf8

_SETTING = "standard_conforming_strings"
_RELEVANT = re.compile(
    r"(?:abort|begin|call|commit|do|end|reset|rollback|select|set|start|table|values|with)\b", re.IGNORECASE
)
# SET in a script or in the text of a DO block, and set_config() with literals.
_SET = re.compile(
    rf"\b(?:set|(reset))\s+(?:session\s+|(local)\s+)?\"?{_SETTING}\"?(?:\s*(?:=|\bto\b)\s*[eE]?'*(\w+))?", re.IGNORECASE
)
_SET_CONFIG = re.compile(
    rf"\bset_config\s*\(\s*[eE]?'+{_SETTING}'+\s*,\s*(?:[eE]?'+(\w*)'+)?(?:\s*(?:::\w+\s*)?,\s*'?(\w+))?", re.IGNORECASE
)
_COMMENT = re.compile(r"--[^\n\r]*|/\*.*?\*/", re.DOTALL)
_OFF = ("off", "false", "no", "0", "of", "f", "fa", "fal", "fals", "n")
_TRUE = ("true", "t", "on", "yes", "1")


class Strings:
    """Whether a backslash escapes in an ordinary string, statement after statement: standard_conforming_strings is off.

    `uncertain` is true after a statement that sets it to a value that only the server can compute.
    """

    def __init__(self, escapes: bool) -> None:  # noqa: FBT001  # the value of a setting
        self._start = self._session = escapes
        self._local: bool | None = None
        self._in_block = False
        self.uncertain = False

    @property
    def escapes(self) -> bool:
        """Whether a backslash escapes."""
        return self._session if self._local is None else self._local

    def observe(self, escapes: bool) -> None:  # noqa: FBT001  # the value of a setting
        """Takes the value that the server has reported."""
        self._session, self._local = escapes, None

    def run(self, statement: str) -> None:
        """Takes the effect of a statement into account."""
        word = _RELEVANT.match(statement)
        if word is None:
            return
        match word[0].lower():
            case "begin" | "start":
                self._in_block = True
            case "commit" | "end" | "rollback" | "abort":
                if " to " not in f" {' '.join(statement.lower().split())} ":
                    self._in_block, self._local = False, None
            case "reset" if re.match(r"reset\s+all\b", _COMMENT.sub(" ", statement), re.IGNORECASE):
                self._assign(self._start)
            case _ if _SETTING in statement.lower():
                self._set(_COMMENT.sub(" ", statement))

    def _set(self, statement: str) -> None:
        for match in _SET.finditer(statement):
            reset, local, value = match.groups()
            is_default = reset or (value or "default").lower() == "default"
            self._assign(self._start if is_default else value.lower() in _OFF, local=bool(local))
        for match in _SET_CONFIG.finditer(statement):
            value, local = match.groups()
            self.uncertain = self.uncertain or value is None
            self._assign((value or "").lower() in _OFF, local=(local or "").lower() in _TRUE)

    def _assign(self, escapes: bool, *, local: bool = False) -> None:  # noqa: FBT001  # the value of a setting
        """SET LOCAL outside a transaction block has no effect, as in psql: its transaction is over."""
        if not local:
            self._session, self._local = escapes, None
        elif self._in_block:
            self._local = escapes


_NAMES = re.compile(r"\bset\s+(?:session\s+|local\s+)?names\b(?:\s*[eE]?'*\"?([\w-]+))?", re.IGNORECASE)
_CLIENT_ENCODING = re.compile(
    r"(?:\bset\s+(?:session\s+|local\s+)?\"?client_encoding\"?\s*(?:=|\bto\b)|set_config\s*\(\s*[eE]?'+client_encoding'+\s*,)"
    r"\s*(?:[eE]?'*\"?([\w-]+))?",
    re.IGNORECASE,
)
_ENCODING_SETTERS = re.compile(r"(?:call|do|select|set|values|with)\b", re.IGNORECASE)


def sets_other_encoding(statement: str, server_encoding: str) -> bool:
    """Whether a statement sets client_encoding to an encoding other than UTF-8, in which the file is sent.

    With SQL_ASCII the server converts nothing, which is right if the database is UTF-8.
    """
    if not _ENCODING_SETTERS.match(statement):
        return False
    text = _COMMENT.sub(" ", statement)
    matches = [*_CLIENT_ENCODING.finditer(text), *_NAMES.finditer(text)]
    return any(not _keeps_utf8(match[1], server_encoding) for match in matches)


def _keeps_utf8(encoding: str | None, server_encoding: str) -> bool:
    if encoding is None or encoding.lower() == "default":
        return True
    converts_nothing = encoding.lower() == "sql_ascii" and server_encoding in ("UTF8", "SQL_ASCII")
    return converts_nothing or is_utf8(encoding)
