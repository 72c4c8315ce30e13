"""Replaces characters that the encoding of a database lacks. Pure."""

from __future__ import annotations

import re


def storable(text: str, encoding: str) -> str:
    """Returns a text with an escape sequence for each character that the encoding lacks.

    Args:
        text: A description, a name or a message; it is not SQL.
        encoding: PostgreSQL's name of the encoding; SQL_ASCII stores any bytes.
    """
    if encoding in ("UTF8", "SQL_ASCII"):
        return text
    codec = re.sub("^WIN", "cp", re.sub("^KOI8", "koi8_", encoding))
    try:
        return text.encode(codec, "backslashreplace").decode(codec)
    except LookupError:
        return text
