"""Linting with the cache returns the same findings as without it, whatever has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sqlmigrate.lint import Finding, Level, Options, lint, linter, memory, parts, timeline
from sqlmigrate.lint.linter import Result
from sqlmigrate.lint.snapshot import Points
from sqlmigrate.lint.timeline import Moment

OPTIONS = Options(remembers=True)


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(linter, "_MANY", 2)
    monkeypatch.setattr(memory, "_LONG", 2)
    monkeypatch.setattr(parts, "_LENGTH", 1)
    directory = tmp_path / "migrations"
    directory.mkdir()
    (directory / "V1.0.0-001__t.up.sql").write_text("create table t (a varchar(10));\n")
    (directory / "V1.0.0-002__u.up.sql").write_text("alter table t alter a type varchar(5);\n")
    (directory / "V1.0.0-002__u.down.sql").write_text("alter table t alter a type varchar(10);\n")
    (directory / "V1.0.0-003__v.up.sql").write_text("create index i on t (a);\n")
    return directory


def linted(directory: Path, options: Options = OPTIONS) -> list[Finding]:
    return lint([str(path) for path in sorted(directory.iterdir())], options=options)


def same_as_unremembered(directory: Path, options: Options = OPTIONS) -> bool:
    return linted(directory, options) == linted(directory, replace(options, remembers=False))


def test_unchanged_files_are_not_linted_again(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = linted(migrations)
    assert first
    monkeypatch.setattr(linter, "_shared", None)
    assert linted(migrations) == first


def test_only_changed_and_later_files_are_linted_again(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linted(migrations)
    last = migrations / "V1.0.0-003__v.up.sql"
    last.write_text("drop table t;\n")
    shared, seen = linter._shared, list[str]()

    def watched(runs: Sequence[list[Moment]], points: Points, options: Options) -> Result:
        seen.extend(moment.path for run in runs for moment in run if moment.linted)
        return shared(runs, points, options)

    monkeypatch.setattr(linter, "_shared", watched)
    found = linted(migrations)
    assert seen == [str(last)]
    assert "drop-table" in {finding.rule for finding in found}


def test_two_down_files_of_one_version_are_both_checked_for_changes(migrations: Path) -> None:
    second = migrations / "V1.0.0-002__x.down.sql"
    second.write_text("alter table t alter a type varchar(10);\n")
    linted(migrations)
    second.write_text("drop index j;\nalter table t alter a type varchar(7);\n")
    assert same_as_unremembered(migrations)


@pytest.mark.parametrize("name", ["V1.0.0-001__t.up.sql", "V1.0.0-002__u.up.sql", "V1.0.0-003__v.up.sql"])
@pytest.mark.parametrize("text", ["create table t (a text);\n", "create table x (a int);\n", "alter tabel t;\n", ""])
def test_a_changed_file_changes_the_findings(migrations: Path, name: str, text: str) -> None:
    linted(migrations)
    (migrations / name).write_text(text)
    assert same_as_unremembered(migrations)


def test_an_added_or_removed_file_changes_the_findings(migrations: Path) -> None:
    linted(migrations)
    new = migrations / "V1.0.0-001__twin.up.sql"
    new.write_text("drop table t;\n")
    assert same_as_unremembered(migrations)
    new.unlink()
    (migrations / "V1.0.0-001__t.up.sql").unlink()
    assert same_as_unremembered(migrations)


@pytest.mark.parametrize(
    "changed",
    [
        replace(OPTIONS, preset="all"),
        replace(OPTIONS, levels={"index-not-concurrent": Level.ERROR}),
        replace(OPTIONS, levels={"index-not-concurrent": None}),
        replace(OPTIONS, postgres=10),
        replace(OPTIONS, preset="all", naming={"index": "x_.*"}),
    ],
)
def test_other_options_have_their_own_cached_findings(migrations: Path, changed: Options) -> None:
    linted(migrations)
    assert same_as_unremembered(migrations, changed)


def test_other_pending_files_have_their_own_cached_findings(migrations: Path) -> None:
    linted(migrations)
    pending = [str(path) for path in migrations.iterdir()]
    assert same_as_unremembered(migrations, replace(OPTIONS, pending=pending))


@pytest.mark.parametrize("content", ["", "[]", "[1]", "\0", '{"k": 1}'])
def test_a_damaged_value_counts_as_missing(migrations: Path, content: str) -> None:
    linted(migrations)
    (kept,) = Path(memory.CACHE.directory).iterdir()
    kept.write_text(content)
    assert same_as_unremembered(migrations)


def test_the_cache_evicts_the_oldest_values(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CACHE", memory.CACHE._replace(most=2))
    for postgres in (14, 15, 16, 17):
        linted(migrations, replace(OPTIONS, postgres=postgres))
    assert len(list(Path(memory.CACHE.directory).iterdir())) == 2


def test_findings_in_a_file_that_changes_meanwhile_are_not_cached(
    migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, last = linter._shared, migrations / "V1.0.0-003__v.up.sql"
    first = last.read_text()

    def disturbed(runs: Sequence[list[Moment]], points: Points, options: Options) -> Result:
        last.write_text("drop table t;\n")
        return shared(runs, points, options)

    with monkeypatch.context() as patched:
        patched.setattr(linter, "_shared", disturbed)
        linted(migrations)
    last.write_text(first)
    assert same_as_unremembered(migrations)


def files_read(directory: Path, monkeypatch: pytest.MonkeyPatch, options: Options = OPTIONS) -> list[str]:
    """Lints the directory, checks the findings, and returns the names of the files that were read as SQL."""
    read, of_file = list[str](), linter._FileLinter.findings

    def watched(file: linter._FileLinter, deployed: Sequence[str] = ()) -> list[Finding]:
        read.append(Path(file._moment.path).name)
        return of_file(file, deployed)

    with monkeypatch.context() as patched:
        patched.setattr(linter._FileLinter, "findings", watched)
        found = linted(directory, options)
    assert found == linted(directory, replace(options, remembers=False))
    return read


def test_only_the_last_file_is_read_if_only_it_changed(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linted(migrations)
    (migrations / "V1.0.0-003__v.up.sql").write_text(
        "alter table t alter a type varchar(3); create index j on u (a);\n"
    )
    assert files_read(migrations, monkeypatch) == ["V1.0.0-003__v.up.sql"]


def test_a_new_last_file_is_read_with_the_last_part(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linted(migrations)
    (migrations / "V1.0.0-004__w.up.sql").write_text("create index i on t (a); drop table t;\n")
    assert files_read(migrations, monkeypatch) == ["V1.0.0-003__v.up.sql", "V1.0.0-004__w.up.sql"]


def test_a_changed_last_down_file_is_read_with_its_up_file(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    down = migrations / "V1.0.0-003__v.down.sql"
    down.write_text("select 1;\n")
    linted(migrations)
    down.write_text("drop index i;\n")
    assert files_read(migrations, monkeypatch) == ["V1.0.0-003__v.up.sql", "V1.0.0-003__v.down.sql"]


def test_later_files_are_read_if_a_file_changes_the_schema_otherwise(
    migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linted(migrations)
    (migrations / "V1.0.0-002__u.up.sql").write_text("alter table t alter a type varchar(4);\n")
    assert files_read(migrations, monkeypatch) == [
        f"V1.0.0-00{file}.sql" for file in ("2__u.up", "2__u.down", "3__v.up")
    ]


def test_later_files_are_not_read_if_a_changed_file_changes_the_schema_as_before(
    migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linted(migrations)
    with (migrations / "V1.0.0-002__u.up.sql").open("a") as file:
        file.write("update t set a = upper(a);\n")
    assert files_read(migrations, monkeypatch) == ["V1.0.0-002__u.up.sql", "V1.0.0-002__u.down.sql"]
    assert files_read(migrations, monkeypatch) == []


def test_a_file_can_change_back(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = migrations / "V1.0.0-001__t.up.sql"
    text = first.read_text()
    for changed in (text, text.replace("10", "12"), text):
        first.write_text(changed)
        assert same_as_unremembered(migrations)


def test_a_tree_that_is_too_deep_to_store_is_linted_each_time(
    migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = f"alter table t add check ({'not ' * 250}true);\n"
    (migrations / "V1.0.0-002__u.up.sql").write_text(deep)
    for _ in range(2):
        assert same_as_unremembered(migrations)


def test_all_files_before_are_read_if_one_of_them_is_pending(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = replace(OPTIONS, pending=[str(migrations / "V1.0.0-001__t.up.sql")])
    linted(migrations, options)
    (migrations / "V1.0.0-003__v.up.sql").write_text("drop table t;\n")
    assert len(files_read(migrations, monkeypatch, options)) == 3


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"cos\nsystem\n(S'exit 1'\ntR.", b"\x80\x05K\x01.", b"\x80\x05}(K\x01K\x02u."]
)
def test_a_damaged_schema_counts_as_missing(migrations: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    linted(migrations)
    (kept,) = Path(parts.SCHEMAS.directory).iterdir()
    kept.write_bytes(content)
    (migrations / "V1.0.0-003__v.up.sql").write_text("drop table t;\n")
    assert len(files_read(migrations, monkeypatch)) == 3


def test_two_processes_store_the_same_schema(migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "_WORTH_IT", 1)
    linted(migrations, replace(OPTIONS, processes=2))
    (migrations / "V1.0.0-003__v.up.sql").write_text("create index j on t (b);\n")
    assert files_read(migrations, monkeypatch) == ["V1.0.0-003__v.up.sql"]
