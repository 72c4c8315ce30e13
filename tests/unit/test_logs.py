from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sqlmigrate import events
from sqlmigrate.cli.logs import File, Log
from sqlmigrate.errors import ConfigurationError, MigrationFailed, PlanRefused, SqlMigrateError, StatementFailed
from sqlmigrate.model import Blocker, Holder, Location, Problem, ServerReport
from tests.unit.samples import step

BEGAN = events.Began("ab12", 123, (step(1), step(2)))
HOLDER = Holder(7, "dba", "sqlmigrate", "local", "active", datetime(2026, 1, 2, tzinfo=UTC), "select 'secret'")
BLOCKER = Blocker(8, "app", "web", "idle in transaction", 3, "select 1")


def lines_of(*happened: events.Event | SqlMigrateError, log_format: str = "text", level: str = "debug") -> list[str]:
    lines: list[str] = []
    log = Log(log_format, level, lines.append)
    for item in happened:
        if isinstance(item, SqlMigrateError):
            log.error(item)
        else:
            log.event(item)
    return lines


def object_of(item: events.Event | SqlMigrateError) -> dict[str, Any]:
    [line] = lines_of(item, log_format="json")
    return dict(json.loads(line))


def test_each_line_has_time_level_event_and_values() -> None:
    [line] = lines_of(events.Finished(step(1), 12))

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO  finished version=v1\.0\.0-001 action=apply duration_ms=12", line
    )


def test_each_line_of_a_run_names_it() -> None:
    before, began, finished, failed = lines_of(
        events.WaitingForLock(None), BEGAN, events.Finished(step(1), 12), SqlMigrateError("no")
    )

    assert before.endswith("WARNING waiting_for_lock seconds=0")
    assert began.endswith("DEBUG began steps=2 pid=123 run=ab12")
    assert finished.endswith("duration_ms=12 pid=123 run=ab12")
    assert failed.endswith("ERROR failed kind=SqlMigrateError message=no pid=123 run=ab12")


def test_json_has_one_object_per_line() -> None:
    found = object_of(events.Finished(step(1), 12))

    assert datetime.fromisoformat(found.pop("time")).utcoffset() == UTC.utcoffset(None)
    assert found == {
        "level": "INFO",
        "event": "finished",
        "version": "v1.0.0-001",
        "action": "apply",
        "duration_ms": 12,
    }


@pytest.mark.parametrize(
    ("event", "values"),
    [
        (events.Notice("WARNING", "careful"), {"level": "WARNING", "severity": "WARNING", "message": "careful"}),
        (events.Notice("NOTICE", "by the way"), {"level": "INFO"}),
        (events.WaitingForLock(HOLDER), {"holder": "pid 7 (dba, sqlmigrate, from local)"}),
        (
            events.Blocked("sqlmigrate", (BLOCKER, BLOCKER)),
            {"blockers": f"{BLOCKER}; {BLOCKER}", "application": "sqlmigrate"},
        ),
        (events.Retrying(step(1), "lock timeout", (), 0.5), {"version": "v1.0.0-001", "pause": 0.5}),
        (events.Advancing("sqlmigrate", "building index", 0, 0), {"event": "advancing", "done": 0, "level": "DEBUG"}),
        (events.BackedUp("/b/x.dump", "pg_restore x", 12), {"event": "backed_up", "path": "/b/x.dump", "size": 12}),
        (events.Warned("the webhook is down"), {"level": "WARNING", "event": "warned"}),
    ],
)
def test_each_event_is_logged_with_its_values(event: events.Event, values: dict[str, Any]) -> None:
    assert object_of(event).items() >= values.items()


def test_an_error_is_logged_with_location_and_cause() -> None:
    error = MigrationFailed("v1.0.0-002 failed: no", step(2), [step(1)], Location("m/b.sql", 3, 4), "mend it")
    error.__cause__ = StatementFailed(ServerReport("no", "42P01"))

    found = object_of(error)

    del found["time"]
    assert found == {
        "level": "ERROR",
        "event": "failed",
        "kind": "MigrationFailed",
        "message": "v1.0.0-002 failed: no",
        "version": "v1.0.0-002",
        "location": "m/b.sql:3:4",
        "sqlstate": "42P01",
        "hint": "mend it",
    }


def test_a_refused_plan_logs_all_problems() -> None:
    error = PlanRefused([Problem("a", "one", Location("m/a.sql", 1, 2)), Problem("b", "two")])

    assert object_of(error)["problems"] == "m/a.sql:1:2: one; two"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_event_is_always_one_line(log_format: str) -> None:
    wild = "".join(map(chr, range(0x20, 0x100))) + "a\nb\r\n\x1b[31m\x00\u2028\u2029 \"quoted\" 'too' = é"

    [line] = lines_of(events.Notice("NOTICE", wild), log_format=log_format)

    assert len(line.splitlines()) == 1
    assert not [character for character in line if unicodedata.category(character) == "Cc"]


def test_text_quotes_values_that_are_not_one_word() -> None:
    [line] = lines_of(events.Notice("NOTICE", 'zwei "Wörter"\n'))

    assert line.endswith(r'severity=NOTICE message="zwei \"Wörter\"\n"')


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("error", ["failed"]),
        ("warning", ["failed", "blocked"]),
        ("info", ["failed", "blocked", "said"]),
        ("debug", ["failed", "blocked", "said", "running"]),
    ],
)
def test_the_level_selects_the_lines(level: str, kept: list[str]) -> None:
    told = [events.Blocked("x", ()), events.Said(step(1), "x"), events.Running(step(1))]

    assert [line.split()[2] for line in lines_of(SqlMigrateError("x"), *told, level=level)] == kept


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="log-format: 'xml' is not one of text, json"):
        Log("xml", "info", print)


def test_a_file_is_appended_to_and_may_be_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    file = File(str(path), pytest.fail)

    file.write("one")
    path.rename(tmp_path / "log.1")
    file.write("two")

    assert (tmp_path / "log.1").read_text() == "before\none\n"
    assert path.read_text() == "two\n"


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"could not open log file .*: Is a directory"):
        File(str(tmp_path), pytest.fail)


def test_a_file_that_cannot_be_written_warns_once_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log"
    path.parent.mkdir()
    said: list[str] = []
    file = File(str(path), said.append)

    path.unlink()
    path.parent.rmdir()
    file.write("one")
    file.write("two")
    path.parent.mkdir()
    file.write("three")

    assert said == [f'could not write log file "{path}": No such file or directory']
    assert path.read_text() == "three\n"


def test_a_warning_about_the_file_may_come_back_to_it() -> None:
    said: list[str] = []

    def warn(message: str) -> None:
        said.append(message)
        file.write(message)

    file = File("/dev/full", warn)
    file.write("one")

    assert said == ['could not write log file "/dev/full": No space left on device']


def test_a_name_that_is_not_unicode_can_be_written(tmp_path: Path) -> None:
    file = File(str(tmp_path / "log"), pytest.fail)

    file.write("m/\udcff.sql")

    assert (tmp_path / "log").read_text() == "m/\\udcff.sql\n"
