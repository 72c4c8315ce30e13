from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlmigrate.model import Action, Applied, Location, Migration, MigrationStatus, Plan, ProblemLevel, State, Version
from sqlmigrate.planning.planner import (
    FILE_REMOVED,
    migration_of,
    plan_apply,
    plan_baseline,
    plan_rollback,
    problems,
    statuses,
    without_down,
)
from tests.unit.samples import failed, migration, numbers, partial, row, version

FILES = [migration(1), migration(2), migration(3), migration("views")]

UP = Location("m/V1.0.0-001__step.up.sql")


def _codes(plan: Plan) -> list[str]:
    return [problem.code for problem in plan.problems]


def _states(files: list[Migration], rows: list[Applied]) -> list[tuple[str, State]]:
    return [(status.id, status.state) for status in statuses(files, rows)]


@pytest.mark.parametrize(
    ("applied", "state"),
    [
        (None, State.PENDING),
        (row(2), State.APPLIED),
        (row(2, checksum="other"), State.CHANGED),
        (failed(2), State.FAILED),
        (partial(2), State.PARTIAL),
        (row(2, success=False, statements_done=0, statements_begun=1), State.PARTIAL),
    ],
)
def test_the_row_of_a_file_determines_its_state(applied: Applied | None, state: State) -> None:
    (status,) = statuses([migration(2)], [applied] if applied else [])
    assert status == MigrationStatus("v1.0.0-002", version(2), "step", state, migration(2), applied)


@pytest.mark.parametrize(
    ("applied", "state"),
    [
        (None, State.PENDING), (row("views"), State.APPLIED), (row("views", checksum="other"), State.PENDING),
        (failed("views"), State.FAILED),
    ],
)  # fmt: skip
def test_a_changed_repeatable_file_is_pending_again(applied: Applied | None, state: State) -> None:
    assert [status.state for status in statuses([migration("views")], [applied] if applied else [])] == [state]


def test_a_pending_file_older_than_the_newest_applied_version_is_out_of_order() -> None:
    assert _states(FILES, [row(2), failed(3), row("views")]) == [
        ("v1.0.0-001", State.OUT_OF_ORDER), ("v1.0.0-002", State.APPLIED), ("v1.0.0-003", State.FAILED),
        ("R__views", State.APPLIED),
    ]  # fmt: skip


def test_rows_without_files_are_listed_in_order() -> None:
    assert _states([migration(2), migration("views")], [row(10), failed(1), partial(3), row("old"), row(2)]) == [
        ("v1.0.0-001", State.FAILED), ("v1.0.0-002", State.APPLIED), ("v1.0.0-003", State.PARTIAL),
        ("v1.0.0-010", State.MISSING),
        ("R__old", State.MISSING), ("R__views", State.PENDING),
    ]  # fmt: skip


@given(st.sets(st.integers(1, 12)), st.sets(st.integers(1, 12)))
def test_statuses_are_complete_and_ordered_by_version(files: set[int], rows: set[int]) -> None:
    found = statuses([migration(number) for number in sorted(files)], [row(number) for number in rows])
    assert [status.version for status in found] == [version(number) for number in sorted(files | rows)]


@pytest.mark.parametrize(
    ("files", "rows", "code", "level", "location"),
    [
        ([1], [row(1, checksum="other")], "changed", ProblemLevel.ERROR, Location("m/V1.0.0-001__step.up.sql")),
        ([1, 2], [row(2)], "out-of-order", ProblemLevel.ERROR, Location("m/V1.0.0-001__step.up.sql")),
        ([2], [row(1), row(2)], "missing", ProblemLevel.ERROR, None),
        ([1], [row(1), row(2)], "newer", ProblemLevel.WARNING, None),
        ([], [row(1)], "newer", ProblemLevel.WARNING, None),
        ([], [row("views")], "missing", ProblemLevel.ERROR, None),
        ([], [partial(1)], "missing", ProblemLevel.ERROR, None),
        ([], [partial("views")], "missing", ProblemLevel.ERROR, None),
        ([], [partial(1, Action.ROLL_BACK)], "missing", ProblemLevel.ERROR, None),
        ([], [failed(1, action="rollback")], "missing", ProblemLevel.ERROR, None),
        ([1], [partial(1, Action.ROLL_BACK)], "half-rolled-back", ProblemLevel.ERROR, UP),
    ],
)  # fmt: skip
def test_each_obstacle_to_migrate_is_a_problem(
    files: list[int], rows: list[Applied], code: str, level: ProblemLevel, location: Location | None
) -> None:
    (problem,) = problems(statuses([migration(number) for number in files], rows))
    assert (problem.code, problem.level, problem.location) == (code, level, location)
    assert problem.hint
    assert problem.message.startswith((*(applied.id for applied in rows), "v1.0.0-001"))


@pytest.mark.parametrize(
    "rows", [[], [row(1)], [failed(1)], [partial(1)], [row(1, action=FILE_REMOVED), row("gone", action=FILE_REMOVED)]]
)
def test_a_status_that_migrate_can_continue_from_is_no_problem(rows: list[Applied]) -> None:
    assert problems(statuses([migration(1)], rows)) == []


def test_every_problem_is_returned() -> None:
    found = problems(statuses(FILES, [row(2, checksum="x"), row(3, checksum="x"), row("old")]))
    assert [problem.code for problem in found] == ["out-of-order", "changed", "changed", "missing"]


@pytest.mark.parametrize(
    ("rows", "target", "expected"),
    [
        ([], None, [1, 2, 3, "views"]),
        ([], 2, [1, 2]),
        ([row(1)], 1, []),
        ([row(1), failed(2)], None, [2, 3, "views"]),
        ([row(1), partial(2)], 2, [2]),
        ([row(1), row(2), row(3), row("views")], None, []),
        ([row(1), row(2), row(3), row("views", checksum="old")], None, ["views"]),
    ],
)
def test_unapplied_migrations_are_planned_in_order(
    rows: list[Applied], target: int | None, expected: list[int | str]
) -> None:
    found = statuses(FILES, rows)
    plan = plan_apply(found, None if target is None else version(target))
    assert (numbers(plan.steps), plan.problems) == (expected, ())
    assert {step.action for step in plan.steps} <= {Action.APPLY}
    planned = [step.migration for step in plan.steps]
    assert [step.row for step in plan.steps] == [status.applied for status in found if status.migration in planned]


@pytest.mark.parametrize("removed", [failed(2), failed(9), failed("gone")])
def test_a_failed_migration_whose_file_was_deleted_is_no_obstacle(removed: Applied) -> None:
    found = statuses([migration(1), migration(3)], [row(1), removed])
    assert [status.state for status in found if status.migration is None] == [State.FAILED]
    assert problems(found) == []
    plan = plan_apply(found)
    assert (numbers(plan.steps), plan.problems) == ([3], ())
    back = plan_rollback(found, None, 2)
    assert (numbers(back.steps), back.problems) == ([1], ())


@pytest.mark.parametrize(
    ("left", "message", "command"),
    [
        (partial(2), "v1.0.0-002 is partially applied, but its file does not exist", "sqlmigrate migrate"),
        (partial("gone"), "R__gone is partially applied, but its file does not exist", "sqlmigrate migrate"),
        (
            partial(2, Action.ROLL_BACK),
            "v1.0.0-002 is partially rolled back, but its files do not exist",
            "sqlmigrate rollback --steps 1",
        ),
    ],
)
def test_what_is_left_in_part_without_a_file_says_how_to_finish_it(left: Applied, message: str, command: str) -> None:
    (problem,) = problems(statuses([migration(1)], [row(1), left]))
    assert problem.message == message
    assert command in problem.hint
    assert "delete its row" in problem.hint


def test_an_out_of_order_migration_is_applied_only_if_allowed() -> None:
    found = statuses(FILES, [row(2)])
    assert _codes(plan_apply(found)) == ["out-of-order"]
    plan = plan_apply(found, out_of_order=True)
    assert (numbers(plan.steps), plan.problems) == ([1, 3, "views"], ())


def test_a_target_must_exist() -> None:
    plan = plan_apply(statuses(FILES, []), version(9))
    assert (_codes(plan), plan.problems[0].message) == (["unknown-target"], "version v1.0.0-009 does not exist")


@pytest.mark.parametrize(
    ("to", "steps", "expected"),
    [(None, 1, [3]), (None, 2, [3, 2]), (None, 9, [3, 2, 1]), (1, None, [3, 2]), (3, None, [])],
)
def test_the_newest_migration_is_rolled_back_first(to: int | None, steps: int | None, expected: list[int]) -> None:
    rows = [row(1), row(2), row(3), row("views")]
    plan = plan_rollback(statuses(FILES, rows), None if to is None else version(to), steps)
    assert (numbers(plan.steps), plan.problems) == (expected, ())
    assert {(step.action, step.path.endswith(".down.sql")) for step in plan.steps} <= {(Action.ROLL_BACK, True)}


def test_a_migration_without_effect_is_not_rolled_back() -> None:
    plan = plan_rollback(statuses(FILES, [row(1), failed(2)]), None, 1)
    assert numbers(plan.steps) == [1]


def test_an_unfinished_rollback_is_finished() -> None:
    plan = plan_rollback(statuses(FILES, [row(1), partial(2, Action.ROLL_BACK)]), None, 1)
    assert (numbers(plan.steps), plan.problems) == ([2], ())


@pytest.mark.parametrize(
    ("files", "applied", "code"),
    [
        ([], row(2), "missing"),
        ([migration(2)], partial(2), "partial"),
        ([migration(2, down=False)], row(2), "no-down"),
    ],
)
def test_a_migration_that_cannot_be_rolled_back_is_a_problem(
    files: list[Migration], applied: Applied, code: str
) -> None:
    plan = plan_rollback(statuses([migration(1), *files], [row(1), applied]), version(1))
    assert _codes(plan) == [code]
    assert plan.problems[0].hint


@pytest.mark.parametrize("to", [2, 9])
def test_a_rollback_requires_an_applied_version(to: int) -> None:
    plan = plan_rollback(statuses(FILES, [row(1)]), version(to))
    assert (plan.steps, _codes(plan)) == ((), ["unknown-version"])


@pytest.mark.parametrize(
    ("rows", "number", "expected", "codes"),
    [
        ([], 2, [1, 2], []),
        ([row(1)], 3, [2, 3], []),
        ([failed(1)], 1, [1], []),
        ([row(1)], 1, [], []),
        ([row(9)], 9, [1, 2, 3], ["unknown-version"]),
    ],
)
def test_a_baseline_marks_a_version_and_all_earlier_versions(
    rows: list[Applied], number: int, expected: list[int], codes: list[str]
) -> None:
    plan = plan_baseline(statuses(FILES, rows), version(number))
    assert (numbers(plan.steps), _codes(plan)) == (expected, codes)


@pytest.mark.parametrize(("number", "expected"), [(2, version(2)), ("views", None)])
def test_a_row_without_a_file_becomes_a_migration(number: int | str, expected: object) -> None:
    found = migration_of(row(number))
    assert (found.id, found.version, found.name, found.up, found.checksum) == (
        row(number).id,
        expected,
        "step",
        "",
        "same",
    )


def test_a_migration_without_a_down_file_is_a_warning() -> None:
    found = without_down([migration(1), migration(2, down=False), migration("views")])
    assert [(problem.code, problem.level, str(problem.location)) for problem in found] == [
        ("no-down", ProblemLevel.WARNING, "m/V1.0.0-002__step.up.sql")
    ]


def test_a_rollback_has_no_step_for_a_migration_without_a_down_file() -> None:
    plan = plan_rollback(statuses([migration(1), migration(2, down=False)], [row(1), row(2)]), None, 2)
    assert [step.path for step in plan.steps] == ["m/V1.0.0-001__step.down.sql"]
    assert _codes(plan) == ["no-down"]


def test_only_errors_stop_a_plan() -> None:
    plan = plan_apply(statuses([migration(1), migration(2)], [row(1, checksum="x"), row(2), row(3)]))
    assert (_codes(plan), [problem.code for problem in plan.errors]) == (["changed", "newer"], ["changed"])


NEWER_DATABASE = [row(1), row(2)]


@pytest.mark.parametrize(
    ("applied", "state"),
    [
        (row("views", checksum="other"), State.SUPERSEDED),
        (failed("views", checksum="other"), State.SUPERSEDED),
        (failed("views"), State.FAILED),
        (row("views"), State.APPLIED),
        (None, State.PENDING),
    ],
)
def test_an_older_release_does_not_replace_the_repeatable_migrations_of_a_newer_one(
    applied: Applied | None, state: State
) -> None:
    rows = [*NEWER_DATABASE, *([applied] if applied else [])]

    assert _states([migration(1), migration("views")], rows)[-1] == ("R__views", state)


@pytest.mark.parametrize(
    "rows", [[row(1)], [row(1), failed(2)], [row(1), row(2, action=FILE_REMOVED)]], ids=["same", "failed", "removed"]
)
def test_a_database_without_newer_versions_gets_changed_repeatable_migrations(rows: list[Applied]) -> None:
    changed = row("views", checksum="other")

    assert _states([migration(1), migration("views")], [*rows, changed])[-1] == ("R__views", State.PENDING)


def test_a_plan_says_that_it_leaves_a_superseded_migration_alone() -> None:
    plan = plan_apply(statuses([migration(1), migration("views")], [*NEWER_DATABASE, row("views", checksum="other")]))

    assert plan.steps == ()
    assert [(problem.code, problem.level) for problem in plan.problems] == [
        ("newer", ProblemLevel.WARNING),
        ("superseded", ProblemLevel.WARNING),
    ]


class _Counted(Version):
    """A version that counts its comparisons."""

    compared = 0

    def __lt__(self, other: object) -> bool:
        _Counted.compared += 1
        return tuple(self) < other  # type: ignore[operator]  # it is compared with versions only

    def __gt__(self, other: object) -> bool:
        _Counted.compared += 1
        return tuple(self) > other  # type: ignore[operator]  # it is compared with versions only


def _comparisons(count: int) -> int:
    files = [migration(number)._replace(version=_Counted(1, 0, 0, number)) for number in range(1, count + 1)]
    _Counted.compared = 0
    statuses(files, [row(number) for number in range(1, count + 1)])
    return _Counted.compared


def test_the_comparisons_of_versions_grow_with_the_number_of_files() -> None:
    assert _comparisons(200) <= 2 * _comparisons(100) + 10
