"""Recognizes the files of other migration tools, which contain the way there and the way back. Pure."""

from __future__ import annotations

import re

from sqlmigrate.model import Problem
from sqlmigrate.sql.item import Item, Kind
from sqlmigrate.sql.place import locate

# The comment that starts the part of a file that its tool runs for a rollback.
_WAY_BACK = {
    "goose": r"--[ \t]*\+goose[ \t]+down\b",
    "dbmate": r"--[ \t]*migrate:down\b",
    "sql-migrate": r"--[ \t]*\+migrate[ \t]+down\b",
    "micrate": r"--[ \t]*\+micrate[ \t]+down\b",
    "rambler": r"--[ \t]*rambler[ \t]+down\b",
    "tern": r"----[ \t]*create above[ \t]*/[ \t]*drop below[ \t]*----",
    "node-pg-migrate": r"--[ \t]*down[ \t]+migration\b",
    "MyBatis Migrations": r"--[ \t]*//[ \t]*@UNDO\b",
    "Play": r"--[ \t]*(?:---[ \t]*)?!Downs\b",
    "shmig": r"--[ \t]*=+[ \t]*DOWN[ \t]*=+",
}
_TOOLS = list(_WAY_BACK)
_MARKER = re.compile("|".join(rf"^[ \t]*({pattern})" for pattern in _WAY_BACK.values()), re.MULTILINE | re.IGNORECASE)
_QUOTED = re.compile(r"\$(\w*)\$.*?\$\1\$|'[^']*'|\"[^\"]*\"|/\*.*?\*/", re.DOTALL)


def way_back(path: str, item: Item) -> Problem | None:
    """Returns the problem with a comment of an item that starts the rollback part of another tool's file."""
    if item.kind not in (Kind.SPACE, Kind.STATEMENT) or not _MARKER.search(item.source):
        return None
    # White space has no quotes, but it may have a marker in a comment that starts before it.
    text = _QUOTED.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), item.source)
    match = _MARKER.search(text) if item.text.strip() else None
    if match is None or match.lastindex is None:
        return None
    tool = _TOOLS[match.lastindex - 1]
    place = locate(path, item.source, match.start(match.lastindex), item.line, item.column)
    message = f"this line starts the rollback part of a file for {tool}; sqlmigrate would run both parts"
    return Problem("other-tool", message, place, "move the lines below it to a .down.sql file, and remove this line")
