"""The states of the migrations and the log as an HTML page; the template is `timeline.html.j2`."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from math import log1p
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.model import State
from sqlmigrate.render import html
from sqlmigrate.render.phrases import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlmigrate.history.log import LogEntry
    from sqlmigrate.model import MigrationStatus

_GOOD, _BAD, _BACK, _PLAIN = "good", "bad", "back", "plain-state"
_TONES = {
    State.APPLIED: _GOOD,
    State.PENDING: _PLAIN,
    State.RUNNING: _PLAIN,
    State.SUPERSEDED: _PLAIN,
    State.FAILED: _BAD,
    State.PARTIAL: _BAD,
    State.CHANGED: _BACK,
    State.MISSING: _BACK,
    State.OUT_OF_ORDER: _BACK,
}
# The worst last: it is the colour of a run and of a column.
_SEVERITY = (_PLAIN, _GOOD, _BACK, _BAD)
_DONE = {"apply": "applied", "rollback": "rolled back", "hook": "hook run", "approve": "plan approved"}
_COLUMNS = 240  # of the strip above the timeline
_LONGEST_MS = 3_600_000  # the full length of a bar


class Place(NamedTuple):
    """The database that a page is about, and when the page was written."""

    server: str
    database: str
    table: str
    written: datetime


class _TimelineRow(NamedTuple):
    entry: LogEntry
    what: str
    tone: str
    length: float


class _TimelineRun(NamedTuple):
    ended_at: datetime
    what: str
    who: str
    duration_ms: int
    tone: str
    rows: list[_TimelineRow]


class _StripColumn(NamedTuple):
    x: int
    height: float
    tone: str
    label: str


class _Strip(NamedTuple):
    width: int
    columns: list[_StripColumn]
    first: datetime
    last: datetime


def status(statuses: Sequence[MigrationStatus], entries: Sequence[LogEntry], place: Place) -> str:
    """Returns the page of `status`: the migrations with their states, and the timeline."""
    counts = Counter(status.state for status in statuses)
    sentence = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
    return _page("Status", sentence or "no migrations", statuses, entries, place)


def history(entries: Sequence[LogEntry], place: Place) -> str:
    """Returns the page of `history`: the timeline."""
    counts = Counter(_what(entry) for entry in entries)
    sentence = ", ".join([count(entries, "log row"), *(f"{number} {what}" for what, number in counts.most_common())])
    return _page("History", sentence, None, entries, place)


def _page(
    kind: str,
    sentence: str,
    statuses: Sequence[MigrationStatus] | None,
    entries: Sequence[LogEntry],
    place: Place,
) -> str:
    return html.page(
        "timeline.html.j2",
        ["review.css", "timeline.css"],
        kind=kind,
        sentence=sentence,
        statuses=statuses,
        tones=_TONES,
        runs=_runs(entries),
        strip=_strip(entries),
        **place._asdict(),
    )


def _runs(entries: Sequence[LogEntry]) -> list[_TimelineRun]:
    """Returns the runs, the newest first; the entries of a run are in their order."""
    groups = [list(group) for _, group in groupby(entries, lambda entry: (entry.run_id, entry.action == "approve"))]
    return [_run(group) for group in reversed(groups)]


def _run(entries: Sequence[LogEntry]) -> _TimelineRun:
    last = entries[-1]
    counts = Counter(_what(entry) for entry in entries)
    what = ", ".join(f"{number} {what}" if number > 1 else what for what, number in counts.items())
    who = f"{last.db_user} ({last.os_user}@{last.host})"
    rows = [_TimelineRow(entry, _what(entry), _tone(entry), _length(entry.duration_ms)) for entry in entries]
    return _TimelineRun(
        last.logged_at, what, who, sum(entry.duration_ms for entry in entries), _worst(row.tone for row in rows), rows
    )


def _what(entry: LogEntry) -> str:
    if entry.outcome == "success":
        return _DONE.get(entry.action, entry.action)
    return "rollback failed" if entry.action == "rollback" else "failed"


def _tone(entry: LogEntry) -> str:
    if entry.outcome != "success":
        return _BAD
    return {"apply": _GOOD, "baseline": _GOOD, "rollback": _BACK}.get(entry.action, _PLAIN)


def _worst(tones: Iterable[str]) -> str:
    return max(tones, key=_SEVERITY.index)


def _length(duration_ms: int) -> float:
    """Returns the length of a bar in per cent, on a logarithmic scale."""
    return round(100 * min(log1p(duration_ms) / log1p(_LONGEST_MS), 1), 1)


def _strip(entries: Sequence[LogEntry]) -> _Strip | None:
    """Returns the entries over time, in columns of equal duration."""
    times = [entry.logged_at for entry in entries]
    first, last = min(times, default=None), max(times, default=None)
    if first is None or last is None or first == last:
        return None
    columns: dict[int, list[LogEntry]] = {}
    for entry in entries:
        columns.setdefault(int((_COLUMNS - 1) * ((entry.logged_at - first) / (last - first))), []).append(entry)
    tallest = max(map(len, columns.values()))
    return _Strip(_COLUMNS, [_column(x, column, tallest) for x, column in sorted(columns.items())], first, last)


def _column(x: int, entries: Sequence[LogEntry], tallest: int) -> _StripColumn:
    height = round(6 + 34 * log1p(len(entries)) / log1p(tallest), 1)
    label = f"{entries[0].logged_at:%Y-%m-%d %H:%M}: {count(entries, 'log row')}"
    return _StripColumn(x, height, _worst(map(_tone, entries)), label)
