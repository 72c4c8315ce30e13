from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from click import unstyle

from sqlmigrate import errors, events
from sqlmigrate.authoring.generator import Generated, NewFile
from sqlmigrate.authoring.renumber import Move, Renumbering
from sqlmigrate.authoring.scaffold import Entry, Outcome
from sqlmigrate.authoring.template import Template
from sqlmigrate.catalog.differences import compare
from sqlmigrate.catalog.snapshot import CatalogObject, Key, Snapshot
from sqlmigrate.errors import (
    ConfigurationError,
    MigrationFailed,
    PlanRefused,
    RecordFailed,
    SqlMigrateError,
    StatementFailed,
)
from sqlmigrate.execution.runner import Approvable
from sqlmigrate.history.log import LogEntry, Pruned
from sqlmigrate.lint import Finding, Level
from sqlmigrate.lint.fix import Fix
from sqlmigrate.lint.rules import FAMILIES, RULES
from sqlmigrate.locks import Mode
from sqlmigrate.locks.effects import Doing, Effects, Effort, StandingRelation, TakenLock, TouchedRows
from sqlmigrate.metrics.families import up
from sqlmigrate.model import (
    Action,
    Blocker,
    Health,
    Holder,
    Location,
    Plan,
    PlanRequest,
    Problem,
    ProblemLevel,
    Run,
    ServerReport,
    State,
    Wave,
)
from sqlmigrate.planning import stats_file
from sqlmigrate.planning.activity import ActiveRun, Activity, Position
from sqlmigrate.planning.detail import Detail
from sqlmigrate.planning.plan_file import PlanFile, PlanInputs
from sqlmigrate.planning.planner import statuses
from sqlmigrate.planning.rehearsed import Estimate, Rehearsal, RehearsedStatement, RehearsedStep, RehearsedTransaction
from sqlmigrate.planning.repair import Repair
from sqlmigrate.planning.review import Review
from sqlmigrate.render import as_json, differences, phrases, progress, roundtrip, text
from sqlmigrate.render.escape import printable
from sqlmigrate.scratch.drift import Drift
from sqlmigrate.scratch.judge import RoundTripFinding, RoundTripLevel
from sqlmigrate.scratch.roundtrip import RoundTrip
from sqlmigrate.server import connection, conninfo
from sqlmigrate.server.embedded import EmbeddedServer
from sqlmigrate.server.sizes import IndexSize, Sizes, TableSize
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
    if kind in (StatementFailed, RecordFailed):
        return kind(REPORT, PLACE)
    if kind is MigrationFailed:
        return _refused(StatementFailed(REPORT, PLACE))
    return errors.Interrupted(2) if kind is errors.Interrupted else kind("it broke", PLACE, "mend it")


ERRORS = [member for member in vars(errors).values() if inspect.isclass(member) and issubclass(member, SqlMigrateError)]
EVENTS: dict[events.Event, str] = {
    events.Event(): "Event()",
    events.WaitingForLock(HOLDER): "  waiting for the migration lock, held by pid 7 (app, sqlmigrate, from 10.0.0.1)",
    events.WaitingForServer("refused"): "  waiting for the server: refused",
    events.WaitingForLock(None): "  waiting for the migration lock",
    events.WaitingForLock(HOLDER, 61): (
        "  waiting for the migration lock for 1 min 01 s, held by pid 7 (app, sqlmigrate, from 10.0.0.1)"
    ),
    events.WaitingForServer("refused", 2): "  waiting for the server for 2 s: refused",
    events.BackingUp("kept", 3): "  … backing up to kept for 3 s",
    events.Began("ab12", 7, (step(1),)): "  run ab12 started: 1 step, backend pid 7",
    events.BackingUp("kept"): "  … backing up to kept",
    events.BackedUp("kept/a.dump", "pg_restore a.dump", 12345): (
        "  ✓ backup  kept/a.dump  12,345 bytes\n    restore: pg_restore a.dump"
    ),
    events.Running(step(1)): "  … v1.0.0-001  step",
    events.Ran(step(1), 3, "select 1", 12): "    v1.0.0-001:3  select 1  12 ms",
    events.Finished(step("views"), 999): "  ✓ R__views  999 ms",
    events.Finished(step("views"), 1234): "  ✓ R__views  1.2 s  slow",
    events.Working(step(1), 1): "  … v1.0.0-001  step  1 s",
    events.Working(step(1), 125, 2, 3): "  … v1.0.0-001  step  2 min 05 s, statement 2 of 3",
    events.Working(step(1), 7502, 1, 1, (), events.Advancing("a", "COPY", 17000, 0, "rows")): (
        "  … v1.0.0-001  step  2 h 05 min, COPY 17,000 rows"
    ),
    events.Working(step(1), 60, 0, 3, (BLOCKER, BLOCKER)): (
        "  … v1.0.0-001  step  1 min 00 s,"
        " blocked by pid 9 (app, no application name, idle in transaction for 12 s): select 1;"
        " pid 9 (app, no application name, idle in transaction for 12 s): select 1"
    ),
    events.Blocked("sqlmigrate v1.0.0-001", (BLOCKER, BLOCKER)): (
        "  sqlmigrate v1.0.0-001 is blocked by pid 9 (app, no application name, idle in transaction for 12 s): select 1"
        "\n"
        "  sqlmigrate v1.0.0-001 is blocked by pid 9 (app, no application name, idle in transaction for 12 s): select 1"
    ),
    events.Advancing("a", "index build: scanning table", 1, 3): "  … a: index build 33 % of 3 blocks: scanning table",
    events.Advancing("a", "copying", 17, 0): "  … a: copying 17 blocks",
    events.Advancing("a", "copying", 0, 0): "  … a: copying",
    events.StepFailed(step(1), "it exists"): "  v1.0.0-001 failed: it exists; waiting for what runs beside it",
    events.Retrying(step(1), "lock timeout", (BLOCKER,), 0.25): (
        "  v1.0.0-001: lock timeout; blocked by pid 9 (app, no application name, idle in transaction for 12 s):"
        " select 1; retrying in 0.2 s"
    ),
    events.Said(step(1), "runs in 2 parts"): "    v1.0.0-001: runs in 2 parts",
    events.PassedOver(step(1), "f.sql:1: \\echo hi"): "    f.sql:1: \\echo hi: skipped",
    events.Notice("NOTICE", "table does not exist"): "    NOTICE: table does not exist",
    events.Notice("WARNING", "careful"): "    WARNING: careful",
    events.Warned("the webhook is down"): "  warning: the webhook is down",
}  # fmt: skip
PLAN_FILE = PlanFile("plan.json", "ab" * 32, PlanRequest(Action.APPLY), INPUTS, [], {"v1.0.0-001": ["lost"]})
ACTIVITY = Activity(
    HOLDER,
    ActiveRun("0a", "apply", WHEN, "dba", "ilja", "laptop", 3, "v1.0.0-001", 2),
    step(1),
    Position("m/a.sql", 2, 4, 7, "select 1;"),
    WHEN,
    "ACCESS EXCLUSIVE on orders",
    (BLOCKER,),
)


def rehearsal(*steps: Any) -> Rehearsal:
    return Rehearsal("target", "shop on db:5432", 18, tuple(RehearsedStep(each, ()) for each in steps))


ORDERS = StandingRelation("public.orders", "orders", "r")
EFFECTS = Effects(
    1234.5,
    (TakenLock(ORDERS, Mode.ACCESS_EXCLUSIVE),),
    (Effort(Doing.REWRITES, ORDERS), Effort(Doing.BUILDS, ORDERS, "x", "gin")),
    (TouchedRows("public.orders", 5, 1),),
    "ALTER TABLE",
    None,
    2**20,
)
SIZES = Sizes(
    "shop", 18, "2026-01-01T00:00:00Z",
    {"public.orders": TableSize("public.orders", 5e6, 2**30, 40, (IndexSize("orders_pkey", 2**20, "btree"),)),
     "public.notes": TableSize("public.notes", None, 0)},
)  # fmt: skip
LONG = Estimate(360_000.0, 1_080_000.0, "12 ms for 5,000 rows of orders in the rehearsal, 300 times the work")
STATEMENTS = (
    RehearsedStatement(Location("m/a.sql", 1, 1), "alter table orders …", EFFECTS, estimate=LONG, wait=LONG),
    RehearsedStatement(Location("m/a.sql", 2, 1), "vacuum", skipped="cannot run inside a transaction block"),
    RehearsedStatement(Location("m/a.sql", 3, 1), "select 1 / 0", failed="division by zero"),
)
REHEARSAL = Rehearsal(
    "embedded",
    "shop on db:5432",
    18,
    (
        RehearsedStep(
            step(1), (RehearsedTransaction(STATEMENTS[:1]), RehearsedTransaction(STATEMENTS[1:], is_alone=True))
        ),
    ),
    (ODD,),
)
EXPECTED = Snapshot({Key("index", "public.t_a"): CatalogObject({"definition": "CREATE INDEX t_a ON public.t (a)"})}, 18)
DRIFT = Drift(tuple(compare(EXPECTED, Snapshot({}, 18))), EXPECTED, (ODD,), 3, (18, 18))
LEFT = RoundTripFinding(
    "v1.0.0-001", "m/a.down.sql", RoundTripLevel.FAULT, "leaves it", Key("table", "public.t"), mend=("drop table t;",)
)
TRIP = RoundTrip(("v1.0.0-001",), ("v1.0.0-002",), (LEFT,))
RESULTS: dict[str, list[tuple[Any, ...]]] = {
    "run": [(Run((step(1),), (ODD,)),), (Run(()),)],
    "dry_run": [(rehearsal(step(1), step(2)),)],
    "rehearsal": [(REHEARSAL,), (rehearsal(),)],
    "stats": [(SIZES,)],
    "round_trip": [(TRIP,), (RoundTrip(("v1.0.0-001",), (), ()),)],
    "drift": [(DRIFT,), (DRIFT._replace(differences=()),)],
    "drift_sql": [(DRIFT,), (DRIFT._replace(differences=()),)],
    "redone": [(Run((step(1),)),), (Run(()),)],
    "baseline": [(Run((step(1),)),)],
    "plan": [
        (Plan((step(1), step("views")), (ODD,)), ["select 1;"]),
        (Plan(()),),
        (Plan((step(1, Action.ROLL_BACK),)),),
        (
            Plan(
                (step(1), step(2)),
                connections=2,
                waves=(Wave((step(1), step(2)), "both"), Wave((step(1),), "", ((1, 8),))),
            ),
        ),
    ],
    "review": [(Review(Plan(()), PlanRequest(Action.APPLY), INPUTS, (), (), "ab" * 32),)],
    "approvable": [
        (Approvable(Plan((step(1),)), PLAN_FILE, None, ["select 1;"], "db:5432", ["approved by dba"]),),
        (
            Approvable(
                Plan(()),
                PLAN_FILE,
                Review(Plan(()), PlanRequest(Action.APPLY), INPUTS, (), (), "ab" * 32),
                [],
                "db:5432",
                [],
            ),
        ),
    ],
    "approved": [(PLAN_FILE,)],
    "status": [(STANDING,), ([],)],
    "info": [([Detail(status, (ENTRY,), 3, 2) for status in STANDING],)],
    "health": [(Health((), ()),), (Health(tuple(STANDING), (WRONG,)),)],
    "problems": [([ODD, WRONG],), ([],)],
    "findings": [([FINDING], ["m/a.sql"]), ([], ["m/a.sql"])],
    "fixes": [([Fix("m/a.sql", None, "select 1;")],), ([],)],
    "rules": [(FAMILIES,)],
    "rule": [(RULES[0],)],
    "repairs": [([FIX],), ([],)],
    "activity": [(None,), (Activity(HOLDER),), (ACTIVITY,)],
    "terminated": [(HOLDER,)],
    "history": [
        ([ENTRY, ENTRY._replace(version="R__views", name="R__views", outcome="success", error_msg="")],),
        ([],),
    ],
    "generated": [(GENERATED,)],
    "draft": [(GENERATED,)],
    "templates": [
        ([Template("index", "An index.", {"table": None, "method": "btree", "where": ""}, is_custom=False)],)
    ],
    "renumbering": [(Renumbering((Move(version(1), version(2), (("m/a", "m/b"),)),), (ODD,)),), (Renumbering(()),)],
    "project": [(".", [ENTRIES[0]]), ("a b", ENTRIES)],
    "prunable": [(Pruned(3, 1),)],
    "pruned": [(Pruned(3, 1),)],
    "metrics": [(up(is_up=True),)],
    "embedded": [
        (EmbeddedServer(".postgres", 7, "postgresql:///x", keeps_running=True),),
        (EmbeddedServer("x", 0, "", keeps_running=False),),
    ],
    "embedded_stopped": [
        (EmbeddedServer(".postgres", 7, "postgresql:///x", keeps_running=False),),
        (EmbeddedServer("x", 0, "", keeps_running=False),),
    ],
    "serving": [("http://localhost:10187/metrics",)],
    "error": [(_error_of(kind),) for kind in ERRORS],
    "problem": [(WRONG,), (ODD,)],
}
CASES = [(kind, values) for kind, many in RESULTS.items() for values in many]


def _functions(module: ModuleType) -> set[str]:
    """Returns the public functions that a module defines, or takes from a module of one subject under another name."""
    homes = {module, differences, roundtrip, stats_file}
    functions = inspect.getmembers(
        module, lambda member: inspect.isfunction(member) and inspect.getmodule(member) in homes
    )
    return {name for name, found in functions if inspect.getmodule(found) in homes and not name.startswith("_")}


def _parsed(data: object) -> Any:
    """Returns the data as a program reads it from the JSON."""
    return json.loads(json.dumps(data))


def test_text_and_json_have_the_same_functions() -> None:
    assert _functions(as_json) == set(RESULTS)
    assert _functions(text) | {"problem"} == set(RESULTS)


@pytest.mark.parametrize(("kind", "values"), CASES)
def test_every_result_and_error_has_text_and_json(kind: str, values: tuple[Any, ...]) -> None:
    said = unstyle(getattr(phrases if kind == "problem" else text, kind)(*values))
    assert said
    assert said == said.strip("\n")
    data = getattr(as_json, kind)(*values)
    assert _parsed(data) == data


def test_a_hint_that_problems_in_succession_share_is_shown_once() -> None:
    first, second, other = (
        WRONG._replace(message=name, hint=hint) for name, hint in (("a", "h"), ("b", "h"), ("c", ""))
    )

    assert unstyle("\n".join(phrases.listed([first, second, other, first]))).count("→ h") == 2
    assert phrases.listed([]) == []


@pytest.mark.parametrize(("event", "expected"), EVENTS.items(), ids=lambda event: type(event).__name__)
def test_an_event_is_rendered_as_lines(event: events.Event, expected: str) -> None:
    assert unstyle(printable(progress.line(event))) == expected


def test_every_event_is_tested() -> None:
    assert {type(event).__name__ for event in EVENTS} == {
        "Event",
        *(event.__name__ for event in events.Event.__subclasses__()),
    }


# Results


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("run", Run(()), "nothing to do"),
        ("run", Run((step(1), step(2))), "2 migrations applied"),
        ("run", Run((step(1, Action.ROLL_BACK),), (ODD,)),
            "warning: a newer release was run [newer]\n1 migration rolled back"),
        ("baseline", Run((step(1), step(2))), "2 migrations marked as applied"),
        ("dry_run", rehearsal(step(1)), "1 pending migration rehearsed and rolled back"),
        ("plan", Plan(()), "nothing to do"),
        ("plan", Plan((step(1), step("views"))), "  apply      v1.0.0-001  step\n  apply      R__views"),
        ("plan", Plan((step(1, Action.ROLL_BACK),), (ODD,)),
            "  roll back  v1.0.0-001  step\nwarning: a newer release was run [newer]"),
        ("status", [], "no migrations"),
        ("health", Health((), ()), "up to date"),
        ("health", Health((), (ODD,)), "up to date"),
        ("health", Health((STANDING[1],), (ODD,)),
            "1 pending: v1.0.0-002\n  v1.0.0-002 was interrupted at 2026-01-02 03:04:05 UTC"),
        ("health", Health((STANDING[0],) * 6, ()), "6 pending: " + "v1.0.0-001, " * 4 + "v1.0.0-001 …"),
        ("health", Health((STANDING[0],), (ODD, WRONG)), "invalid: v1.0.0-001 was changed; see `sqlmigrate validate`"),
        (
            "health",
            Health((), (Problem("running", "another run is in progress, in pid 7"),)),
            "not up to date: another run is in progress, in pid 7; see `sqlmigrate lock-status`",
        ),
        ("health", Health((), (WRONG,) * 3), "invalid: v1.0.0-001 was changed (and 2 more); see `sqlmigrate validate`"),
        ("problems", [], "valid"),
        ("repairs", [], "nothing to repair"),
        ("repairs", [FIX, FIX], "  v1.0.0-001: update the checksum\n  v1.0.0-001: update the checksum"),
        ("activity", None, "nobody holds the migration lock"),
    ],
)  # fmt: skip
def test_a_result_is_rendered_as_short_text(kind: str, value: object, expected: str) -> None:
    assert unstyle(getattr(text, kind)(value)) == expected


def test_the_plan_ends_with_its_sql() -> None:
    assert unstyle(text.plan(Plan((step(1),)), iter(["select 1;", "select 2;\n"]))).endswith(
        "step\n\nselect 1;\nselect 2;"
    )


def test_problems_are_listed_with_errors_first_and_counted() -> None:
    assert unstyle(text.problems([ODD, WRONG])).splitlines() == [
        "error: m/a.sql:3:8: v1.0.0-001 was changed [changed]",
        "  select * frm t;",
        "         ^",
        "  → put it back",
        "  → or repair",
        "warning: a newer release was run [newer]",
        "1 error, 1 warning",
    ]


def test_status_shows_a_table_and_totals() -> None:
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
    said = text.status([STANDING[2]._replace(state=state)])
    assert unstyle(said) != said


def test_info_shows_file_row_and_log() -> None:
    lines = unstyle(text.info([Detail(statuses([migration(1)], [failed(1, error_msg="no table")])[0], (ENTRY,), 3, 2)]))
    assert lines.splitlines() == [
        "v1.0.0-001 step",
        "  state             failed",
        "  file              m/V1.0.0-001__step.up.sql",
        "  down file         m/V1.0.0-001__step.down.sql",
        "  checksum on disk  same",
        "  plan              3 statements in 2 segments",
        "  checksum applied  same",
        "  description       A step",
        "  executed          2026-01-02 03:04:05 UTC by dba in 1.2 s",
        "  statements done   0 of 2",
        "  error             no table",
        "  log               2026-01-02 03:04:05 UTC apply failure 20 ms by dba (me@here) it broke",
    ]


@pytest.mark.parametrize(("standing", "words"), [(STANDING[2], "1 statement"), (STANDING[3], None)])
def test_info_shows_a_file_without_row_and_a_row_without_file(standing: Any, words: str | None) -> None:
    said = unstyle(text.info([Detail(standing, (), 1, 1)]))
    assert ("down file" in said) == (words is not None)
    assert words is None or said.endswith(f"plan              {words}")


def test_the_holder_of_the_lock_is_shown_field_by_field() -> None:
    assert [line.split()[0] for line in text.activity(Activity(HOLDER)).splitlines() if not line.startswith(" ")] == [
        "pid", "user", "application", "host", "state", "connected", "query",
    ]  # fmt: skip


# Errors


def test_a_failed_migration_shows_the_server_report() -> None:
    assert unstyle(text.error(_refused(StatementFailed(REPORT, PLACE)))).splitlines() == [
        "error: m/a.sql:3:8: v1.0.0-002 failed",
        "  select * frm t;",
        "         ^",
        "  DETAIL: the detail",
        "  HINT: the hint",
        "  QUERY: select inner",
        "  CONTEXT: the context",
        "  SQLSTATE: 42P07",
        "  applied before the failure: v1.0.0-001",
        "  → mend it",
    ]


def test_a_failed_statement_shows_its_sqlstate() -> None:
    said = unstyle(text.error(StatementFailed(ServerReport("relation exists", "42P07"), Location("m/a.sql"))))
    assert said == "error: m/a.sql: relation exists\n  SQLSTATE: 42P07"


def test_a_failure_without_a_report_shows_the_completed_steps() -> None:
    error = MigrationFailed("v1.0.0-002 failed", step(2, Action.ROLL_BACK), [])
    assert unstyle(text.error(error)) == "error: v1.0.0-002 failed\n  rolled back before the failure: none"


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
def test_the_caret_is_below_the_column(line: str, column: int, pointed: str) -> None:
    _, shown, caret = unstyle(text.error(SqlMigrateError("x", Location("f", 1, column, line)))).splitlines()
    assert shown[len(caret) - 1 :][:1] == pointed
    assert len(shown) <= 102
    assert caret.strip() == "^"


def test_a_line_without_a_column_has_no_caret() -> None:
    assert unstyle(text.error(SqlMigrateError("x", Location("f", 1, None, "abc")))) == "error: f:1: x\n  abc"


# JSON


def test_the_json_of_an_error_contains_location_server_report_and_steps() -> None:
    data = _parsed(as_json.error(_refused(StatementFailed(REPORT, PLACE))))["error"]
    assert (data["kind"], data["location"]) == ("MigrationFailed", {"path": "m/a.sql", "line": 3, "column": 8})
    assert data["server"] | {"sqlstate": "42P07", "hint": "the hint"} == data["server"]
    assert (data["step"]["version"], [step["version"] for step in data["done"]]) == ("v1.0.0-002", ["v1.0.0-001"])


def test_the_json_of_a_refused_plan_contains_its_problems() -> None:
    data = _parsed(as_json.error(PlanRefused([WRONG, ODD])))["error"]
    assert [(problem["code"], problem["level"], problem["location"] is None) for problem in data["problems"]] == [
        ("changed", "error", False),
        ("newer", "warning", True),
    ]
    assert "server" not in data


def test_times_in_json_are_in_iso_format() -> None:
    status = _parsed(as_json.status(STANDING))["migrations"]
    assert [datetime.fromisoformat(row["executed_at"]).astimezone(UTC) for row in status if row["executed_at"]] == [
        WHEN
    ] * 4
    assert status[2]["executed_at"] is None
    assert _parsed(as_json.activity(Activity(HOLDER)))["holder"]["since"] == WHEN.isoformat()
    migration = _parsed(as_json.info([Detail(STANDING[0], (ENTRY,), 1, 1)]))["migrations"][0]
    assert migration["log"][0]["logged_at"] == WHEN.isoformat()


def test_health_in_json_contains_up_to_date_and_the_reasons() -> None:
    assert as_json.health(Health((), (ODD,)))["up_to_date"] is True
    assert as_json.health(Health((), (WRONG,)))["up_to_date"] is False
    assert as_json.health(Health((STANDING[0],), ()))["pending"] == ["v1.0.0-001"]


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
def test_an_error_about_an_invalid_url_does_not_contain_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        conninfo.make_conninfo(url)
    assert SECRET not in text.error(caught.value) + json.dumps(as_json.error(caught.value)) + repr(
        caught.value.__cause__
    )


def test_an_error_about_an_invalid_part_does_not_contain_the_password() -> None:
    url = conninfo.make_conninfo("postgresql://u@127.0.0.1:1/d", password=SECRET, connect_timeout="1")
    with pytest.raises(SqlMigrateError) as caught:
        connection.connect(url, "sqlmigrate")
    assert SECRET not in text.error(caught.value)
    assert not isinstance(caught.value, ConfigurationError)


def test_a_draft_shows_each_file() -> None:
    assert unstyle(text.draft(GENERATED)) == "m/V1.0.0-001__a.up.sql\n  -- A.\n\n  select 1;"


def test_a_note_of_several_lines_is_shown_below_its_file() -> None:
    said = unstyle(text.project("a b", ENTRIES)).splitlines()

    assert said[:4] == [
        "created   sqlmigrate.toml",
        "kept      .gitignore (it has it)",
        "kept      .pre-commit-config.yaml: add:",
        "    - repo: local",
    ]
    assert "  cd 'a b'" in said
