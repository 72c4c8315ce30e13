"""Escapes invisible characters, characters that change the text direction, and terminal control sequences."""

from __future__ import annotations

import re

# Line feed and tab are harmless. The surrogates are bytes of a path that is not valid UTF-8.
_UNPRINTABLE = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
# The styles of sqlmigrate's own output hide nothing, even if a server's message contains them; neither does CRLF. The
# set of characters comes first, because re searches fast for one.
_PATTERN_EXCEPT_STYLES = re.compile(rf"{_UNPRINTABLE}(?<!\x1b(?=\[(?:0|1|2|31|32|33|36|90)m))(?<!\r(?=\n))")

# Characters with a meaning in Markdown or HTML; an underscore has one only at the start or the end of a word.
_SPECIAL = re.compile(r"[\\`*\[\]<>#|~&@:!$]|\b_|_\b")


def visible(text: str) -> str:
    """Returns the text with escapes, so that a reader sees exactly what will run."""
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_UNPRINTABLE, lambda match: _escape(match[0]), text)


def in_line(text: str) -> str:
    """Returns the text with escapes, also for line feeds, on a single line."""
    return visible(text).replace("\n", "\\n")


def printable(text: str) -> str:
    """Returns the text with escapes for a terminal; keeps the styles of sqlmigrate's output."""
    return _PATTERN_EXCEPT_STYLES.sub(lambda match: _escape(match[0]), text)


def code(text: str) -> str:
    """Returns any text as code; a code span in backticks cannot contain a pipe or a backtick in a table."""
    return f"<code>{escaped(text)}</code>"


def escaped(text: str) -> str:
    """Returns the text without any meaning in Markdown; `@name` in it notifies nobody."""
    escaped = _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", in_line(text))
    return escaped.replace("&#64;", "&#64;<!-- -->")


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}"
