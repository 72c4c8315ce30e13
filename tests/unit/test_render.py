from __future__ import annotations

import inspect
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from click import unstyle

from sqlmigrate import errors, events
from sqlmigrate.authoring.generator import Generated, NewFile
from sqlmigrate.authoring.renumber import Move, Renumbering
from sqlmigrate.authoring.scaffold import Entry, Outcome
from sqlmigrate.authoring.template import Template
from sqlmigrate.errors import (
    ConfigurationError,
    ConnectionFailed,
    MigrationFailed,
    PlanRefused,
    SqlMigrateError,
    StatementFailed,
)
from sqlmigrate.history.log import LogEntry, Pruned
from sqlmigrate.lint import Finding, Level
from sqlmigrate.lint.fix import Fix
from sqlmigrate.lint.rules import FAMILIES, RULES
from sqlmigrate.metrics.families import up
from sqlmigrate.migrator import Detail, Health
from sqlmigrate.model import (
    Action,
    Blocker,
    Holder,
    Location,
    Plan,
    PlanRequest,
    Problem,
    ProblemLevel,
    Run,
    ServerReport,
    State,
)
from sqlmigrate.planning.plan_file import PlanFile, PlanInputs
from sqlmigrate.planning.planner import statuses
from sqlmigrate.planning.repair import Repair
from sqlmigrate.planning.review import Review
from sqlmigrate.render import phrases, progress, shape, text
from sqlmigrate.render.unseen import printable
from sqlmigrate.server import connection
from tests.unit.samples import WHEN, failed, migration, partial, row, step, version

PLACE = Location("m/a.sql", 3, 8, "select * frm t;")
WRONG = Problem("changed", "v1.0.0-001 was changed", PLACE, "put it back\nor repair")
ODD = Problem("newer", "a newer release was run", level=ProblemLevel.WARNING)
HOLDER = Holder(7, "app", "sqlmigrate", "10.0.0.1", "active", WHEN, "select\n 1")
BLOCKER = Blocker(9, "app", "", "idle in transaction", 12.4, "select\n  1")
REPORT = ServerReport("relation exists", "42P07", "the detail", "the hint", "the context", 8, "select inner")
STANDING = statuses(
    [migration(1), migration(2), migration(3, down=False), migration("views")],
    [row(1), partial(2), failed("views", error_msg="no such view"), row("gone")],
)
ENTRY = LogEntry(WHEN, "apply", "v1.0.0-001", "step", "failure", 20, "it broke", "dba", "me", "here", "r1", "same")
FINDING = Finding("syntax", Level.ERROR, PLACE, "frm is no word")
GENERATED = Generated((NewFile(version(1), "m/V1.0.0-001__a.up.sql", "-- A.\n\nselect 1;\n"),))
ENTRIES = [
    Entry("sqlmigrate.toml", Outcome.CREATED),
    Entry(".gitignore", Outcome.KEPT, "it has it"),
    Entry(".pre-commit-config.yaml", Outcome.KEPT, "add:\n- repo: local"),
]
INPUTS: PlanInputs = {
    "database": "d",
    "server": "s",
    "history_table": "h",
    "history": {"rows": 0, "digest": ""},
    "files": [],
    "hooks": {},
}
FIX = Repair(migration(1), "update the checksum", "update …")


def _refused(cause: SqlMigrateError | None = None) -> MigrationFailed:
    error = MigrationFailed("v1.0.0-002 failed", step(2), [step(1)], PLACE, "mend it\nthe hint")
    error.__cause__ = cause
    return error


def _error_of(kind: type[SqlMigrateError]) -> SqlMigrateError:
    if kind is PlanRefused:
        return PlanRefused([WRONG])
    if kind is StatementFailed:
        return StatementFailed(REPORT, PLACE)
    if kind is MigrationFailed:
        return _refused(StatementFailed(REPORT, PLACE))
    return errors.Interrupted(2) if kind is errors.Interrupted else kind("it broke", PLACE, "mend it")


ERRORS = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, SqlMigrateError)]
EVENTS: dict[events.Event, str] = {
    events.Event(): "Event()",
    events.WaitingForLock(HOLDER): "  waiting for the migration lock, held by pid 7 (app, sqlmigrate, from 10.0.0.1)",
    events.WaitingForLock(None): "  waiting for the migration lock",
    events.Began("ab12", 7, (step(1),)): "  run ab12: 1 step, backend 7",
    events.BackingUp("kept"): "  … backing up to kept",
    events.BackedUp("kept/a.dump", "pg_restore a.dump", 12345): (
        "  ✓ backup  kept/a.dump  12,345 bytes\n    restore: pg_restore a.dump"
    ),
    events.Running(step(1)): "  … v1.0.0-001  step",
    events.Finished(step("views"), 1234): "  ✓ R__views  1.2 s",
    events.Blocked("sqlmigrate v1.0.0-001", (BLOCKER, BLOCKER)): (
        "  sqlmigrate v1.0.0-001 waits for pid 9 (app, no application name, idle in transaction for 12 s): select 1\n"
        "  sqlmigrate v1.0.0-001 waits for pid 9 (app, no application name, idle in transaction for 12 s): select 1"
    ),
    events.Advancing("a", "building index", 1, 3): "  … a: building index 33 %",
    events.Advancing("a", "copying", 17, 0): "  … a: copying 17",
    events.Advancing("a", "copying", 0, 0): "  … a: copying",
    events.Retrying(step(1), "lock timeout", (BLOCKER,), 0.25): (
        "  v1.0.0-001: lock timeout; blocked by pid 9 (app, no application name, idle in transaction for 12 s):"
        " select 1; again in 0.2 s"
    ),
    events.Said(step(1), "runs in 2 parts"): "    v1.0.0-001: runs in 2 parts",
    events.PassedOver(step(1), "f.sql:1: \\echo hi"): "    f.sql:1: \\echo hi: passed over",
    events.Notice("NOTICE", "table does not exist"): "    NOTICE: table does not exist",
    events.Notice("WARNING", "careful"): "    WARNING: careful",
    events.Warned("the webhook is down"): "  warning: the webhook is down",
}  # fmt: skip
RESULTS: dict[str, list[tuple[Any, ...]]] = {
    "run": [(Run((step(1),), (ODD,)),), (Run(()),)],
    "rehearsal": [(Run((step(1), step(2))),)],
    "baseline": [(Run((step(1),)),)],
    "plan": [
        (Plan((step(1), step("views")), (ODD,)), ["select 1;"]),
        (Plan(()),),
        (Plan((step(1, Action.ROLL_BACK),)),),
    ],
    "review": [(Review(Plan(()), PlanRequest(Action.APPLY), INPUTS, (), (), "ab" * 32),)],
    "approved": [(PlanFile("plan.json", "ab" * 32, PlanRequest(Action.APPLY), INPUTS, []),)],
    "status": [(STANDING,), ([],)],
    "info": [([Detail(one, (ENTRY,), 3, 2) for one in STANDING],)],
    "health": [(Health((), ()),), (Health(tuple(STANDING), (WRONG,)),)],
    "problems": [([ODD, WRONG],), ([],)],
    "findings": [([FINDING], ["m/a.sql"]), ([], ["m/a.sql"])],
    "fixes": [([Fix("m/a.sql", None, "select 1;")],), ([],)],
    "rules": [(FAMILIES,)],
    "rule": [(RULES[0],)],
    "mends": [([FIX],), ([],)],
    "holder": [(HOLDER,), (None,)],
    "history": [
        ([ENTRY, ENTRY._replace(version="R__views", name="R__views", outcome="success", error_msg="")],),
        ([],),
    ],
    "generated": [(GENERATED,)],
    "draft": [(GENERATED,)],
    "templates": [([Template("index", "An index.", {"table": None, "method": "btree", "where": ""}, own=False)],)],
    "renumbering": [(Renumbering((Move(version(1), version(2), (("m/a", "m/b"),)),), (ODD,)),), (Renumbering(()),)],
    "project": [(".", [ENTRIES[0]]), ("a b", ENTRIES)],
    "prunable": [(Pruned(3, 1),)],
    "pruned": [(Pruned(3, 1),)],
    "metrics": [(up(is_up=True),)],
    "serving": [("http://localhost:9187/metrics",)],
    "error": [(_error_of(kind),) for kind in ERRORS],
    "problem": [(WRONG,), (ODD,)],
}
CASES = [(kind, values) for kind, many in RESULTS.items() for values in many]


def _functions(module: object) -> set[str]:
    """Its own public functions, without those that it imports."""
    own = inspect.getmembers(module, lambda one: inspect.getmodule(one) is module and inspect.isfunction(one))
    return {name for name, _ in own if not name.startswith("_")}


def test_whatever_a_person_can_read_a_program_can_too() -> None:
    assert _functions(shape) == set(RESULTS)
    assert _functions(text) | {"problem"} == set(RESULTS)


@pytest.mark.parametrize(("kind", "values"), CASES)
def test_every_result_and_error_is_text_and_json(kind: str, values: tuple[Any, ...]) -> None:
    said = unstyle(getattr(text, kind)(*values))
    assert said
    assert said == said.strip("\n")
    shaped = getattr(shape, kind)(*values)
    assert json.loads(json.dumps(shaped)) == shaped


@pytest.mark.parametrize(("event", "expected"), EVENTS.items(), ids=lambda one: type(one).__name__)
def test_an_event_is_a_line(event: events.Event, expected: str) -> None:
    assert unstyle(printable(progress.line(event))) == expected


def test_every_event_is_tested() -> None:
    assert {type(one).__name__ for one in EVENTS} == {"Event", *(one.__name__ for one in events.Event.__subclasses__())}


# Results


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("run", Run(()), "nothing to do"),
        ("run", Run((step(1), step(2))), "2 migrations applied"),
        ("run", Run((step(1, Action.ROLL_BACK),), (ODD,)),
            "warning: a newer release was run [newer]\n1 migration rolled back"),
        ("baseline", Run((step(1), step(2))), "2 migrations marked as applied"),
        ("rehearsal", Run((step(1),)), "1 pending migration rehearsed and rolled back"),
        ("plan", Plan(()), "nothing to do"),
        ("plan", Plan((step(1), step("views"))), "  apply      v1.0.0-001  step\n  apply      R__views"),
        ("plan", Plan((step(1, Action.ROLL_BACK),), (ODD,)),
            "  roll back  v1.0.0-001  step\nwarning: a newer release was run [newer]"),
        ("status", [], "no migrations"),
        ("health", Health((), ()), "up to date"),
        ("health", Health((), (ODD,)), "up to date"),
        ("health", Health((STANDING[1],), (ODD,)), "1 pending: v1.0.0-002"),
        ("health", Health((STANDING[0],) * 6, ()), "6 pending: " + "v1.0.0-001, " * 4 + "v1.0.0-001 …"),
        ("health", Health((STANDING[0],), (ODD, WRONG)), "invalid: v1.0.0-001 was changed; see `sqlmigrate validate`"),
        ("health", Health((), (WRONG,) * 3), "invalid: v1.0.0-001 was changed (and 2 more); see `sqlmigrate validate`"),
        ("problems", [], "valid"),
        ("mends", [], "nothing to repair"),
        ("mends", [FIX, FIX], "  v1.0.0-001: update the checksum\n  v1.0.0-001: update the checksum"),
        ("holder", None, "nobody holds the migration lock"),
    ],
)  # fmt: skip
def test_a_result_is_said_in_few_words(kind: str, value: object, expected: str) -> None:
    assert unstyle(getattr(text, kind)(value)) == expected


def test_the_plan_ends_with_its_sql() -> None:
    assert unstyle(text.plan(Plan((step(1),)), iter(["select 1;", "select 2;\n"]))).endswith(
        "step\n\nselect 1;\nselect 2;"
    )


def test_problems_come_with_errors_first_and_are_counted() -> None:
    assert unstyle(text.problems([ODD, WRONG])).splitlines() == [
        "error: m/a.sql:3:8: v1.0.0-001 was changed [changed]",
        "  select * frm t;",
        "         ^",
        "  → put it back",
        "  → or repair",
        "warning: a newer release was run [newer]",
        "1 error, 1 warning",
    ]


def test_the_status_is_a_table_and_a_summary() -> None:
    lines = [line.rstrip() for line in unstyle(text.status(STANDING)).splitlines()]
    assert lines == [
        "VERSION     NAME   STATE    WHEN                     TOOK",
        "v1.0.0-001  step   applied  2026-01-02 03:04:05 UTC  1.2 s",
        "v1.0.0-002  step   partial  2026-01-02 03:04:05 UTC  1.2 s",
        "v1.0.0-003  step   pending",
        "repeatable  step   missing  2026-01-02 03:04:05 UTC  1.2 s",
        "repeatable  views  failed   2026-01-02 03:04:05 UTC  1.2 s",
        "",
        "1 applied, 1 pending, 1 failed, 1 partial, 1 missing",
    ]


@pytest.mark.parametrize("state", State)
def test_each_state_has_a_colour(state: State) -> None:
    said = text.status([replace(STANDING[2], state=state)])
    assert unstyle(said) != said


def test_info_tells_everything_known() -> None:
    lines = unstyle(text.info([Detail(statuses([migration(1)], [failed(1, error_msg="no table")])[0], (ENTRY,), 3, 2)]))
    assert lines.splitlines() == [
        "v1.0.0-001 step",
        "  state             failed",
        "  file              m/V1.0.0-001__step.up.sql",
        "  down file         m/V1.0.0-001__step.down.sql",
        "  checksum on disk  same",
        "  plan              3 statements in 2 parts",
        "  checksum applied  same",
        "  description       A step",
        "  executed          2026-01-02 03:04:05 UTC by dba in 1.2 s",
        "  statements done   0 of 2",
        "  error             no table",
        "  log               2026-01-02 03:04:05 UTC apply failure 20 ms by dba (me@here) it broke",
    ]


@pytest.mark.parametrize(("standing", "words"), [(STANDING[2], "1 statement"), (STANDING[3], None)])
def test_info_of_a_file_or_a_row_alone(standing: Any, words: str | None) -> None:
    said = unstyle(text.info([Detail(standing, (), 1, 1)]))
    assert ("down file" in said) == (words is not None)
    assert words is None or said.endswith(f"plan              {words}")


def test_the_holder_of_the_lock_is_shown_field_by_field() -> None:
    assert [line.split()[0] for line in text.holder(HOLDER).splitlines() if not line.startswith(" ")] == [
        "pid", "user", "application", "host", "state", "since", "query",
    ]  # fmt: skip


# Errors


def test_a_failed_migration_shows_all_that_the_server_said() -> None:
    assert unstyle(text.error(_refused(StatementFailed(REPORT, PLACE)))).splitlines() == [
        "error: m/a.sql:3:8: v1.0.0-002 failed",
        "  select * frm t;",
        "         ^",
        "  DETAIL: the detail",
        "  HINT: the hint",
        "  QUERY: select inner",
        "  CONTEXT: the context",
        "  SQLSTATE: 42P07",
        "  applied before it: v1.0.0-001",
        "  → mend it",
    ]


def test_a_failed_statement_is_shown_with_its_report() -> None:
    said = unstyle(text.error(StatementFailed(ServerReport("relation exists", "42P07"), Location("m/a.sql"))))
    assert said == "error: m/a.sql: relation exists\n  SQLSTATE: 42P07"


def test_a_failure_without_a_report_says_what_was_done_before() -> None:
    error = MigrationFailed("v1.0.0-002 failed", step(2, Action.ROLL_BACK), [])
    assert unstyle(text.error(error)) == "error: v1.0.0-002 failed\n  rolled back before it: none"


def test_a_refused_plan_shows_every_problem() -> None:
    said = unstyle(text.error(PlanRefused([WRONG, ODD])))
    assert said == f"{unstyle(phrases.problem(WRONG))}\n{unstyle(phrases.problem(ODD))}\nnothing was run: 2 problems"


@pytest.mark.parametrize(
    ("line", "column", "pointed"),
    [
        ("select 1 frm t", 10, "f"), ("x", 1, "x"), ("\tselect é!", 10, "!"), ("a" * 500 + "!" + "b" * 500, 501, "!"),
        ("a" * 59 + "!", 60, "!"), ("a" * 61 + "!", 62, "!"), ("abc", 4, ""),
    ],
)  # fmt: skip
def test_the_caret_stands_under_the_column(line: str, column: int, pointed: str) -> None:
    _, shown, caret = unstyle(text.error(SqlMigrateError("x", Location("f", 1, column, line)))).splitlines()
    assert shown[len(caret) - 1 :][:1] == pointed
    assert len(shown) <= 102
    assert caret.strip() == "^"


def test_a_line_without_a_column_has_no_caret() -> None:
    assert unstyle(text.error(SqlMigrateError("x", Location("f", 1, None, "abc")))) == "error: f:1: x\n  abc"


# JSON


def test_the_json_of_an_error_has_all_that_a_program_needs() -> None:
    shaped = shape.error(_refused(StatementFailed(REPORT, PLACE)))["error"]
    assert (shaped["kind"], shaped["location"]) == ("MigrationFailed", {"path": "m/a.sql", "line": 3, "column": 8})
    assert shaped["server"] | {"sqlstate": "42P07", "hint": "the hint"} == shaped["server"]
    assert (shaped["step"]["version"], [one["version"] for one in shaped["done"]]) == ("v1.0.0-002", ["v1.0.0-001"])


def test_the_json_of_a_refused_plan_has_its_problems() -> None:
    shaped = shape.error(PlanRefused([WRONG, ODD]))["error"]
    assert [(one["code"], one["level"], one["location"] is None) for one in shaped["problems"]] == [
        ("changed", "error", False),
        ("newer", "warning", True),
    ]
    assert "server" not in shaped


def test_times_in_json_are_in_iso_format() -> None:
    status = shape.status(STANDING)["migrations"]
    assert [datetime.fromisoformat(one["executed_at"]).astimezone(UTC) for one in status if one["executed_at"]] == [
        WHEN
    ] * 4
    assert status[2]["executed_at"] is None
    assert shape.holder(HOLDER)["holder"]["since"] == WHEN.isoformat()
    assert shape.info([Detail(STANDING[0], (ENTRY,), 1, 1)])["migrations"][0]["log"][0]["logged_at"] == WHEN.isoformat()


def test_health_in_json_is_a_yes_or_no_with_its_reasons() -> None:
    assert shape.health(Health((), (ODD,)))["up_to_date"] is True
    assert shape.health(Health((), (WRONG,)))["up_to_date"] is False
    assert shape.health(Health((STANDING[0],), ()))["pending"] == ["v1.0.0-001"]


# Passwords

SECRET = "s3cr3t"  # noqa: S105  # to be found nowhere


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}%zz@h/d", f"host=h password=a {SECRET}",
        f"postgresql://u:{SECRET}@[h/d", f"host=h password={SECRET} nonsense",
        f"host=h password='{SECRET}", f"postgresql://u:{SECRET}@h/d?no=1", f"{SECRET}",
    ],
)  # fmt: skip
def test_a_password_is_in_no_error_about_a_url_that_can_not_be_read(url: str) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        connection.make_conninfo(url)
    assert SECRET not in text.error(caught.value) + json.dumps(shape.error(caught.value)) + repr(caught.value.__cause__)


def test_a_password_is_in_no_error_about_a_part_that_can_not_be_read() -> None:
    conninfo = connection.make_conninfo("postgresql://u@127.0.0.1:1/d", password=SECRET, connect_timeout="1")
    with pytest.raises(SqlMigrateError) as caught:
        connection.connect(conninfo, "sqlmigrate")
    assert SECRET not in text.error(caught.value)
    assert not isinstance(caught.value, ConfigurationError)


def test_a_draft_shows_each_file() -> None:
    assert unstyle(text.draft(GENERATED)) == "m/V1.0.0-001__a.up.sql\n  -- A.\n\n  select 1;"


def test_what_has_to_be_added_by_hand_stands_below_its_file() -> None:
    said = unstyle(text.project("a b", ENTRIES)).splitlines()

    assert said[:4] == [
        "created   sqlmigrate.toml",
        "kept      .gitignore (it has it)",
        "kept      .pre-commit-config.yaml: add:",
        "    - repo: local",
    ]
    assert "  cd 'a b'" in said
