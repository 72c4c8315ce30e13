"""The documentation as the tests read it: pages, their code blocks, and the notes for tests that stand above a block.

A note is an HTML comment, which no reader of the page sees:

    <!-- test: exit 3 -->               the last command of the next block ends so; without it all end with 0
    <!-- test: run by tests/x.py -->    that test runs the next block, or holds it against one that is run
    <!-- test: not run, REASON -->      nothing does
    <!-- test: begin                    commands that are run here, in silence
    cp -r "$REPOSITORY/migrations" .
    -->

A page begins with an empty directory and an empty database. A block with a title is the file of that name. In a
`console` block a line with `$ ` is a command, with `> ` the rest of one, and what stands below is what it prints:
times, sizes and ids may differ, and a line `…` stands for any lines. A command with nothing below it may print
anything. `/var` and `/run` are those of the page's own directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers import ROOT

PAGES = (
    *(path for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "rules.md"),
    *(ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md")),
)
_FENCE = re.compile(
    r"(?:^<!-- test: (?P<note>(?!begin)[^>\n]*?) *-->\n+)?"
    r"^(?P<indent> *)(?P<ticks>```+)(?P<language>\w+)(?P<rest>[^\n]*)\n"
    r"(?P<text>.*?)^(?P=indent)(?P=ticks)$|^<!-- test: begin\n(?P<begin>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A code block; those of a `begin` note have the language `begin`."""

    page: Path
    line: int
    language: str
    text: str
    title: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    text: str
    output: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in _FENCE.finditer(text):
        at = match.start("ticks") if match["begin"] is None else match.start("begin")
        line = text.count("\n", 0, at) + 1
        if match["begin"] is not None:
            yield Block(page, line, "begin", match["begin"])
            continue
        title = re.search(r'title="([^"]+)"', match["rest"])
        lines = match["text"].splitlines(keepends=True)
        content = "".join(each.removeprefix(match["indent"]) for each in lines)
        yield Block(page, line, match["language"], content, title[1] if title else "", match["note"] or "")


def commands(block: Block) -> Iterator[Command]:
    """The commands of a `console` block, without the comments behind them."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = 1
        while count < len(lines) and (lines[count - 1].endswith("\\") or lines[count].startswith("> ")):
            count += 1
        command = "\n".join(line.removeprefix("> ") for line in lines[:count])
        yield Command(command, "\n".join(lines[count:]).strip("\n"))
