"""`redo`: takes the last migrations back and applies them again, under one lock."""

from __future__ import annotations

import pytest

from sqlmigrate import Migrator, load_settings
from sqlmigrate.errors import Interrupted, MigrationFailed, PlanRefused
from sqlmigrate.events import Began, Event, Finished
from sqlmigrate.model import Action
from tests.project import Project

pytestmark = pytest.mark.anywhere


@pytest.fixture
def shop(project: Project) -> Project:
    for number in (1, 2, 3):
        project.add(number, f"create table t{number} (id int);", f"drop table t{number};")
    project.migrator().migrate()
    return project


def finished(project: Project) -> list[tuple[str, str]]:
    return [
        (event.step.action.value, event.step.migration.id) for event in project.events if isinstance(event, Finished)
    ]


def log(project: Project) -> list[tuple[str, str, str]]:
    return [
        tuple(row) for row in project.query("select action, version, outcome from migrations_log order by id offset 3")
    ]


def test_the_last_migration_is_taken_back_and_applied_again_with_its_new_text(shop: Project) -> None:
    shop.add(3, "create table t3 (id int, name text);", "drop table t3;")
    shop.events.clear()

    run = shop.migrator().redo()

    assert [(step.action, step.migration.id) for step in run.steps] == [(Action.APPLY, "v1.0.0-003")]
    assert finished(shop) == [("rollback", "v1.0.0-003"), ("apply", "v1.0.0-003")]
    assert log(shop) == [("rollback", "v1.0.0-003", "success"), ("apply", "v1.0.0-003", "success")]
    assert shop.value("select count(*) from information_schema.columns where table_name = 't3'") == 2
    assert shop.versions() == [(f"v1.0.0-00{number}", True) for number in (1, 2, 3)]
    assert shop.migrator().check().up_to_date


def test_several_migrations_are_taken_back_newest_first_and_applied_oldest_first(shop: Project) -> None:
    shop.events.clear()
    shop.migrator().redo(steps=2)
    assert finished(shop) == [
        ("rollback", "v1.0.0-003"), ("rollback", "v1.0.0-002"), ("apply", "v1.0.0-002"), ("apply", "v1.0.0-003"),
    ]  # fmt: skip
    assert len(shop.query("select from migrations_runs where ended_at is null")) == 0


def test_other_pending_migrations_stay_pending(shop: Project) -> None:
    shop.add(4, "create table t4 (id int);", "drop table t4;")
    shop.write("V0.9.0-001__late.up.sql", "select 1;")
    shop.write("R__views.sql", "create or replace view v as select 1 as one;")
    shop.events.clear()
    shop.migrator().redo()
    assert finished(shop) == [("rollback", "v1.0.0-003"), ("apply", "v1.0.0-003")]


def test_all_migrations_can_be_redone(shop: Project) -> None:
    shop.migrator().redo(steps=9)
    assert shop.versions() == [(f"v1.0.0-00{number}", True) for number in (1, 2, 3)]
    assert len(log(shop)) == 6


def test_hooks_run_around_the_second_part_as_in_migrate(shop: Project) -> None:
    shop.query("create table seen (what text)")
    for hook in ("before_migrate", "after_migrate", "before_each", "after_each"):
        shop.write(f"{hook}.sql", f"insert into seen values ('{hook}');")
    shop.migrator().redo()
    assert [what for (what,) in shop.query("select what from seen")] == [
        "before_migrate", "before_each", "after_each", "after_migrate",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda shop: (shop.directory / "V1.0.0-002__step.down.sql").unlink(), "no-down"),
        (
            lambda shop: [path.unlink() for path in shop.directory.glob("V1.0.0-002*")],
            "missing",
        ),
        (lambda shop: shop.add(2, "select 1;\n\\copy t from x\n"), "psql-command"),
        (lambda shop: shop.add(1, "select 'changed';", "drop table t1;"), "changed"),
        (lambda shop: shop.add(4, "select 1;\nvacuum;\nselect 1 / 0;") and shop.cli("migrate"), "partial"),
    ],
)
def test_what_cannot_be_redone_is_refused_before_anything_is_sent(shop: Project, change: object, code: str) -> None:
    assert callable(change)
    change(shop)
    before = shop.query("select * from migrations_log")
    with pytest.raises(PlanRefused) as caught:
        shop.migrator().redo(steps=2)
    assert code in [problem.code for problem in caught.value.problems]
    assert shop.query("select * from migrations_log") == before


def test_a_failed_second_part_says_what_is_rolled_back_and_what_to_do(shop: Project) -> None:
    shop.add(2, "create table t2 (id int);\nselect 1 / 0;", "drop table t2;")
    with pytest.raises(MigrationFailed) as caught:
        shop.migrator().redo(steps=2)
    assert "v1.0.0-002, v1.0.0-003 are rolled back, and not applied again" in caught.value.hint
    assert "sqlmigrate migrate" in caught.value.hint
    assert [row[:2] for row in shop.query("select version, success from migrations order by 1")] == [
        ("v1.0.0-001", True), ("v1.0.0-002", False),
    ]  # fmt: skip
    shop.add(2, "create table t2 (id int);", "drop table t2;")
    shop.migrator().migrate()
    assert shop.versions() == [(f"v1.0.0-00{number}", True) for number in (1, 2, 3)]


def test_what_was_applied_again_before_the_failure_is_not_listed(shop: Project) -> None:
    shop.add(3, "select 1 / 0;", "drop table t3;")
    with pytest.raises(MigrationFailed) as caught:
        shop.migrator().redo(steps=2)
    assert "v1.0.0-003 is rolled back, and not applied again" in caught.value.hint


def test_an_interruption_between_the_parts_says_what_is_rolled_back(shop: Project) -> None:
    runs: list[Began] = []

    def interrupt(event: Event) -> None:
        if isinstance(event, Began):
            runs.append(event)
            if len(runs) == 2:
                raise Interrupted(2)

    settings = load_settings({"database_url": shop.database, "dir": (str(shop.directory),)}, {})
    with pytest.raises(Interrupted) as caught:
        Migrator(settings, interrupt).redo()
    assert "v1.0.0-003 is rolled back, and not applied again" in caught.value.hint
    assert shop.has_free_lock()
    shop.migrator().migrate()
    assert shop.versions() == [(f"v1.0.0-00{number}", True) for number in (1, 2, 3)]


def test_another_run_cannot_come_between_the_parts(shop: Project) -> None:
    held: list[bool] = []

    def look(event: Event) -> None:
        if isinstance(event, Began):
            held.append(shop.migrator().lock_holder() is not None)

    settings = load_settings({"database_url": shop.database, "dir": (str(shop.directory),)}, {})
    Migrator(settings, look).redo()
    assert held == [True, True]
    assert shop.has_free_lock()


def test_a_failed_first_part_applies_nothing(shop: Project) -> None:
    shop.add(2, "create table t2 (id int);", "select 1 / 0;")
    with pytest.raises(MigrationFailed) as caught:
        shop.migrator().redo(steps=2)
    assert (caught.value.step.action, "not applied again" in caught.value.hint) == (Action.ROLL_BACK, True)
    assert "v1.0.0-003 is rolled back, and not applied again" in caught.value.hint
    assert shop.versions() == [("v1.0.0-001", True), ("v1.0.0-002", True)]


def test_the_command_asks_first_and_yes_answers(shop: Project) -> None:
    unasked = shop.cli("redo")
    assert (unasked.returncode, "not confirmed" in unasked.stderr) == (2, True)
    assert "roll back  v1.0.0-003  step\n  apply      v1.0.0-003  step\n" in unasked.stdout
    assert log(shop) == []

    done = shop.cli("redo", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 migration rolled back and applied again")
    assert len(log(shop)) == 2
    assert shop.cli("redo", "--steps", "0", "--yes").returncode == 2


def test_there_is_nothing_to_redo_without_an_applied_migration(project: Project) -> None:
    project.add(1, "select 1;", "select 1;")
    ran = project.cli("redo", "--yes")
    assert (ran.returncode, ran.stdout) == (0, "nothing to do\n")


def test_a_database_that_requires_approvals_refuses(shop: Project) -> None:
    (shop.root / "sqlmigrate.toml").write_text("require_approval = true\n")
    ran = shop.cli("redo", "--yes")
    assert (ran.returncode, "[not-approved]" in ran.stderr) == (1, True)
    assert log(shop) == []


def test_a_dry_run_shows_both_parts_and_changes_nothing(shop: Project) -> None:
    ran = shop.cli("redo", "--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.index("drop table t3;") < ran.stdout.index("create table t3 (id int);")
    assert log(shop) == []


def test_each_line_says_whether_it_is_the_way_back(shop: Project) -> None:
    back, forth = shop.cli("redo", "--yes").stderr.splitlines()

    assert "  rolled back  " in back
    assert "rolled back" not in forth
