"""Files in: what lies in the migration directories, and what a file says."""

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

    from sqlmigrate.sql.script import Cuts, Piece, Script

_CHUNK = 1024 * 1024
_BLOCK = 64 * 1024  # more than 128 KiB at once is fetched from the kernel anew, and given back, for every read


_HOOKS = {f"{field.name}.sql" for field in fields(Hooks)}


class Found(NamedTuple):
    """What lies in the directories: migrations in order, what is wrong with the files, the hooks."""

    migrations: list[Migration]
    problems: list[Problem]
    hooks: Hooks


def find(directories: Sequence[str]) -> Found:
    """Every migration below the directories, versioned ones in order and then the repeatable ones by name.

    A hook lies in one of the directories themselves, not below.
    Names that begin with a dot are passed over; a file that ends in `.sql` never is.

    Raises:
        ConfigurationError: a directory is not there, or can't be read.
        ScriptError: a file can't be read, or is none.
    """
    ups: dict[str, tuple[Name, str]] = {}
    downs: dict[str, tuple[Name, str]] = {}
    hooks: dict[str, Migration] = {}
    problems: list[Problem] = []
    tops = {os.path.realpath(directory) for directory in directories}
    for path, file_name in sorted(_sql_files(directories)):
        if file_name in _HOOKS and os.path.realpath(os.path.dirname(path)) in tops:
            problems += _add_hook(hooks, path)
            continue
        name = parse_file_name(file_name)
        if name is None:
            problems.append(_misnamed(path))
            continue
        files = downs if name.direction == "down" else ups
        if name.id in files:
            problems.append(_twice(name, files[name.id][1], path))
            continue
        files[name.id] = (name, path)
    for identity, (_, path) in downs.items():
        if identity not in ups:
            problems.append(
                Problem(
                    "down-without-up", f"{identity} has a down file but no up file", Location(path), "add the up file"
                )
            )
    migrations = [_migration(name, path, downs.get(identity)) for identity, (name, path) in ups.items()]
    return Found(sorted(migrations, key=_order), problems, Hooks(**hooks))


class Named(NamedTuple):
    """A migration's file, by what its name says."""

    name: Name
    path: str


def named(directories: Sequence[str]) -> list[Named]:
    """Every file below the directories that is named like a migration, in the order of their paths; none is opened.

    Raises:
        ConfigurationError: a directory is not there, or can't be read.
    """
    files = ((parse_file_name(file_name), path) for path, file_name in sorted(_sql_files(directories)))
    return [Named(name, path) for name, path in files if name is not None]


def _add_hook(hooks: dict[str, Migration], path: str) -> list[Problem]:
    name = os.path.basename(path).removesuffix(".sql")
    if name in hooks:
        return [
            Problem("duplicate-hook", f"{name} is there twice: {hooks[name].up} and {path}", Location(path), "keep one")
        ]
    digest, read_at = checksum(path)
    hooks[name] = Migration(name, None, name, path, digest, None, read_at)
    return []


def checksum(path: str) -> tuple[str, tuple[int, int, int]]:
    """SHA-256, in hex, of the file's text with BOM and line endings normalised; and the file's stamp.

    Raises:
        ScriptError: the file can't be read.
    """
    digest = hashlib.sha256()
    try:
        file = os.open(path, os.O_RDONLY)  # a file object a file costs as much as its hash
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        status = os.fstat(file)
        block = os.read(file, min(status.st_size, _CHUNK)).removeprefix(codecs.BOM_UTF8)
        while status.st_size > _CHUNK and (following := os.read(file, _CHUNK)):
            if block.endswith(b"\r"):  # its \n may be the first byte of what follows
                block, following = block[:-1], b"\r" + following
            digest.update(_with_newlines(block))
            block = following
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(file)
    digest.update(_with_newlines(block))
    return digest.hexdigest(), _stamp(status)


def _with_newlines(block: bytes) -> bytes:
    """The look for a single byte is several times quicker than a replacement that finds nothing."""
    return block.replace(b"\r\n", b"\n") if b"\r" in block else block


def read(path: str, cuts: Cuts | None = None) -> Script:
    """A file as a script. What it says is never an exception: see `Script.problems`.

    Raises:
        ScriptError: the file can't be opened.
    """
    from sqlmigrate.sql import script  # a run with nothing to do needs no scanner

    with _opened(path) as file:
        bom = len(codecs.BOM_UTF8) if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
    found = script.parse(path, _texts(path, bom), cuts, offset=bom)
    problems = (replace(one, location=seen(one.location) if one.location else None) for one in found.problems)
    return replace(found, problems=tuple(problems)) if found.problems else found


def texts(path: str) -> Iterator[str]:
    """The text of a file in chunks, without its BOM.

    Raises:
        ScriptError: it can't be opened, is not UTF-8, or holds a NUL, which no PostgreSQL text can.
    """
    with _opened(path) as file:
        bom = len(codecs.BOM_UTF8) if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
    return _texts(path, bom)


class Source:
    """The open file of a script while it is sent; it stops where the file is no longer the one that was read.

    `stamp` is what `stamp(path)` said when the script was read.
    """

    def __init__(self, path: str, stamp: tuple[int, int, int]) -> None:
        self._path = path
        self.stamp = stamp

    def text(self, piece: Piece) -> str:
        """The SQL of a piece."""
        return b"".join(self.blocks(piece.start, piece.end)).decode()

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The file's bytes from one offset to another, in blocks."""
        with _opened(self._path) as file:
            self._check(file)
            file.seek(start)
            left = end - start
            while left:
                block = file.read(min(left, _BLOCK))
                if not block:
                    raise ScriptError("the file was cut off while it was run", Location(self._path), "run again")
                left -= len(block)
                yield block
            self._check(file)

    def _check(self, file: BinaryIO) -> None:
        if _stamp(os.fstat(file.fileno())) != self.stamp:
            raise ScriptError("the file was changed while it was run", Location(self._path), "run again")


def stamp(path: str) -> tuple[int, int, int]:
    """What changes when a file is written to: its size in bytes, its time in nanoseconds, and when that was set."""
    try:
        return _stamp(os.stat(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    """Anybody can put a file's time back, but not the time at which that was done."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def seen(place: Location) -> Location:
    """The place with its line's text, for the person who reads the error."""
    if place.line is None:
        return place
    with _opened(place.path) as file:
        line = next(islice(file, place.line - 1, None), b"")
    return replace(place, text=line.decode("utf-8-sig", "replace").rstrip("\r\n"))


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> ScriptError:
    return ScriptError(f"cannot be read: {error.strerror}", Location(path))


def _texts(path: str, bom: int) -> Iterator[str]:
    """The text of a file in chunks.

    Raises:
        ScriptError: it is not UTF-8, or holds a NUL, which no PostgreSQL text can.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _opened(path) as file:
        file.seek(bom)
        while True:
            block = file.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                byte = error.object[error.start]
                at = file.tell() - len(error.object) + error.start
                raise ScriptError(
                    f"not UTF-8: byte 0x{byte:02x}", Location(path, _line_of(path, at)), "save the file as UTF-8"
                ) from error
            if "\0" in text:
                at = file.tell() - len(block) + block.index(b"\0")
                place = Location(path, _line_of(path, at))
                raise ScriptError("a NUL character", place, "save the file as UTF-8, without NUL")
            if text:
                yield text
            if not block:
                return


def _line_of(path: str, at: int) -> int:
    """The number of the line that a byte is in."""
    with _opened(path) as file:
        return 1 + file.read(at).count(b"\n")


def look_for(directories: Sequence[str]) -> None:
    """Looks whether the directories are there.

    Raises:
        ConfigurationError: one is not.
    """
    for directory in directories:
        if not os.path.isdir(directory):
            raise ConfigurationError(
                f"there is no directory {directory!r}",
                hint="name the migrations' directory with --dir or SQLMIGRATE_DIR, or make one with `sqlmigrate init`",
            )


def _sql_files(directories: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Path and name of each .sql file; a directory that a link leads to twice is read once."""
    seen: set[str] = set()
    waiting = list(directories)
    look_for(directories)
    while waiting:
        directory = waiting.pop()
        real = os.path.realpath(directory)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(directory) as entries:
                there = [(entry, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            raise ConfigurationError(f"{error.filename or directory} cannot be read: {error.strerror}") from error
        waiting += [entry.path for entry, is_directory in there if is_directory]
        for entry, is_directory in there:
            if entry.name.lower().endswith(".sql") and not is_directory:
                if not entry.is_file() and os.path.exists(entry.path):
                    raise ScriptError("not a file", Location(entry.path))  # whoever reads a pipe waits for ever
                yield entry.path, entry.name


def _migration(name: Name, path: str, down: tuple[Name, str] | None) -> Migration:
    digest, read_at = checksum(path)
    return Migration(name.id, name.version, name.name, path, digest, down[1] if down else None, read_at)


def _order(migration: Migration) -> tuple[bool, tuple[int, ...], str]:
    return migration.version is None, migration.version or (), migration.name


def _misnamed(path: str) -> Problem:
    hint = f"name it {PATTERN}, or R__{{name}}.sql to repeat it"
    name = os.path.basename(path).lower()
    if name in _HOOKS:
        hint = f"a hook is named {name}, and lies in the migrations' directory itself, not below"
    return Problem("misnamed", "not the name of a migration", Location(path), hint)


def _twice(name: Name, first: str, second: str) -> Problem:
    message, hint = f"{name.id} is there twice: {first} and {second}", "keep one"
    if name.version is not None:
        hint = "`sqlmigrate renumber` gives the one that is not applied a newer version"
    return Problem("duplicate-version", message, Location(second), hint)
