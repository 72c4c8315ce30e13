"""Reads cases.txt, whose head describes its format, and the files of further cases in cases/."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
_MARK = re.compile(r" *--(!|! earlier|\?|\? alone)$")


class LabelledFile(NamedTuple):
    """A file to lint, with the numbers of the lines that contain a hazard, and of the lines that are undecided."""

    name: str
    earlier: str
    sql: str
    hazards: frozenset[int]
    open: frozenset[int]

    @property
    def file_name(self) -> str:
        return f"V1.0.0-002__case.{'down' if self.name.endswith('[down]') else 'up'}.sql"

    @property
    def clean(self) -> frozenset[int]:
        """The lines without a hazard, except empty lines and comments."""
        written = enumerate(self.sql.splitlines(), 1)
        said = {number for number, line in written if line.strip() and not line.lstrip().startswith("--")}
        return frozenset(said - self.hazards - self.open)

    def write(self, directory: Path) -> Path:
        """Writes the file and its earlier file, and returns the path of the file."""
        if self.earlier:
            (directory / "V1.0.0-001__earlier.up.sql").write_text(self.earlier)
        path = directory / self.file_name
        path.write_text(self.sql)
        return path


def labelled_files() -> Iterator[LabelledFile]:
    _, _, *cases = (HERE / "cases.txt").read_text().split("=== ")
    yield from _read(cases)
    for path in sorted((HERE / "cases").glob("*.txt")):
        yield from labelled_in(path.name)


def labelled_in(name: str) -> Iterator[LabelledFile]:
    """Yields the cases of a file in cases/."""
    return _read((HERE / "cases" / name).read_text().split("=== ")[1:])


def _read(cases: Iterable[str]) -> Iterator[LabelledFile]:
    shop = (HERE / "cases.txt").read_text().split("=== ")[1]
    for case in cases:
        name, _, text = case.partition("\n")
        earlier, divided, statements = text.partition("##\n")
        if divided:
            yield _labelled(name, earlier, statements)
        else:
            yield _labelled(name, "", text)
            yield _labelled(name, shop.partition("\n")[2], text)


def _labelled(name: str, earlier: str, text: str) -> LabelledFile:
    marks = {number: match[1] for number, line in enumerate(text.splitlines(), 1) if (match := _MARK.search(line))}
    told, left = ("!", "! earlier") if earlier else ("!",), ("?",) if earlier else ("?", "? alone")
    sql = "".join(_MARK.sub("", line) + "\n" for line in text.splitlines())
    hazards = frozenset(number for number, mark in marks.items() if mark in told)
    return LabelledFile(name, earlier, sql, hazards, frozenset(n for n, mark in marks.items() if mark in left))
