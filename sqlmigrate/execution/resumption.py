"""The session of a script that an earlier run did in part: what a rerun restores, and what it cannot restore."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.files import source
from sqlmigrate.model import Location, Problem, ProblemLevel
from sqlmigrate.sql.scanner import statements
from sqlmigrate.sql.segments import is_unfinished
from sqlmigrate.sql.session_objects import SessionObject, first_use, sequence_value, session_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlmigrate.files.source import OpenedScript
    from sqlmigrate.model import Step
    from sqlmigrate.sql.item import Item
    from sqlmigrate.sql.segments import Segment

_CREATE_AGAIN = "create it again behind the statements that are done, or rewrite the statements that use it"


class _SessionState(NamedTuple):
    """The state of a session between two segments, as `server.session` reads it."""

    settings: Mapping[str, str]
    objects: tuple[SessionObject, ...]


def settings_of(step: Step) -> Mapping[str, str]:
    """Returns the settings that the committed part of a script left in its session, with its user and role."""
    state = _recorded(step)
    return state.settings if state is not None else {}


def lost_after_interruption(opened: OpenedScript) -> list[SessionObject]:
    """Returns the objects that a segment creates and a later segment uses: they end with the session."""
    segments = [[item.text for item in _items(opened.source, segment)] for segment in opened.script.segments]
    values = (sequence_value(texts) for texts in segments[1:])
    return [
        *dict.fromkeys(value for _, value in filter(None, values)),
        *(
            created
            for index, texts in enumerate(segments[:-1])
            for text in texts
            for created in session_objects(text)
            if first_use(created.name, [later for texts in segments[index + 1 :] for later in texts]) is not None
        ),
    ]


def problems(step: Step, opened: OpenedScript) -> Iterator[Problem]:
    """Yields what prevents the rest of a script from running in another session than its committed part."""
    state = _recorded(step)
    if state is None and opened.script.hides_session:
        yield Problem(
            "session-unknown",
            f"{step.migration.id} may need settings that its committed part made in a block or a query",
            Location(step.path),
            "if it does, repeat them behind the statements that are done",
            ProblemLevel.WARNING,
        )
    rest = [item for segment in opened.script.segments for item in _items(opened.source, segment)]
    texts = [item.text for item in rest]
    objects = dict.fromkeys(state.objects if state is not None else opened.script.objects)
    uses = [(first_use(lost.name, texts), lost) for lost in objects]
    for index, lost in (*uses, *filter(None, [sequence_value(texts)])):
        if index is not None:
            message = f"the {lost} ended with the session of the committed part of {step.migration.id}"
            location = source.with_line_text(Location(step.path, rest[index].line, rest[index].column))
            yield Problem("session-lost", message, location, _CREATE_AGAIN)


def _items(opened: source.Source, segment: Segment) -> Iterator[Item]:
    for piece in segment.pieces:
        yield from statements(opened.text(piece), piece.line, piece.column, escapes=piece.escapes)


def _recorded(step: Step) -> _SessionState | None:
    if step.row is None or not step.row.session or not is_unfinished(step):
        return None
    state = json.loads(step.row.session)
    users = {"session_authorization": state["session_authorization"], "role": state["role"]}
    objects = tuple(SessionObject(*names) for names in state["objects"] or ())
    return _SessionState({**(state["settings"] or {}), **users}, objects)
