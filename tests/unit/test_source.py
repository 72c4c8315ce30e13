from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlmigrate.errors import ConfigurationError, ScriptError
from sqlmigrate.files.source import Source, checksum, find, open_script, read, with_line_text
from sqlmigrate.model import Location
from sqlmigrate.sql.segments import Cuts, Piece

BOM = b"\xef\xbb\xbf"
BLOCK = 64 * 1024
MEBIBYTE = 1024 * 1024


def _write(path: Path, content: bytes | str = "select 1;") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def _found(*directories: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Returns the ids of the migrations, and the code and file name of each problem."""
    migrations, problems, _ = find([str(directory) for directory in directories])
    return [migration.id for migration in migrations], [
        (problem.code, Path(str(problem.location)).name) for problem in problems
    ]


def test_migrations_are_found_in_order_in_several_directories_and_below(tmp_path: Path) -> None:
    for name in (
        "a/R__z.sql",
        "a/V1.0.0-010__x.up.sql",
        "a/2026/V1.0.0-009__x.sql",
        "b/R__b.sql",
        "b/c/d/v0.9.0-1__x.UP.SQL",
    ):
        _write(tmp_path / name)
    assert _found(tmp_path / "b", tmp_path / "a") == (["v0.9.0-001", "v1.0.0-009", "v1.0.0-010", "R__b", "R__z"], [])


def test_a_migration_knows_its_files(tmp_path: Path) -> None:
    up = _write(tmp_path / "x" / "V1.0.0-1__create.up.sql", "select 1;")
    down = _write(tmp_path / "y" / "V1.0.0-1__create.down.sql")
    (migration,), _, _ = find([str(tmp_path)])
    assert (migration.id, migration.name, migration.up, migration.down) == ("v1.0.0-001", "create", up, down)
    assert migration.checksum == hashlib.sha256(b"select 1;").hexdigest() == open_script(up).source.checksum


def test_every_sql_file_is_a_migration_or_a_problem(tmp_path: Path) -> None:
    for name in (
        "create.sql",
        "V1.0.0-1__a.up.sql",
        "V1.0.0-1__b.sql",
        "sub/v1.0.0-01__c.up.sql",
        "V1.0.0-2__a.down.sql",
        "x.SQL",
    ):
        _write(tmp_path / name)
    assert _found(tmp_path) == (
        ["v1.0.0-001"],
        [
            ("duplicate-version", "V1.0.0-1__b.sql"), ("misnamed", "create.sql"),
            ("duplicate-version", "v1.0.0-01__c.up.sql"),
            ("misnamed", "x.SQL"), ("down-without-up", "V1.0.0-2__a.down.sql"),
        ],
    )  # fmt: skip


def test_every_problem_has_a_hint(tmp_path: Path) -> None:
    for name in ("create.sql", "V1.0.0-1__a.sql", "V1.0.0-1__b.sql", "V1.0.0-2__a.down.sql"):
        _write(tmp_path / name)
    assert all(problem.hint for problem in find([str(tmp_path)]).problems)


def test_two_down_files_or_two_repeatable_ones_are_duplicates(tmp_path: Path) -> None:
    for name in ("V1.0.0-1__a.up.sql", "V1.0.0-1__a.down.sql", "V1.0.0-1__b.down.sql", "R__a.sql", "x/R__a.sql"):
        _write(tmp_path / name)
    identities, problems = _found(tmp_path)
    assert (identities, [code for code, _ in problems]) == (["v1.0.0-001", "R__a"], ["duplicate-version"] * 2)


def test_other_files_are_ignored(tmp_path: Path) -> None:
    for name in ("README.md", ".V1.0.0-1__a.up.sql", ".git/V1.0.0-2__a.up.sql", "V1.0.0-3__a.up.sql~"):
        _write(tmp_path / name)
    _write(tmp_path / "old.sql" / "V1.0.0-4__a.up.sql")
    assert _found(tmp_path) == (["v1.0.0-004"], [])


def test_links_are_followed_and_a_directory_is_read_once(tmp_path: Path) -> None:
    _write(tmp_path / "m" / "V1.0.0-1__a.up.sql")
    _write(tmp_path / "elsewhere" / "V1.0.0-2__a.up.sql")
    _write(tmp_path / "shared.txt")
    (tmp_path / "m" / "again").symlink_to(tmp_path / "m")
    (tmp_path / "m" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "m" / "V1.0.0-3__a.up.sql").symlink_to(tmp_path / "shared.txt")
    assert _found(tmp_path / "m", tmp_path / "elsewhere", tmp_path / "m") == (
        ["v1.0.0-001", "v1.0.0-002", "v1.0.0-003"],
        [],
    )


def test_a_directory_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"directory \".*\" does not exist") as caught:
        find([str(tmp_path), str(tmp_path / "no")])
    assert "--dir" in caught.value.hint


def test_a_broken_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-1__a.up.sql").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ScriptError, match="could not read the file: No such file"):
        find([str(tmp_path)])


@pytest.mark.parametrize("name", ["V1.0.0-1__a.up.sql", "V1.0.0-1__a.down.sql", "before_migrate.sql"])
def test_a_pipe_is_not_a_regular_file(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ScriptError, match="not a regular file") as caught:
        find([str(tmp_path)])
    assert caught.value.location == Location(str(tmp_path / name))


def test_the_error_names_the_directory_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root can read every directory
    with pytest.raises(ConfigurationError, match=f'could not read directory "{tmp_path}/sub": Permission denied'):
        find([str(tmp_path)])


@pytest.mark.parametrize("name", ["After_Migrate.sql", "sub/after_migrate.sql"])
def test_a_misnamed_hook_has_a_hint_with_its_name_and_directory(tmp_path: Path, name: str) -> None:
    _write(tmp_path / name)
    _, (problem,), hooks = find([str(tmp_path)])
    assert problem.code == "misnamed"
    assert "name the hook after_migrate.sql, and move it to" in problem.hint
    assert hooks.present == ()


def test_a_hook_is_found_by_every_path_to_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "migrations" / "sub" / "after_each.sql")
    (tmp_path / "link").symlink_to("migrations")
    for directories in (["./migrations/sub", "migrations"], ["migrations", "link/sub/"], ["link", "migrations//sub"]):
        _, problems, hooks = find(directories)
        assert (problems, len(hooks.present)) == ([], 1)


@pytest.mark.parametrize("use", [checksum, open_script, read])
def test_the_error_names_the_file_that_cannot_be_read(tmp_path: Path, use: Callable[[str], object]) -> None:
    path = str(tmp_path / "gone.sql")
    with pytest.raises(ScriptError, match="could not read the file: No such file") as caught:
        use(path)
    assert caught.value.location == Location(path)


def test_the_checksum_of_a_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="could not read the file: Is a directory"):
        checksum(str(tmp_path))


# Checksums

LONG = (b"x" * 98 + b"\n") * 32_000


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\n", b"select 1;\n-- \xc3\xa9\n", LONG, b"x" * (MEBIBYTE - 1) + b"\nselect 1;\n",
        *(b"x" * (BLOCK - distance) + b"\nselect 1;\n" for distance in range(6)),
        *(b"x" * (BLOCK - distance) + b"\n" for distance in range(6)),
    ],
)  # fmt: skip
def test_the_checksum_is_that_of_the_text_without_bom_and_with_newlines(tmp_path: Path, text: bytes) -> None:
    expected = hashlib.sha256(text).hexdigest()
    crlf = text.replace(b"\n", b"\r\n")
    for content in (text, BOM + text, crlf, BOM + crlf):
        assert checksum(_write(tmp_path / "f.sql", content)) == expected


@pytest.mark.parametrize("length", [*range(BLOCK - 5, BLOCK + 2), *range(MEBIBYTE - 5, MEBIBYTE + 2)])
def test_a_crlf_may_be_split_between_two_blocks(tmp_path: Path, length: int) -> None:
    content = b"x" * length + b"\r\n\r\r\n" + b"y" * MEBIBYTE + b"\r"
    expected = hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()
    assert checksum(_write(tmp_path / "f.sql", content)) == expected


@pytest.mark.parametrize("content", [b"a\rb", b"a b", b"a\n\nb", b"a\n b"])
def test_any_other_change_changes_the_checksum(tmp_path: Path, content: bytes) -> None:
    assert checksum(_write(tmp_path / "f.sql", content)) != hashlib.sha256(b"a\nb").hexdigest()


# Reading


@pytest.mark.parametrize("bom", [b"", BOM])
def test_a_file_is_read_as_a_script(tmp_path: Path, bom: bytes) -> None:
    path = _write(tmp_path / "f.sql", bom + "select 'é'; select 2;".encode())
    script, source = open_script(path, Cuts(skip=1))
    (segment,) = script.segments
    assert [source.text(piece) for piece in segment.pieces] == ["select 2;"]
    assert [(piece.line, piece.column) for piece in segment.pieces] == [(1, 13)]


def test_characters_may_be_split_between_two_blocks(tmp_path: Path) -> None:
    path = _write(tmp_path / "f.sql", b"-" * (MEBIBYTE - 1) + "é\nselect 'ü';".encode())
    script = read(path)
    assert (script.problems, script.segments[0].pieces[0].start) == ((), MEBIBYTE + 2)


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"select 1;\nselect '\xe9';\n", 'invalid byte sequence for encoding "UTF8": 0xe9', 2),
        (b"-- " + b"x\n-- " * MEBIBYTE + b"\xff", 'invalid byte sequence for encoding "UTF8": 0xff', MEBIBYTE + 1),
        (b"select 1;\n\nselect '\xc3", 'invalid byte sequence for encoding "UTF8": 0xc3', 3),
        (b"select 1;\nselect '\0';", "the file contains a NUL character", 2),
        ("select 1;\n".encode("utf-16"), 'invalid byte sequence for encoding "UTF8": 0xff', 1),
    ],
    ids=["latin 1", "in a later block", "cut off", "NUL", "UTF-16"],
)
def test_invalid_utf8_is_reported_with_line_number(tmp_path: Path, content: bytes, message: str, line: int) -> None:
    (problem,) = read(_write(tmp_path / "f.sql", content)).problems
    assert (problem.code, problem.message) == ("unreadable", message)
    assert problem.location is not None
    assert (problem.location.line, problem.location.column) == (line, None)
    assert "UTF-8" in problem.hint


def test_a_problem_has_the_text_of_its_line(tmp_path: Path) -> None:
    path = _write(tmp_path / "f.sql", BOM + b"select 1; rollback; select\r\n 2; select 'a\r\n")
    assert [problem.location for problem in read(path).problems] == [
        Location(path, 1, 11, "select 1; rollback; select"),
        Location(path, 2, 12, " 2; select 'a"),
    ]


# Sending


COPY = b"select 1;\ncopy t from stdin;\n" + LONG + b"\\.\nselect 'e\xcc\x81';\n"


def pieces(path: str) -> tuple[Source, list[Piece]]:
    script, source = open_script(path)
    return source, [piece for segment in script.segments for piece in segment.pieces]


def test_the_text_and_the_rows_of_a_piece_are_read_from_the_file(tmp_path: Path) -> None:
    source, (copy, last) = pieces(_write(tmp_path / "f.sql", BOM + COPY))
    blocks = list(source.rows(copy))
    assert source.text(copy) == "select 1;\ncopy t from stdin;"
    assert b"".join(blocks) == LONG
    assert max(map(len, blocks)) <= MEBIBYTE
    assert source.text(last) == "select 'e\u0301';"
    assert list(source.rows(last)) == []


@pytest.mark.parametrize("content", [b"", b"select 1", b"select 2;", b"SELECT 1;"])
def test_other_bytes_than_those_that_were_parsed_are_not_sent(tmp_path: Path, content: bytes) -> None:
    path = _write(tmp_path / "f.sql", b"select 1;")
    source, (piece,) = pieces(path)
    before = os.stat(path)
    Path(path).write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ScriptError, match="was changed during the run") as caught:
        source.text(piece)
    assert caught.value.location == Location(path)


def test_a_link_that_was_turned_to_another_file_is_not_followed(tmp_path: Path) -> None:
    files = [_write(tmp_path / name, text) for name, text in (("a", b"select 1;"), ("b", b"select 2;"))]
    for file in files:
        os.utime(file, (1, 1))
    link = tmp_path / "f.sql"
    link.symlink_to(files[0])
    source, (piece,) = pieces(str(link))
    link.unlink()
    link.symlink_to(files[1])
    with pytest.raises(ScriptError, match="was changed during the run"):
        source.text(piece)


@pytest.mark.parametrize("rows", [LONG[:-2] + b"y\n", LONG[:-99], b""])
def test_other_rows_than_those_that_were_parsed_raise_an_error_at_their_end(tmp_path: Path, rows: bytes) -> None:
    path = _write(tmp_path / "f.sql", COPY)
    source, (copy, _) = pieces(path)
    Path(path).write_bytes(COPY.replace(LONG, rows))
    with pytest.raises(ScriptError, match="was changed during the run"):
        list(source.rows(copy))


def test_the_modification_time_is_irrelevant(tmp_path: Path) -> None:
    path = _write(tmp_path / "f.sql", b"select 1;")
    source, (piece,) = pieces(path)
    os.utime(path, (1, 1))
    assert source.text(piece) == "select 1;"


@pytest.mark.parametrize("text", [b"select 1;\r\nselect 2;", BOM + LONG, b"select 'a", b"\\i f\n" + LONG])
def test_a_parsed_script_has_the_checksum_of_its_whole_file(tmp_path: Path, text: bytes) -> None:
    path = _write(tmp_path / "f.sql", text)
    assert open_script(path).source.checksum == checksum(path)


@pytest.mark.parametrize(("line", "text"), [(None, ""), (1, "é"), (2, "b\ufffd"), (3, "c"), (4, "")])
def test_a_location_gets_the_text_of_its_line(tmp_path: Path, line: int | None, text: str) -> None:
    place = Location(_write(tmp_path / "f.sql", BOM + "é\r\n".encode() + b"b\xff\nc"), line, None)
    assert with_line_text(place) == Location(place.path, line, None, text)


def test_a_device_is_not_read(tmp_path: Path) -> None:
    link = tmp_path / "V1.0.0-001__a.up.sql"
    link.symlink_to("/dev/zero")
    with pytest.raises(ScriptError, match="not a regular file"):
        open_script(str(link))
