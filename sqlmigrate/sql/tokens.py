"""The tokens of one statement. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# The server treats every character from U+0080 on as a letter, including no-break spaces. These classes exclude the
# other ASCII characters, because re takes 5 ms to compile a class with a range up to U+10FFFF.
LETTER = r"[^\x00-@\[-^`{-\x7f]"
LETTER_OR_DIGIT = r"[^\x00-/:-@\[-^`{-\x7f]"
WORD = rf"{LETTER}[^\x00-#%-/:-@\[-^`{{-\x7f]*"
WHITE = r"[ \t\n\r\f\v]"
# It matches in one way only, so an unterminated string never matches as a string and following text.
_ESCAPED_REST = r"(?:[^'\\]++|\\.|'')*'(?!')"
# A string continues after white space that contains a newline, with the same escape rules.
_GOES_ON = rf"(?:[ \t\f\v]|--[^\n\r]*(?=[\n\r]))*[\n\r](?:{WHITE}|--[^\n\r]*[\n\r])*'"
ESCAPED = rf"'{_ESCAPED_REST}(?:{_GOES_ON}{_ESCAPED_REST})*(?!{_GOES_ON})"

_TOKEN = re.compile(
    rf"(?:{WHITE}|--[^\n\r]*|/\*.*?\*/)*"
    rf"([eE]{ESCAPED}|{WORD}|'[^']*'|\"(?:[^\"]|\"\")*\"|\$(?:{LETTER}{LETTER_OR_DIGIT}*)?\$|\d+|.|\Z)",
    re.DOTALL,
)


def tokens(statement: str) -> Iterator[str]:
    """Yields the tokens of a statement as written, without comments; only the tags of dollar quotes are tokens."""
    return (match[1] for match in _TOKEN.finditer(statement) if match[1])


def token_ends(statement: str) -> Iterator[tuple[str, int]]:
    """Yields the same tokens, each with the offset of its end."""
    return ((match[1], match.end()) for match in _TOKEN.finditer(statement) if match[1])


def copies_from_stdin(statement: str) -> bool:
    """Whether COPY data follows the statement in the script: `COPY … FROM stdin`."""
    if statement[:4].lower() != "copy":
        return False
    depth, previous = 0, ""
    for token in tokens(statement):
        word = token.lower()
        depth += (word == "(") - (word == ")")
        if depth == 0 and previous == "from":
            return word in ("stdin", "stdout")  # the grammar allows both in both directions
        previous = word if depth == 0 else ""
    return False
