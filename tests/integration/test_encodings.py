"""A database whose encoding cannot store every character: the file and the line with the character are reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlmigrate.errors import MigrationFailed
from sqlmigrate.execution import diagnosis
from tests.project import Project
from tests.servers import Server, execute

BAD = 17


@pytest.fixture
def latin(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project on a database with another encoding: LATIN1, unless a test names one."""
    encoding = getattr(request, "param", "LATIN1")
    (tmp_path / "migrations").mkdir()
    name = f"encoded_{tmp_path.parent.name}_{tmp_path.name}".replace("-", "_").lower()[-63:]
    execute(server.conninfo, f"create database {name} encoding '{encoding}' locale 'C' template template0")
    yield Project(server, server.database(name), tmp_path)
    execute(server.conninfo, f"drop database {name} with (force)")


def with_one_bad_file(project: Project, text: str) -> Path:
    for number in range(1, 31):
        project.add(
            number, f"create table t{number} (a text default 'ä')" if number % 2 else f"create table t{number} ()"
        )
    return project.add(BAD, text)


def failure(project: Project) -> MigrationFailed:
    with pytest.raises(MigrationFailed) as failed:
        project.migrator().migrate()
    return failed.value


BAD_FILES = {
    "a literal": ("create table t17 ();\ninsert into t1 values ('1 \u20ac');", "2:27"),
    "a comment": ("create table t17 (\n  -- \u20ac\n);", "2:6"),
    "a name": ('create table t17 ();\n\n  create table "\u20ac" ();', "3:17"),
    "a dollar-quoted body": ("do $$\nbegin\n  perform '\u20ac';\nend $$;", "3:12"),
    "beyond the basic plane": ("create table t17 ();\nselect '\U0001f600';", "2:9"),
    "after a character that LATIN1 has": ("select 'äöü', '\u0141';", "1:16"),
    "a statement outside a transaction": (
        'create table t17 (a int);\ncreate index concurrently "\u20ac" on t17 (a);',
        "2:28",
    ),
    "a block of its own": ("begin;\ncreate table t17 ();\nselect '\u20ac';\ncommit;", "3:9"),
}


@pytest.mark.parametrize(("text", "place"), BAD_FILES.values(), ids=BAD_FILES)
def test_the_file_and_the_line_of_the_character_are_reported(latin: Project, text: str, place: str) -> None:
    path = with_one_bad_file(latin, text)

    error = failure(latin)

    assert str(error.location) == f"{path}:{place}"
    assert "the encoding of the database cannot store it" in error.hint
    assert len(error.done) == BAD - 1
    assert latin.versions()[-1] == (f"v1.0.0-0{BAD}", False)
    assert len(latin.versions()) == BAD


@pytest.mark.parametrize("latin", ["LATIN2", "WIN1252", "EUC_JP", "KOI8R"], indirect=True)
def test_any_encoding(latin: Project) -> None:
    path = latin.add(2, "create table t2 ();\nselect '\u0e01';")
    for number in (1, 3):
        latin.add(number, f"create table t{number} ()")

    error = failure(latin)

    assert str(error.location) == f"{path}:2:9"
    assert latin.versions() == [("v1.0.0-001", True), ("v1.0.0-002", False)]


def test_the_run_continues_when_the_file_is_mended(latin: Project) -> None:
    path = with_one_bad_file(latin, "select '\u20ac'")
    failure(latin)
    path.write_text("select 'EUR'")

    assert len(latin.migrator().migrate().steps) == 30 - BAD + 1


COPIES = {
    "text": ("create table c (a text);\ncopy c from stdin;\nx\n1 \u20ac\n\\.\n", "4:3"),
    "CSV": ('create table c (a text);\ncopy c from stdin (format csv, header);\na\n"1\n2"\n"\u20ac"\n\\.\n', "6:2"),
    "after other statements": (
        "select 1;\nselect 2;\ncreate table c (a text);\ncopy c from stdin;\n\u20ac\n\\.\n",
        "5:1",
    ),
    "alone": ("-- sqlmigrate: transaction=off\ncopy t1 from stdin;\nx\n\u20ac\n\\.\n", "4:1"),
}


@pytest.mark.parametrize(("text", "place"), COPIES.values(), ids=COPIES)
def test_the_line_of_copy_data_and_the_character_are_reported(latin: Project, text: str, place: str) -> None:
    path = with_one_bad_file(latin, text)

    error = failure(latin)

    assert str(error.location) == f"{path}:{place}"
    assert "U+20AC" in (error.hint or "")
    assert len(error.done) == BAD - 1


def test_a_message_that_is_rejected_without_a_place_is_halved(latin: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_unencodable", lambda _: "")
    path = with_one_bad_file(latin, "select '\u20ac'")

    error = failure(latin)

    assert str(error.location) == str(path)
    assert len(error.done) == BAD - 1
    assert latin.value("select count(*) from pg_class where relname ~ '^t[0-9]+$'") == BAD - 1


@pytest.mark.parametrize("number", [1, 2, 29, 30])
def test_a_halved_message_with_the_cause_at_its_edge(
    latin: Project, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(diagnosis, "_unencodable", lambda _: "")
    with_one_bad_file(latin, "select 1")
    path = latin.add(number, "select '\u20ac'")

    error = failure(latin)

    assert str(error.location) == str(path)
    assert len(error.done) == number - 1


def test_a_description_that_the_database_cannot_store_is_escaped(latin: Project) -> None:
    """The comment at the head of a file is not sent; psql does not send it either."""
    latin.add(1, "-- Preis in \u20ac, f\u00fcr alle\ncreate table t ()", name="preis_\u20ac")
    latin.add(2, "-- Preis in \u20ac\nselect 1/0")

    error = failure(latin)

    assert "division by zero" in error.message
    assert latin.query("select version, name, description, success from migrations order by version") == [
        ("v1.0.0-001", "preis_\\u20ac", "Preis in \\u20ac, f\u00fcr alle", True),
        ("v1.0.0-002", "step", "Preis in \\u20ac", False),
    ]
    assert latin.cli("status").returncode == 0


@pytest.mark.parametrize(("latin", "character"), [("WIN1252", "\u0416"), ("EUC_JP", "\u20ac")], indirect=["latin"])
@pytest.mark.parametrize("options", ["", " (format csv)", " where a is not null"])
def test_copy_data_in_other_encodings(latin: Project, character: str, options: str) -> None:
    latin.query("create table c (a text)")
    path = latin.add(1, f"copy c from stdin{options};\nx\n1 {character}\n\\.\n")

    error = failure(latin)

    assert str(error.location) == f"{path}:3:3"
    assert f"U+{ord(character):04X}" in (error.hint or "")


@pytest.mark.parametrize("latin", ["LATIN1", "WIN1252", "EUC_JP"], indirect=True)
def test_a_column_name_of_copy_is_reported_at_its_place(latin: Project) -> None:
    path = latin.add(1, 'select 1;\ncopy c ("\u0e01") from stdin;\nx\n\\.\n')

    error = failure(latin)

    assert str(error.location) == f"{path}:2:10"
    assert "U+0E01" in (error.hint or "")
