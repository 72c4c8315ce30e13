"""`renumber`: two who generate at once, on two branches; what the history, git and a person say of it."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.authoring.renumber import Move, RenumberRequest, do
from sqlmigrate.errors import ConfigurationError, PlanRefused
from sqlmigrate.events import WaitingForLock
from sqlmigrate.files import atomic
from sqlmigrate.server.lock import key_of
from tests.polling import until
from tests.project import Project

pytestmark = pytest.mark.anywhere

NOWHERE = RenumberRequest(applied_nowhere=True)


def git(project: Project, *arguments: str) -> None:
    command = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd=project.root)


def commit(project: Project, message: str = "more") -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", message)


def on_disk(project: Project) -> list[str]:
    return sorted(path.name for path in project.directory.iterdir())


def moves(project: Project, request: RenumberRequest = NOWHERE) -> list[tuple[str, str]]:
    made = project.migrator().plan_renumber(request)
    return [(Path(old).name, Path(new).name) for move in made.moves for old, new in move.files]


def refusal(project: Project, request: RenumberRequest) -> tuple[str, str]:
    """Returns the code and the hint of the only problem."""
    with pytest.raises(PlanRefused) as caught:
        project.migrator().plan_renumber(request)
    (problem,) = caught.value.problems
    return problem.code, problem.hint


@pytest.fixture
def merged(project: Project) -> Project:
    """A branch with two migrations of its own, the first of a version that main, merged since, has as well."""
    git(project, "init", "-qb", "main")
    project.add(1, "create table t (a int);", "drop table t;")
    commit(project)
    git(project, "checkout", "-qb", "mine")
    project.add(2, "create table mine (a int);", "drop table mine;", "mine")
    project.add(3, "create index on mine (a);", "select 1;", "mine")
    commit(project)
    git(project, "checkout", "-q", "main")
    project.add(2, "create table theirs (a int);", "drop table theirs;", "theirs")
    commit(project)
    git(project, "checkout", "-q", "mine")
    git(project, "merge", "-q", "main", "-m", "merged")
    return project


def test_files_of_main_stay_and_later_files_of_the_branch_move_too(merged: Project) -> None:
    made = merged.migrator().renumber(NOWHERE)

    assert [(str(move.before), str(move.after)) for move in made.moves] == [
        ("v1.0.0-002", "v1.0.0-003"),
        ("v1.0.0-003", "v1.0.0-004"),
    ]
    assert on_disk(merged) == [
        "V1.0.0-001__step.down.sql", "V1.0.0-001__step.up.sql",
        "V1.0.0-002__theirs.down.sql", "V1.0.0-002__theirs.up.sql",
        "V1.0.0-003__mine.down.sql", "V1.0.0-003__mine.up.sql",
        "V1.0.0-004__mine.down.sql", "V1.0.0-004__mine.up.sql",
    ]  # fmt: skip
    assert (merged.directory / "V1.0.0-003__mine.up.sql").read_text() == "create table mine (a int);"
    assert len(merged.migrator().migrate().steps) == 4
    assert moves(merged, RenumberRequest()) == []


def test_validate_reports_both_files_with_and_without_a_database(merged: Project) -> None:
    found = [problem.hint for problem in merged.migrator().validate() if problem.code == "duplicate-version"]
    shown = merged.cli("validate", "migrations")

    assert ["sqlmigrate renumber" in hint for hint in found] == [True, True]  # the up files, the down files
    assert shown.returncode == 1
    assert shown.stdout.count("[duplicate-version]") == 2


def test_an_applied_migration_stays_regardless_of_git(merged: Project) -> None:
    theirs = list(merged.directory.glob("*theirs*"))
    texts = {path: path.read_text() for path in theirs}
    for path in theirs:
        path.unlink()
    merged.migrator().migrate()
    for path, text in texts.items():
        path.write_text(text)

    assert moves(merged, RenumberRequest()) == [
        ("V1.0.0-002__theirs.up.sql", "V1.0.0-004__theirs.up.sql"),
        ("V1.0.0-002__theirs.down.sql", "V1.0.0-004__theirs.down.sql"),
    ]
    mine = str(merged.directory / "V1.0.0-002__mine.up.sql")
    assert refusal(merged, RenumberRequest((mine,))) == (
        "applied",
        "an applied migration keeps its version; write a new migration",
    )


def test_repair_updates_no_checksum_while_two_files_have_the_version(merged: Project) -> None:
    for repair in (merged.migrator().plan_repair, merged.migrator().repair):
        with pytest.raises(PlanRefused) as caught:
            repair()
        assert {problem.code for problem in caught.value.problems} == {"duplicate-version"}


def test_of_two_files_on_main_the_later_file_moves(merged: Project) -> None:
    git(merged, "checkout", "-q", "main")
    git(merged, "merge", "-q", "--no-ff", "mine", "-m", "and ours")

    assert moves(merged)[0] == ("V1.0.0-002__mine.up.sql", "V1.0.0-004__mine.up.sql")
    assert moves(merged, RenumberRequest(base="main~1", applied_nowhere=True))[0][1] == "V1.0.0-003__mine.up.sql"


def test_an_undecided_pair_requires_the_name_of_a_file(project: Project) -> None:
    first = project.add(1, "select 1;", "select 1;", "one")
    other = project.add(1, "select 1;", "select 1;", "other")

    code, hint = refusal(project, NOWHERE)
    assert (code, hint) == ("undecided", f"name the file to renumber: `sqlmigrate renumber {other}`")
    assert moves(project, RenumberRequest((str(first),), applied_nowhere=True)) == [
        ("V1.0.0-001__one.up.sql", "V1.0.0-002__one.up.sql"),
        ("V1.0.0-001__one.down.sql", "V1.0.0-002__one.down.sql"),
    ]
    with pytest.raises(ConfigurationError, match=r"2 migrations have the version v1\.0\.0-001"):
        moves(project, RenumberRequest(("v1.0.0-001",), applied_nowhere=True))


@pytest.mark.parametrize("named", ["v1.0.0-9", "nowhere.sql", "R__views"])
def test_an_unknown_migration_is_an_error(project: Project, named: str) -> None:
    project.write("R__views.sql", "select 1;")
    project.add(1, "select 1;")

    with pytest.raises(ConfigurationError, match=f'migration "{named}" does not exist'):
        moves(project, RenumberRequest((named,), applied_nowhere=True))


def test_a_late_migration_moves_to_the_end(project: Project) -> None:
    project.add(1, "select 1;", "select 1;")
    project.add(3, "select 1;", "select 1;")
    project.write("R__views.sql", "select 1;")
    project.migrator().migrate()
    project.add(2, "select 2;", "select 2;", "late")

    (problem,) = [problem for problem in project.migrator().validate() if problem.code == "out-of-order"]
    assert "sqlmigrate renumber" in problem.hint
    assert moves(project, RenumberRequest()) == [
        ("V1.0.0-002__late.up.sql", "V1.0.0-004__late.up.sql"),
        ("V1.0.0-002__late.down.sql", "V1.0.0-004__late.down.sql"),
    ]


def test_a_late_migration_on_main_moves_only_if_it_is_named(project: Project) -> None:
    git(project, "init", "-qb", "main")
    project.add(1, "select 1;", "select 1;")
    project.add(3, "select 1;", "select 1;")
    project.migrator().migrate()
    late = project.add(2, "select 2;", "select 2;", "late")
    commit(project)

    made = project.migrator().plan_renumber(RenumberRequest())
    assert (made.moves, [problem.code for problem in made.problems]) == ((), ["late"])
    assert len(moves(project, RenumberRequest((str(late),)))) == 2


def test_the_versions_of_a_newer_release_are_not_reused(project: Project) -> None:
    project.add(7, "select 1;")
    project.migrator().migrate()
    (project.directory / "V1.0.0-007__step.up.sql").unlink()
    named = project.add(2, "select 2;", name="late")

    assert moves(project, RenumberRequest((str(named),))) == [("V1.0.0-002__late.up.sql", "V1.0.0-008__late.up.sql")]


@pytest.mark.parametrize("success", ["true", "false"])
def test_a_migration_in_the_history_is_refused(project: Project, success: str) -> None:
    project.add(1, "select 1;", "select 1;")
    project.migrator().migrate()
    project.query(f"update migrations set success = {success}")

    assert refusal(project, RenumberRequest(("1.0.0-1",)))[0] == "applied"


def test_a_changed_file_is_matched_by_its_name(project: Project) -> None:
    project.add(1, "select 1;", name="one")
    project.migrator().migrate()
    project.add(1, "select 1, 1;", name="one")
    project.add(1, "select 2;", name="other")

    assert moves(project, RenumberRequest()) == [("V1.0.0-001__other.up.sql", "V1.0.0-002__other.up.sql")]


def test_a_row_that_matches_neither_file_decides_nothing(project: Project) -> None:
    first = project.add(1, "select 0;", name="zero")
    project.migrator().migrate()
    first.unlink()
    project.add(1, "select 1;", name="one")
    project.add(1, "select 2;", name="other")

    assert refusal(project, RenumberRequest())[0] == "undecided"


def test_an_overtaken_migration_is_a_warning(project: Project) -> None:
    named = project.add(1, "select 1;")
    project.add(2, "select 2;")

    made = project.migrator().plan_renumber(RenumberRequest((str(named),), applied_nowhere=True))
    assert [(problem.code, problem.message) for problem in made.problems] == [
        ("overtaken", "v1.0.0-002 now runs before v1.0.0-003")
    ]


def test_no_file_is_renamed_during_a_run(merged: Project) -> None:
    with psycopg.connect(merged.database, autocommit=True) as other:
        other.execute(f"select pg_advisory_lock({key_of('public.migrations')})".encode())
        before = on_disk(merged)
        renaming = threading.Thread(target=merged.migrator().renumber, args=(RenumberRequest(),))
        renaming.start()
        until(lambda: any(isinstance(event, WaitingForLock) for event in merged.events))
        assert on_disk(merged) == before
    renaming.join()
    assert on_disk(merged) != before


def test_all_files_are_renamed_or_none(tmp_path: Path) -> None:
    for name in ("a", "b", "there"):
        (tmp_path / name).write_text(name)
    pairs = tuple((str(tmp_path / old), str(tmp_path / new)) for old, new in (("a", "c"), ("b", "there")))

    with pytest.raises(FileExistsError):
        atomic.rename(pairs)
    with pytest.raises(ConfigurationError, match=r'could not rename file ".*there": File exists'):
        do([Move((1, 0, 0, 1), (1, 0, 0, 2), pairs)])  # type: ignore[arg-type]

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "a", "b": "b", "there": "there"}
    with pytest.raises(FileNotFoundError):
        atomic.rename([(str(tmp_path / "nowhere"), str(tmp_path / "c"))])
    assert not (tmp_path / "c").exists()


def test_the_command_prompts_the_user(merged: Project) -> None:
    before = on_disk(merged)

    unasked = merged.cli("renumber")
    assert (unasked.returncode, on_disk(merged)) == (2, before)
    assert "V1.0.0-002__mine.up.sql → " in unasked.stdout
    assert "give --yes" in unasked.stderr

    assert merged.cli("renumber", "--dry-run", "--applied-nowhere").returncode == 0
    assert on_disk(merged) == before

    homeless = merged.cli("renumber", DATABASE_URL="")
    assert homeless.returncode == 2
    assert "or add --applied-nowhere" in homeless.stderr

    unknown = merged.cli("renumber", "--applied-nowhere", "--base", "nowhere")
    assert unknown.returncode == 2
    assert "set --base to a branch or a commit" in unknown.stderr

    assert merged.cli("renumber", "--yes").returncode == 0
    assert on_disk(merged) != before
    assert merged.cli("renumber").stdout == "nothing to renumber\n"
