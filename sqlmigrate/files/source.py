"""Reads migration files: finds them in the migrations directories, hashes them, and opens their scripts."""

from __future__ import annotations

import codecs
import hashlib
import os
from dataclasses import fields, replace
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from sqlmigrate.errors import ConfigurationError, ScriptError
from sqlmigrate.files.naming import PATTERN, Name, parse_file_name
from sqlmigrate.model import Hooks, Location, Migration, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from sqlmigrate.sql.script import Cuts, Piece, Script

    # Size in bytes, modification time and change time in nanoseconds.
    Stamp: TypeAlias = tuple[int, int, int]

_CHUNK = 1024 * 1024
_BLOCK = 64 * 1024  # malloc maps and unmaps memory for each read of more than 128 KiB
_HOOKS = {f"{field.name}.sql" for field in fields(Hooks)}


class MigrationFiles(NamedTuple):
    """The content of the migrations directories: migrations in order, problems with their files, and hooks."""

    migrations: list[Migration]
    problems: list[Problem]
    hooks: Hooks


class NamedFile(NamedTuple):
    """A file and what its name says about its migration."""

    name: Name
    path: str


class OpenedScript(NamedTuple):
    """A parsed script, and the source that sends the text of exactly this version of the file."""

    script: Script
    source: Source


def find(directories: Sequence[str]) -> MigrationFiles:
    """Finds every migration below the directories: versioned migrations in order, then repeatable ones by name.

    Hooks are found in the directories themselves, not in subdirectories. Names that start with a dot are ignored. Every
    other file whose name ends in `.sql` is a migration, a hook or a problem.

    Raises:
        ConfigurationError: A directory does not exist or cannot be read.
        ScriptError: A file cannot be read or is not a regular file.
    """
    ups: dict[str, NamedFile] = {}
    downs: dict[str, NamedFile] = {}
    hooks: dict[str, Migration] = {}
    problems: list[Problem] = []
    tops = {os.path.realpath(directory) for directory in directories}
    for path, file_name in sorted(_sql_files(directories)):
        if file_name in _HOOKS and os.path.realpath(os.path.dirname(path)) in tops:
            problems += _add_hook(hooks, path)
        elif (name := parse_file_name(file_name)) is None:
            problems.append(_misnamed(path))
        else:
            problems += _add_file(downs if name.direction == "down" else ups, NamedFile(name, path))
    problems += [_down_without_up(file) for identity, file in downs.items() if identity not in ups]
    migrations = [_migration(file, downs.get(identity)) for identity, file in ups.items()]
    return MigrationFiles(sorted(migrations, key=_order), problems, Hooks(**hooks))


def named_files(directories: Sequence[str]) -> list[NamedFile]:
    """Lists every file below the directories whose name is that of a migration, sorted by path, without opening it.

    Raises:
        ConfigurationError: A directory does not exist or cannot be read.
    """
    files = ((parse_file_name(file_name), path) for path, file_name in sorted(_sql_files(directories)))
    return [NamedFile(name, path) for name, path in files if name is not None]


def checksum(path: str) -> tuple[str, Stamp]:
    """Returns the SHA-256, in hex, of the file's text without BOM and with LF line endings, and the file's stamp.

    Raises:
        ScriptError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        file = os.open(path, os.O_RDONLY)  # creating a file object takes as long as hashing a small file
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        status = os.fstat(file)
        block = os.read(file, min(status.st_size, _CHUNK)).removeprefix(codecs.BOM_UTF8)
        while status.st_size > _CHUNK and (following := os.read(file, _CHUNK)):
            if block.endswith(b"\r"):  # the next block may start with its \n
                block, following = block[:-1], b"\r" + following
            digest.update(_with_newlines(block))
            block = following
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(file)
    digest.update(_with_newlines(block))
    return digest.hexdigest(), _stamp(status)


def open_script(path: str, cuts: Cuts | None = None) -> OpenedScript:
    """Reads a file as a script. Its content never raises an error: see `Script.problems`.

    The stamp is taken from the same open file, before its text is read, so the source refuses to send any text that
    differs from the parsed text.

    Raises:
        ScriptError: The file cannot be opened.
    """
    from sqlmigrate.sql import script  # a run that applies nothing does not load the scanner

    with _open(path) as file:
        stamp = _stamp(os.fstat(file.fileno()))
        bom = _skip_bom(file)
        parsed = script.parse(path, _texts(path, file), cuts, offset=bom)
    problems = (
        replace(problem, location=with_line_text(problem.location) if problem.location else None)
        for problem in parsed.problems
    )
    return OpenedScript(replace(parsed, problems=tuple(problems)) if parsed.problems else parsed, Source(path, stamp))


def read(path: str, cuts: Cuts | None = None) -> Script:
    """Reads a file as a script that will not be sent; see `open_script`.

    Raises:
        ScriptError: The file cannot be opened.
    """
    return open_script(path, cuts).script


def texts(path: str) -> Iterator[str]:
    """Yields the text of a file in chunks, without its BOM.

    Raises:
        ScriptError: The file cannot be opened, is not valid UTF-8, or contains a NUL character.
    """
    with _open(path) as file:
        _skip_bom(file)
        yield from _texts(path, file)


class Source:
    """The text of a script, read when it is sent.

    Each read fails if the file no longer has `stamp`, which was taken when the script was parsed or hashed.
    """

    def __init__(self, path: str, stamp: Stamp) -> None:
        self._path = path
        self.stamp = stamp

    def text(self, piece: Piece) -> str:
        """Returns the SQL of a piece.

        Raises:
            ScriptError: The file was changed.
        """
        return b"".join(self.blocks(piece.start, piece.end)).decode()

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """Yields the bytes of the file from one offset to another, in blocks.

        Raises:
            ScriptError: The file was changed.
        """
        with _open(self._path) as file:
            self._check_stamp(file)
            file.seek(start)
            remaining = end - start
            while remaining:
                block = file.read(min(remaining, _BLOCK))
                if not block:
                    raise ScriptError("the file was truncated during the run", Location(self._path), _RERUN)
                remaining -= len(block)
                yield block
            self._check_stamp(file)

    def _check_stamp(self, file: BinaryIO) -> None:
        if _stamp(os.fstat(file.fileno())) != self.stamp:
            raise ScriptError("the file was changed during the run", Location(self._path), _RERUN)


_RERUN = "run the command again"


def with_line_text(location: Location) -> Location:
    """Returns the location together with the text of its line, for display in an error."""
    if location.line is None:
        return location
    with _open(location.path) as file:
        line = next(islice(file, location.line - 1, None), b"")
    return replace(location, text=line.decode("utf-8-sig", "replace").rstrip("\r\n"))


def require_directories(directories: Sequence[str]) -> None:
    """Checks that the migrations directories exist.

    Raises:
        ConfigurationError: A directory does not exist.
    """
    for directory in directories:
        if not os.path.isdir(directory):
            raise ConfigurationError(
                f'directory "{directory}" does not exist',
                hint="set the migrations directory with --dir or SQLMIGRATE_DIR, or create it with `sqlmigrate init`",
            )


def _with_newlines(block: bytes) -> bytes:
    """Replaces CRLF by LF; the search for a single byte is several times faster than a replacement without matches."""
    return block.replace(b"\r\n", b"\n") if b"\r" in block else block


def _stamp(status: os.stat_result) -> Stamp:
    """Returns the stamp of a file; any user can reset the modification time, but not the change time."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _open(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> ScriptError:
    return ScriptError(f"could not read the file: {error.strerror}", Location(path))


def _skip_bom(file: BinaryIO) -> int:
    """Moves a newly opened file behind its BOM, and returns the size of the BOM in bytes."""
    size = len(codecs.BOM_UTF8)
    return size if file.read(size) == codecs.BOM_UTF8 else file.seek(0)


def _texts(path: str, file: BinaryIO) -> Iterator[str]:
    """Yields the text of an open file in chunks, from its position.

    Raises:
        ScriptError: The text is not valid UTF-8, or contains a NUL character, which PostgreSQL cannot store.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    while True:
        block = file.read(_BLOCK)
        try:
            text = decoder.decode(block, final=not block)
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
        if not block:
            return


def _line_of(file: BinaryIO, offset: int) -> int:
    """Returns the number of the line that contains a byte. The position of the file is lost."""
    file.seek(0)
    return 1 + file.read(offset).count(b"\n")


def _sql_files(directories: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields path and name of each .sql file; a directory that is reached twice, by a link, is read once."""
    visited: set[str] = set()
    waiting = list(directories)
    require_directories(directories)
    while waiting:
        directory = waiting.pop()
        real = os.path.realpath(directory)
        if real in visited:
            continue
        visited.add(real)
        try:
            with os.scandir(directory) as entries:
                visible = [(entry, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            message = f'could not read directory "{error.filename or directory}": {error.strerror}'
            raise ConfigurationError(message) from error
        waiting += [entry.path for entry, is_directory in visible if is_directory]
        for entry, is_directory in visible:
            if entry.name.lower().endswith(".sql") and not is_directory:
                if not entry.is_file() and os.path.exists(entry.path):
                    raise ScriptError("not a regular file", Location(entry.path))  # reading from a pipe may block
                yield entry.path, entry.name


def _add_hook(hooks: dict[str, Migration], path: str) -> list[Problem]:
    name = os.path.basename(path).removesuffix(".sql")
    if name in hooks:
        message = f'hook "{name}" exists twice: {hooks[name].up} and {path}'
        return [Problem("duplicate-hook", message, Location(path), _REMOVE)]
    digest, stamp = checksum(path)
    hooks[name] = Migration(name, None, name, path, digest, None, stamp)
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
    digest, stamp = checksum(up.path)
    return Migration(name.id, name.version, name.name, up.path, digest, down.path if down else None, stamp)


def _order(migration: Migration) -> tuple[bool, tuple[int, ...], str]:
    return migration.version is None, migration.version or (), migration.name


def _misnamed(path: str) -> Problem:
    hint = f"name the file {PATTERN}, or R__{{name}}.sql for a repeatable migration"
    name = os.path.basename(path).lower()
    if name in _HOOKS:
        hint = f"name the hook {name}, and move it to the migrations directory itself"
    return Problem("misnamed", "not a migration file name", Location(path), hint)


def _down_without_up(file: NamedFile) -> Problem:
    message = f"{file.name.id} has a down file but no up file"
    return Problem("down-without-up", message, Location(file.path), "add the up file")
