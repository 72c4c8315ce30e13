from __future__ import annotations

import importlib
import inspect
import re

import pytest

import sqlmigrate
from sqlmigrate import errors
from sqlmigrate.errors import Interrupted, PlanRefused, SqlMigrateError, StatementFailed
from sqlmigrate.model import Problem, ServerReport

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
def test_a_refused_plan_counts_its_problems(count: int, words: str) -> None:
    error = PlanRefused([Problem("changed", "x")] * count)
    assert (str(error), len(error.problems)) == (f"nothing was run: {words}", count)


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
