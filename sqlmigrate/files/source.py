"""Reads migration files: finds them in the migrations directories, hashes them, and opens their scripts."""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
from collections import deque
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ScriptError
from sqlmigrate.files.listing import HOOKS, UNREAD, files_in, in_utf8, unread_file
from sqlmigrate.files.naming import Name, parse_file_name
from sqlmigrate.model import Hooks, Location, Migration, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader

    from sqlmigrate.sql.psql import ClientState
    from sqlmigrate.sql.segments import Cuts, Piece, Script

_BLOCK = 64 * 1024  # malloc maps and unmaps memory for each read of more than 128 KiB


class MigrationFiles(NamedTuple):
    """The content of the migrations directories: migrations in order, problems with their files, and hooks."""

    migrations: list[Migration]
    problems: list[Problem]
    hooks: Hooks

    @property
    def unread(self) -> Iterator[Problem]:
        """The problems of files that are probably meant as migrations, but are not read."""
        return (problem for problem in self.problems if problem.code in UNREAD)


class NamedFile(NamedTuple):
    """A file and what its name says about its migration."""

    name: Name
    path: str


class OpenedScript(NamedTuple):
    """A parsed script, and the source of its text."""

    script: Script
    source: Source


def find(directories: Sequence[str]) -> MigrationFiles:
    """Finds every migration below the directories: versioned migrations in order, then repeatable ones by name.

    Hooks are found in the directories themselves, not in subdirectories. Names that start with a dot are ignored. Every
    other file whose name ends in `.sql` is a migration, a hook or a problem; so is a file that only resembles one.

    Raises:
        ConfigurationError: A directory does not exist or cannot be read.
        ScriptError: A file cannot be read or is not a regular file.
    """
    ups: dict[str, NamedFile] = {}
    downs: dict[str, NamedFile] = {}
    hooks: dict[str, Migration] = {}
    problems: list[Problem] = []
    tops = {os.path.realpath(directory) for directory in directories}
    files = sorted(files_in(directories))
    names = {file_name for _, file_name in files}
    for path, file_name in files:
        if file_name in HOOKS and os.path.realpath(os.path.dirname(path)) in tops:
            problems += _add_hook(hooks, path)
        elif (name := parse_file_name(file_name)) is not None and in_utf8(path) == path:
            problems += _add_file(downs if name.direction == "down" else ups, NamedFile(name, path))
        else:
            problems += unread_file(path, file_name, names)
    problems += [_down_without_up(file) for identity, file in downs.items() if identity not in ups]
    migrations = [_migration(file, downs.get(identity)) for identity, file in ups.items()]
    return MigrationFiles(sorted(migrations, key=_order), problems, Hooks(**hooks))


def named_files(directories: Sequence[str]) -> list[NamedFile]:
    """Lists every file below the directories whose name is that of a migration, sorted by path, without opening it.

    Raises:
        ConfigurationError: A directory does not exist or cannot be read.
    """
    files = ((parse_file_name(file_name), path) for path, file_name in sorted(files_in(directories)))
    return [NamedFile(name, path) for name, path in files if name is not None]


def checksum(path: str) -> str:
    """Returns the SHA-256, in hex, of the file's text without BOM and with LF line endings.

    Raises:
        ScriptError: The file cannot be read.
    """
    try:
        file = os.open(path, os.O_RDONLY)  # creating a file object takes as long as hashing a small file
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        block = os.read(file, _BLOCK)
        text = block.removeprefix(codecs.BOM_UTF8)
        if len(block) < _BLOCK:  # the whole file
            return hashlib.sha256(_with_newlines(text)).hexdigest()
        digest = _TextDigest()
        digest.add(text)
        while block := os.read(file, _BLOCK):
            digest.add(block)
        return digest.in_hex()
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(file)


def open_script(path: str, cuts: Cuts | None = None, client: ClientState | None = None) -> OpenedScript:
    """Reads a file as a script for a session. Its content never raises an error: see `Script.problems`.

    Raises:
        ScriptError: The file cannot be opened.
    """
    from sqlmigrate.sql import script  # a run that applies nothing does not load the scanner
    from sqlmigrate.sql.psql import UNCONNECTED

    digest = _TextDigest()
    with _open(path) as file:
        bom = _skip_bom(file)
        chunks = _texts(path, file, digest)
        parsed = script.parse(path, chunks, cuts, bom, client or UNCONNECTED)
        with suppress(ScriptError):  # it is a problem of the script
            deque(chunks, maxlen=0)  # reads the rest for the checksum
    problems = (
        problem._replace(location=with_line_text(problem.location) if problem.location else None)
        for problem in parsed.problems
    )
    opened = Source(path, digest.in_hex())
    return OpenedScript(replace(parsed, problems=tuple(problems)) if parsed.problems else parsed, opened)


def read(path: str, cuts: Cuts | None = None, client: ClientState | None = None) -> Script:
    """Reads a file as a script that will not be sent; see `open_script`.

    Raises:
        ScriptError: The file cannot be opened.
    """
    return open_script(path, cuts, client).script


def texts(path: str) -> Iterator[str]:
    """Yields the text of a file in chunks, without its BOM.

    Raises:
        ScriptError: The file cannot be opened, is not valid UTF-8, or contains a NUL character.
    """
    with _open(path) as file:
        _skip_bom(file)
        yield from _texts(path, file)


class Source:
    """The text of a parsed script, read again when it is sent. `checksum` is that of the file when it was parsed.

    Only the bytes that were parsed are sent: each piece is compared with its digest.
    """

    def __init__(self, path: str, checksum: str) -> None:
        self._path = path
        self.checksum = checksum

    def text(self, piece: Piece) -> str:
        """Returns the SQL of a piece as it is sent.

        Raises:
            ScriptError: The file was changed.
        """
        from sqlmigrate.sql.psql import sent_text

        text = b"".join(self._blocks(piece.start, piece.end, piece.digest)).decode()
        return sent_text(text, piece.swaps) if piece.swaps else text

    def rows(self, piece: Piece) -> Iterator[bytes]:
        """Yields the COPY data of a piece in blocks; raises the error after the last block that was read.

        Raises:
            ScriptError: The file was changed.
        """
        return self._blocks(*piece.rows, piece.rows_digest) if piece.rows else iter(())

    def _blocks(self, start: int, end: int, expected: bytes) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with _open(self._path) as file:
            file.seek(start)
            remaining = end - start
            while remaining and (block := file.read(min(remaining, _BLOCK))):
                remaining -= len(block)
                digest.update(block)
                yield block
        if digest.digest() != expected:
            raise changed(self._path)


class _TextDigest:
    """The SHA-256 of a text with LF line endings, which is added in blocks of bytes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._rest = b""

    def add(self, block: bytes) -> None:
        """Adds a block; a CR at its end waits for the next block, which may start with its LF."""
        block, self._rest = self._rest + block, b""
        if block.endswith(b"\r"):
            block, self._rest = block[:-1], b"\r"
        self._hash.update(_with_newlines(block))

    def in_hex(self) -> str:
        """Returns the digest of the whole text."""
        self._hash.update(self._rest)
        return self._hash.hexdigest()


def changed(path: str) -> ScriptError:
    """Returns the error for a file that is not as it was when it was read first."""
    return ScriptError("the file was changed during the run", Location(path), _RERUN)


_RERUN = "run the command again"


def with_line_text(location: Location) -> Location:
    """Returns the location together with the text of its line, for display in an error."""
    if location.line is None:
        return location
    with _open(location.path) as file:
        line = next(islice(file, location.line - 1, None), b"")
    return location._replace(text=line.decode("utf-8-sig", "replace").rstrip("\r\n"))


def place_of_row(path: str, piece: Piece, row: int, character: str = "") -> Location:
    """Returns the location of a line of a piece's COPY data, counted from 1, and of a character in that line."""
    with _open(path) as file:
        line = _line_of(file, piece.rows[0] if piece.rows else piece.end) + row - 1
    place = with_line_text(Location(path, line, 1))
    return place._replace(column=max((place.text or "").find(character), 0) + 1)


def _with_newlines(block: bytes) -> bytes:
    """Replaces CRLF by LF; the search for a single byte is several times faster than a replacement without matches."""
    return block.replace(b"\r\n", b"\n") if b"\r" in block else block


def _open(path: str) -> BufferedReader:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a device has no end, and opening a pipe may block
            raise ScriptError("not a regular file", Location(path))
        return open(path, "rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> ScriptError:
    return ScriptError(f"could not read the file: {error.strerror}", Location(path))


def _skip_bom(file: BufferedReader) -> int:
    """Moves a newly opened file behind its BOM, and returns the size of the BOM in bytes."""
    size = len(codecs.BOM_UTF8)
    return len(file.read(size)) if file.peek(size)[:size] == codecs.BOM_UTF8 else 0


def _texts(path: str, file: BufferedReader, digest: _TextDigest | None = None) -> Iterator[str]:
    """Yields the text of an open file in chunks, from its position, and adds its bytes to the digest.

    Raises:
        ScriptError: The text is not valid UTF-8, or contains a NUL character, which PostgreSQL cannot store.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_last = False
    while not is_last:
        block = file.read(_BLOCK)
        is_last = len(block) < _BLOCK
        if digest is not None:
            digest.add(block)
        try:
            text = decoder.decode(block, final=is_last)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            location = Location(path, _line_of(file, file.tell() - len(error.object) + error.start))
            message = f'invalid byte sequence for encoding "UTF8": 0x{byte:02x}'
            raise ScriptError(message, location, "save the file as UTF-8") from error
        if "\0" in text:
            location = Location(path, _line_of(file, file.tell() - len(block) + block.index(b"\0")))
            raise ScriptError("the file contains a NUL character", location, "save the file as UTF-8, without NUL")
        if text:
            yield text


def _line_of(file: BufferedReader, offset: int) -> int:
    """Returns the number of the line that contains a byte. The position of the file is lost."""
    file.seek(0)
    blocks = iter(lambda: file.read(min(_BLOCK, offset - file.tell())), b"")
    return 1 + sum(block.count(b"\n") for block in blocks)


def _add_hook(hooks: dict[str, Migration], path: str) -> list[Problem]:
    name = os.path.basename(path).removesuffix(".sql")
    if name in hooks:
        message = f'hook "{name}" exists twice: {hooks[name].up} and {path}'
        return [Problem("duplicate-hook", message, Location(path), _REMOVE)]
    hooks[name] = Migration(name, None, name, path, checksum(path))
    return []


_REMOVE = "remove one of the two files"


def _add_file(files: dict[str, NamedFile], file: NamedFile) -> list[Problem]:
    name = file.name
    if name.id not in files:
        files[name.id] = file
        return []
    message, hint = f"{name.id} exists twice: {files[name.id].path} and {file.path}", _REMOVE
    if name.version is not None:
        hint = "run `sqlmigrate renumber` to give the migration that is not applied a newer version"
    return [Problem("duplicate-version", message, Location(file.path), hint)]


def _migration(up: NamedFile, down: NamedFile | None) -> Migration:
    name = up.name
    return Migration(name.id, name.version, name.name, up.path, checksum(up.path), down.path if down else None)


def _order(migration: Migration) -> tuple[bool, tuple[int, ...], str]:
    return migration.version is None, migration.version or (), migration.name


def _down_without_up(file: NamedFile) -> Problem:
    message = f"{file.name.id} has a down file but no up file"
    return Problem("down-without-up", message, Location(file.path), "add the up file")


def script_problems(migration: Migration) -> list[Problem]:
    """Returns the problems of both files of a migration."""
    paths = (migration.up, migration.down) if migration.down else (migration.up,)
    return [problem for path in paths for problem in read(path).problems]
