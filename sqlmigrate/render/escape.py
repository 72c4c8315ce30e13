"""Characters that show nothing, turn the text round or steer a terminal: written out."""

from __future__ import annotations

import re

# A line feed and a tab are what they seem. The surrogates are bytes of a path that are no UTF-8.
_UNSEEN = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
_ANY = re.compile(_UNSEEN)
# The styles that we use hide nothing, whoever else may use them.
_BUT_STYLES = re.compile(rf"(\x1b\[(?:0|1|2|31|32|33|36)m|\r\n)|{_UNSEEN}")


def visible(text: str) -> str:
    """The text with what is unseen in it written out, so that what is read is what is run."""
    return _ANY.sub(lambda found: _written(found[0]), text)


def in_line(text: str) -> str:
    """Returns the text on one line, with what is unseen in it written out."""
    return visible(text).replace("\n", "\\n")


def printable(text: str) -> str:
    """The same, for a terminal, of a text with colours of our own."""
    return _BUT_STYLES.sub(lambda found: found[1] or _written(found[0]), text)


def _written(character: str) -> str:
    return f"\\u{ord(character):04x}"
