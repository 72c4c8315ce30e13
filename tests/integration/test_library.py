"""The library, called as a programmer calls it who has read only docs/library.md."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import sqlmigrate
from sqlmigrate import Migrator, Version, load_settings
from sqlmigrate.errors import ConfigurationError
from tests.project import Project

FIRST = Version(1, 0, 0, 1)


@pytest.mark.parametrize("version", [FIRST, "v1.0.0-001", "V1.0.0-001", "1.0.0-1"])
def test_a_version_may_be_text(project: Project, version: Version | str) -> None:
    for number in (1, 2):
        project.add(number, f"create table t{number} ();", f"drop table t{number};")
    migrator = project.migrator()

    assert [step.migration.version for step in migrator.plan(version).steps] == [FIRST]
    assert [step.migration.version for step in migrator.migrate(version).steps] == [FIRST]
    assert [detail.standing.version for detail in migrator.info(version)] == [FIRST]
    assert [entry.version for entry in migrator.history(version)] == ["v1.0.0-001"]
    assert migrator.plan_repair(version) == migrator.repair(version) == []
    migrator.migrate()
    assert len(migrator.plan_rollback(version).steps) == len(migrator.rollback(version).steps) == 1
    project.query("delete from migrations")
    assert [step.migration.version for step in migrator.baseline(version).steps] == [FIRST]


@pytest.mark.parametrize(
    "call",
    [
        lambda migrator: migrator.migrate("v9"),
        lambda migrator: migrator.plan("v9"),
        lambda migrator: migrator.rollback("v9"),
        lambda migrator: migrator.plan_rollback("v9"),
        lambda migrator: migrator.info("v9"),
        lambda migrator: migrator.history("v9"),
        lambda migrator: migrator.plan_repair("v9"),
        lambda migrator: migrator.repair("v9"),
        lambda migrator: migrator.baseline("v9"),
    ],
)
def test_text_that_is_no_version_is_refused(project: Project, call: Callable[[Migrator], object]) -> None:
    project.add(1, "create table t ();")

    with pytest.raises(ConfigurationError, match="'v9' is not a version"):
        call(project.migrator())


def test_a_number_is_no_version(project: Project) -> None:
    project.add(1, "create table t ();")

    for call in (Migrator.rollback, Migrator.plan_rollback, Migrator.migrate, Migrator.info, Migrator.baseline):
        with pytest.raises(ConfigurationError, match="1 is not a version") as caught:
            call(project.migrator(), 1)  # type: ignore[arg-type]
        assert caught.value.hint == 'write a version such as "v2.0.0-001"; a number of migrations is steps=N'


@pytest.mark.parametrize(
    ("name", "hint"),
    [("databse_url", "did you mean database_url?"), ("dirs", "did you mean dir?"), ("env", "valid names: ")],
)
def test_an_unknown_setting_is_refused(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown setting '{name}'") as caught:
        load_settings({"database_url": "postgresql://h/d", name: "x"}, {})

    assert hint in caught.value.hint


def test_an_interactive_shell_lists_the_public_names() -> None:
    assert set(sqlmigrate.__all__) <= set(dir(sqlmigrate))
