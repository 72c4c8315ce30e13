from __future__ import annotations

import importlib
import inspect
import re
from traceback import format_exception as traceback_of

import pytest

import sqlmigrate
from sqlmigrate import errors
from sqlmigrate.errors import Interrupted, MigrationFailed, PlanRefused, SqlMigrateError, StatementFailed
from sqlmigrate.model import Location, Problem, ServerReport
from tests.unit.samples import step

PLACE = Location("m/a.sql", 3, 4)

CLASSES = {
    name: value for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, SqlMigrateError)
}


def _tree() -> dict[str, tuple[str, str]]:
    """Returns parent and exit codes of each class in the docstring's tree; a class without codes inherits them."""
    found: dict[str, tuple[str, str]] = {}
    path: list[str] = []
    for indent, name, codes in re.findall(
        r"^    ([│├└─ ]*)(\w+) +(?:exit code )?([\d, ]*)", errors.__doc__ or "", re.MULTILINE
    ):
        depth = len(indent) // 4
        path[depth:] = [name]
        parent = path[depth - 1] if depth else "Exception"
        found[name] = (parent, codes.strip() or found[parent][1])
    return found


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    assert {name: error.__mro__[1].__name__ for name, error in CLASSES.items()} == {
        name: parent for name, (parent, _) in _tree().items()
    }


def test_every_error_has_the_exit_code_of_the_docstring() -> None:
    codes = {name: str(error.exit_code) for name, error in CLASSES.items()}
    codes["Interrupted"] = ", ".join(str(Interrupted(number).exit_code) for number in (1, 2, 15))
    assert codes == {name: code for name, (_, code) in _tree().items()}


def test_every_error_has_a_docstring() -> None:
    assert [name for name, error in CLASSES.items() if not error.__doc__] == []


@pytest.mark.parametrize(("number", "name"), [(2, "SIGINT"), (15, "SIGTERM")])
def test_an_interruption_names_its_signal(number: int, name: str) -> None:
    assert Interrupted(number).message == f"interrupted by {name}"


@pytest.mark.parametrize(("count", "words"), [(1, "1 problem"), (2, "2 problems")])
def test_the_message_of_a_refused_plan_counts_its_problems(count: int, words: str) -> None:
    error = PlanRefused([Problem("changed", "x")] * count)
    assert (error.message, len(error.problems)) == (f"nothing was run: {words}", count)


@pytest.mark.parametrize(("count", "more"), [(1, ""), (2, " (and 1 more)"), (3, " (and 2 more)")])
def test_a_refused_plan_as_text_names_its_first_problem(count: int, more: str) -> None:
    problems = [Problem("changed", f"problem {number}", PLACE) for number in range(count)]
    assert str(PlanRefused(problems)) == f"nothing was run: m/a.sql:3:4: problem 0 [changed]{more}"


def test_a_refused_plan_without_a_location_or_a_problem_has_a_text_too() -> None:
    assert str(PlanRefused([Problem("approval", "not approved")])) == "nothing was run: not approved [approval]"
    assert str(PlanRefused([])) == "nothing was run: 0 problems"
    only_read = PlanRefused([Problem("unknown-version", "it does not exist")], prevents_run=False)
    assert (only_read.message, str(only_read)) == ("it does not exist", "it does not exist [unknown-version]")


def _made(error: type[SqlMigrateError]) -> SqlMigrateError:
    """Returns an error of a class, with a message and a location as the class takes them."""
    if issubclass(error, PlanRefused):
        return error([Problem("changed", "the message", PLACE)])
    if issubclass(error, StatementFailed):
        return error(ServerReport("the message", "42P01"), PLACE)
    if issubclass(error, MigrationFailed):
        return error("the message", step(1), [], PLACE)
    return error("the message", PLACE)


@pytest.mark.parametrize("error", [pytest.param(error, id=name) for name, error in CLASSES.items()])
def test_every_error_as_text_names_its_location_and_what_is_wrong(error: type[SqlMigrateError]) -> None:
    if issubclass(error, Interrupted):  # has no location
        assert str(error(2)) == "interrupted by SIGINT"
        return
    failure = _made(error)
    traceback = "".join(traceback_of(failure))
    assert "m/a.sql:3:4: the message" in str(failure)
    assert "m/a.sql:3:4: the message" in traceback
    failure.location = None
    assert "the message" in str(failure)


def test_an_error_that_got_its_location_later_names_it() -> None:
    error = StatementFailed(ServerReport("no such table", "42P01"))
    error.location, error.message = PLACE, "no such relation"
    assert str(error) == "m/a.sql:3:4: no such relation"


def test_a_failed_statement_has_the_hint_of_the_server() -> None:
    report = ServerReport("no such table", "42P01", hint="look again")
    assert StatementFailed(report).hint == "look again"
    assert StatementFailed(report, hint="ours").hint == "ours"


def test_the_public_names_are_sorted_and_importable() -> None:
    assert sqlmigrate.__all__ == sorted(sqlmigrate.__all__)
    assert all(getattr(sqlmigrate, name) for name in sqlmigrate.__all__)
    assert sqlmigrate.SqlMigrateError is SqlMigrateError


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module("sqlmigrate").nothing  # noqa: B018  # the test is about the attribute access


def test_a_deprecated_name_still_works_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match="use LockNotAvailable"):
        assert errors.LockNotHad is errors.LockNotAvailable
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        errors.nothing  # noqa: B018  # the test is about the attribute access
