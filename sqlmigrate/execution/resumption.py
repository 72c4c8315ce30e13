"""The session of a script that an earlier run did in part: what a rerun restores, and what it cannot restore."""

from __future__ import annotations

import json
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.files import source
from sqlmigrate.model import Location, Problem, ProblemLevel
from sqlmigrate.sql.scanner import statements
from sqlmigrate.sql.segments import is_unfinished
from sqlmigrate.sql.session_objects import SessionObject, first_call, first_use, sequence_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlmigrate.files.source import OpenedScript
    from sqlmigrate.model import Step
    from sqlmigrate.sql.item import Item
    from sqlmigrate.sql.psql import ClientState

_STRINGS = "standard_conforming_strings"
_CREATE_AGAIN = "create it again after the statements that are done, or rewrite the statements that use it"


class _SessionState(NamedTuple):
    """The state of a session between two segments, as `server.session` reads it."""

    settings: Mapping[str, str]
    start: Mapping[str, str] | None
    objects: tuple[SessionObject, ...]


def settings_of(step: Step) -> Mapping[str, str]:
    """Returns the settings that the committed part of a script left in its session, with its user and role."""
    state = _recorded(step)
    return state.settings if state is not None else {}


def settings_in(recorded: str) -> Mapping[str, str]:
    """Returns the settings in a recorded state of the session, with its user and role."""
    return _state(recorded).settings


def start_of(step: Step) -> Mapping[str, str] | None:
    """Returns the settings with which the session of the committed part started; None if they are not recorded."""
    state = _recorded(step)
    return state.start if state is not None else None


def client_of(step: Step, client: ClientState) -> ClientState:
    """Returns the state in which the session of the committed part started; `client` is that of this session."""
    state = _recorded(step)
    if state is None or state.start is None or _STRINGS in state.settings:
        return client
    return client._replace(escapes=state.start.get(_STRINGS) == "off")


def problems(step: Step, opened: OpenedScript) -> Iterator[Problem]:
    """Yields what prevents the rest of a script from running in another session than its committed part."""
    state = _recorded(step)
    if state is None and opened.script.hides_session:
        yield Problem(
            "session-unknown",
            f"{step.migration.id} may need settings that its committed part made in a block or a query",
            Location(step.path),
            "if it does, repeat them after the statements that are done",
            ProblemLevel.WARNING,
        )
    objects = dict.fromkeys(state.objects if state is not None else opened.script.objects)
    if state is not None:
        yield from _hidden_uses(step, opened, state.objects)
    uses = [(first_use(lost.name, _texts(opened)), lost) for lost in objects]
    for index, lost in (*uses, *filter(None, [sequence_value(_texts(opened))])):
        if index is not None:
            message = f"the {lost} ended with the session of the committed part of {step.migration.id}"
            yield Problem("session-lost", message, _place(step, opened, index), _CREATE_AGAIN)


def _hidden_uses(step: Step, opened: OpenedScript, objects: Iterable[SessionObject]) -> Iterator[Problem]:
    """Yields a warning for each lost object that a function, which the rest of the script calls, may use."""
    for lost in objects:
        index = first_call(lost.name, _texts(opened))
        if index is not None and first_use(lost.name, _texts(opened)) is None:
            message = f"{step.migration.id} may call a function that uses the {lost}, which ended with its session"
            yield Problem("session-lost", message, _place(step, opened, index), _CREATE_AGAIN, ProblemLevel.WARNING)


def _place(step: Step, opened: OpenedScript, index: int) -> Location:
    item = next(islice(_items(opened), index, None))
    return source.with_line_text(Location(step.path, item.line, item.column))


def lost_later(recorded: str, opened: OpenedScript, segment: int) -> Iterator[SessionObject]:
    """Yields the objects in a recorded state of the session that the script may use from a segment on.

    Only the server knows what a called function, or EXECUTE in a block, has created.
    """
    for item in _state(recorded).objects:
        used = first_use(item.name, _texts(opened, segment))
        if used is not None or first_call(item.name, _texts(opened, segment)) is not None:
            yield item


def _texts(opened: OpenedScript, segment: int = 0) -> Iterator[str]:
    return (item.text for item in _items(opened, segment))


def _items(opened: OpenedScript, segment: int = 0) -> Iterator[Item]:
    """Yields the statements that are not done; the file is read again, so that memory stays small."""
    for piece in chain.from_iterable(segment.pieces for segment in opened.script.segments[segment:]):
        yield from statements(opened.source.text(piece), piece.line, piece.column, escapes=piece.escapes)


def _recorded(step: Step) -> _SessionState | None:
    if step.row is None or not step.row.session or not is_unfinished(step):
        return None
    return _state(step.row.session)


def _state(recorded: str) -> _SessionState:
    state = json.loads(recorded)
    users = {"session_authorization": state["session_authorization"], "role": state["role"]}
    objects = tuple(SessionObject(*names) for names in state["objects"] or ())
    start = (state["start"] or {}) if "start" in state else None
    return _SessionState({**(state["settings"] or {}), **users}, start, objects)
