"""The checksum in the history is that of the bytes that were sent, even if a file is swapped during the run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlmigrate.errors import PlanRefused, ScriptError, SqlMigrateError
from sqlmigrate.files import source
from sqlmigrate.model import Action, PlanRequest
from sqlmigrate.planning import plan_file
from tests.project import Project

FIRST, SECOND = "create table a (n int);", "create table b (n int);"
COPY = "create table t (n int);\ncopy t from stdin;\n{}\\.\n"
ROWS = ["".join(f"{number + first}\n" for number in range(200_000)) for first in (100_000, 500_000)]


def link(project: Project, name: str, texts: list[str]) -> Callable[[], None]:
    """Makes a migration file that is a link; the returned function turns it to a file of the same size and times."""
    project.directory.mkdir(exist_ok=True)
    targets = [project.root / f"{number}.txt" for number in (1, 2)]
    for target, text in zip(targets, texts, strict=True):
        target.write_text(text)
        os.utime(target, (1, 1))
    path = project.directory / name
    path.symlink_to(targets[0])

    def turn() -> None:
        path.unlink()
        path.symlink_to(targets[1])

    return turn


def before(monkeypatch: pytest.MonkeyPatch, holder: object, name: str, act: Callable[[], None], nth: int = 1) -> None:
    """Does something before the nth call of a function."""
    function, calls = getattr(holder, name), []

    def wrapped(*arguments: object, **more: object) -> object:
        calls.append(name)
        if len(calls) == nth:
            act()
        return function(*arguments, **more)

    monkeypatch.setattr(holder, name, wrapped)


def tables(project: Project) -> list[str]:
    names = "select relname::text from pg_class where relname in ('a', 'b', 't') order by 1"
    return [row[0] for row in project.query(names)]


def messages(error: SqlMigrateError) -> list[str]:
    return [problem.message for problem in error.problems] if isinstance(error, PlanRefused) else [error.message]


@pytest.mark.parametrize(
    ("holder", "name"), [(source, "open_script"), (source.Source, "text")], ids=["before parsing", "before sending"]
)
def test_a_file_swapped_after_it_was_hashed_is_not_sent(
    project: Project, monkeypatch: pytest.MonkeyPatch, holder: object, name: str
) -> None:
    turn = link(project, "V1.0.0-001__a.up.sql", [FIRST, SECOND])
    before(monkeypatch, holder, name, turn)

    with pytest.raises(SqlMigrateError) as refused:
        project.migrator().migrate()

    assert "the file was changed" in messages(refused.value)[0]
    assert tables(project) == []


def test_rows_swapped_before_they_are_sent_are_not_stored(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = link(project, "V1.0.0-001__a.up.sql", [COPY.format(rows) for rows in ROWS])
    before(monkeypatch, source.Source, "rows", turn)

    with pytest.raises(SqlMigrateError, match="was changed"):
        project.migrator().migrate()

    assert tables(project) == []


def test_a_file_swapped_before_it_is_read_with_other_segments_is_not_sent(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add(1, "create type e as enum ('x');")
    uses_value = "alter type e add value 'y';\ncreate table {} (e e default 'y');"
    turn = link(project, "V1.0.0-002__a.up.sql", [uses_value.format("a"), uses_value.format("b")])
    before(monkeypatch, source, "open_script", turn, nth=3)

    with pytest.raises(SqlMigrateError, match="was changed"):
        project.migrator().migrate()

    assert tables(project) == []


def test_a_hook_swapped_after_it_was_hashed_is_not_sent(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = link(project, "before_each.sql", [FIRST, SECOND])
    project.add(1, "select 1;")
    before(monkeypatch, source, "open_script", turn)

    with pytest.raises(ScriptError, match="was changed"):
        project.migrator().migrate()

    assert tables(project) == []


@pytest.mark.parametrize(
    ("function", "nth", "message"),
    [
        ("open_script", 1, "the plan is out of date: the file of v1.0.0-001 (rollback) was changed"),
        ("checksum", 2, "the file was changed during the run"),
        ("open_script", 2, "the plan shows other SQL than the files contain"),
    ],
)
def test_a_down_file_swapped_under_a_plan_is_not_sent(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, function: str, nth: int, message: str
) -> None:
    project.add(1, FIRST + SECOND)
    turn = link(project, "V1.0.0-001__step.down.sql", ["drop table a;", "drop table b;"])
    project.migrator().migrate()
    plan = tmp_path / "plan.json"
    assert project.cli("plan", "--rollback", "--steps", "1", "--out", str(plan)).returncode == 0
    file = plan_file.read(str(plan))
    before(monkeypatch, source, function, turn, nth)

    with pytest.raises(SqlMigrateError) as refused:
        project.migrator().run(PlanRequest(Action.ROLL_BACK, steps=1), file)

    assert messages(refused.value)[0].startswith(message)
    assert tables(project) == ["a", "b"]
