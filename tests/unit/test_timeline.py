"""The pages of `status --html` and `history --html`, as text."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from sqlmigrate.history.log import LogEntry
from sqlmigrate.model import State
from sqlmigrate.planning.planner import statuses
from sqlmigrate.render import timeline
from sqlmigrate.render.timeline import Place
from tests.unit.samples import WHEN, failed, migration, partial, row

ATTACK = "</style></title></svg><script>alert(1)</script>\"'\x1b[2J\u202e"
PLACE = Place("db:5432", "shop", "public.migrations", WHEN)
ENTRY = LogEntry(WHEN, "apply", "v1.0.0-001", "step", "success", 20, "", "dba", "ilja", "laptop", "r1", "same")


def entry(minute: int, **changes: Any) -> LogEntry:
    return ENTRY._replace(logged_at=WHEN + timedelta(minutes=minute), **changes)


def runs(page: str) -> list[str]:
    """The text of each run, in the order of the page."""
    articles = re.findall(r"<article.*?</article>", page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", article).split()) for article in articles]


def test_the_entries_of_a_run_stand_together_and_the_newest_run_is_first() -> None:
    entries = [
        entry(0), entry(1, version="v1.0.0-002", duration_ms=1500),
        entry(9, run_id="r2", action="rollback", version="v1.0.0-002"),
        entry(10, run_id="r3", outcome="failure", error_msg="division by zero\nsecond line", version="v1.0.0-003"),
    ]  # fmt: skip
    newest, back, oldest = runs(timeline.history(entries, PLACE))
    assert newest.startswith("2026-01-02 03:14:05 UTC failed dba (ilja@laptop), 20 ms")
    assert "division by zero second line" in newest
    assert "rolled back dba (ilja@laptop)" in back
    assert "2 applied dba (ilja@laptop), 1.5 s" in oldest
    assert oldest.index("v1.0.0-001") < oldest.index("v1.0.0-002")


def test_the_colour_shows_how_a_run_ended() -> None:
    entries = [
        entry(0), entry(1, run_id="r2", action="rollback"), entry(2, run_id="r3", outcome="failure"),
        entry(3, run_id="r4"), entry(4, run_id="r4", outcome="failure"), entry(5, run_id="r5", action="approve"),
    ]  # fmt: skip
    tones = re.findall(r'<article class="run ([\w-]+)">', timeline.history(entries, PLACE))
    assert tones == ["plain-state", "bad", "bad", "back", "good"]


def test_an_approval_shows_the_digest_of_its_plan() -> None:
    (shown,) = runs(
        timeline.history([entry(0, action="approve", version="", name="apply v1", checksum="ab" * 32)], PLACE)
    )
    assert "plan approved" in shown
    assert f"plan {'ab' * 32}" in shown


def test_status_shows_each_state_with_who_and_when_and_the_error() -> None:
    standing = statuses(
        [migration(1), migration(2), migration(3), migration(4)],
        [row(1), failed(2, error_msg="division by zero"), partial(3)],
    )
    page = timeline.status([*standing, standing[3]._replace(state=State.RUNNING)], [], PLACE)
    table = " ".join(re.sub(r"<[^>]+>", " ", page[page.index("<tbody>") : page.index("</tbody>")]).split())
    assert table == (
        "v1.0.0-001 step applied 2026-01-02 03:04:05 UTC 1.2 s dba"
        " v1.0.0-002 step division by zero failed 2026-01-02 03:04:05 UTC 1.2 s dba"
        " v1.0.0-003 step partial 2026-01-02 03:04:05 UTC 1.2 s dba v1.0.0-004 step pending v1.0.0-004 step running"
    )
    assert "1 applied, 1 pending, 1 failed, 1 partial, 1 running." in page


def test_every_state_has_a_colour() -> None:
    standing = statuses([migration(1)], [])
    page = timeline.status([standing[0]._replace(state=state) for state in State], [], PLACE)
    assert all(f">{state.value}</b>" in page for state in State)


@pytest.mark.parametrize("field", ["version", "name", "error_msg", "db_user", "os_user", "host", "checksum", "action"])
def test_every_field_of_the_log_is_escaped(field: str) -> None:
    values: dict[str, Any] = {"action": "approve", field: ATTACK}
    hostile = entry(0, **values)
    page = timeline.history([hostile, entry(1, run_id="r2")], PLACE)
    assert "<script>" not in page
    assert page.count("</style>") == page.count("</title>") - page.count("</title></rect>") == 1
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "alert(1)" in page


def test_the_names_of_migrations_and_of_the_database_are_escaped() -> None:
    standing = statuses([migration(1)._replace(name=ATTACK)], [failed(1, error_msg=ATTACK, executed_by=ATTACK)])
    page = timeline.status(standing, [], Place(ATTACK, ATTACK, ATTACK, WHEN))
    assert "<script>" not in page
    assert "\x1b" not in page
    assert page.count("alert(1)") >= 6


def test_the_page_loads_nothing_and_allows_only_its_own_style() -> None:
    page = timeline.history([entry(0), entry(1)], PLACE)
    assert re.search(r"default-src 'none'; style-src 'sha256-[\w+/=]+'", page)
    assert not re.search(r"<(script|link|img|iframe)|style=|https?://", page)


def test_an_empty_history_has_a_page() -> None:
    assert "No entries." in timeline.history([], PLACE)
    assert "No migrations." in timeline.status([], [], PLACE)


def test_ten_thousand_entries_have_one_row_each_and_a_short_strip() -> None:
    entries = [entry(number, version=f"v1.0.0-{number}", run_id=f"r{number // 7}") for number in range(10_000)]
    page = timeline.history(entries, PLACE)
    assert page.count('<td class="took">') == 10_000
    assert page.count("<article") == 1429
    assert page.count("<title>") <= 241
    assert len(page) < 12_000_000
