"""Reads the documentation for the tests: pages, their code blocks, and the notes for tests above a block.

A note is an HTML comment, which readers of the page do not see:

    <!-- test: exit 3 -->               the last command of the next block exits with 3; otherwise all exit with 0
    <!-- test: run by tests/x.py -->    that test runs the next block, or compares it with a block that runs
    <!-- test: not run, REASON -->      no test runs the next block
    <!-- test: begin                    commands that run at this point, without output
    cp -r "$REPOSITORY/migrations" .
    -->

A page starts with an empty directory and an empty database. A block with a title is the file of that name. In a
`console` block, a line with `$ ` is a command, a line with `> ` continues it, and the lines below are its output:
times, sizes and IDs may differ, and a line `…` matches any lines. A command without output lines may print
anything. `/var` and `/run` are replaced by directories in the page's own directory.
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
    """A code block. The commands of a `begin` note are a block with the language `begin`."""

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
        offset = match.start("ticks") if match["begin"] is None else match.start("begin")
        line = text.count("\n", 0, offset) + 1
        if match["begin"] is not None:
            yield Block(page, line, "begin", match["begin"])
            continue
        title = re.search(r'title="([^"]+)"', match["rest"])
        lines = match["text"].splitlines(keepends=True)
        content = "".join(row.removeprefix(match["indent"]) for row in lines)
        yield Block(page, line, match["language"], content, title[1] if title else "", match["note"] or "")


def commands(block: Block) -> Iterator[Command]:
    """Yields the commands of a `console` block with their output."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = 1
        while count < len(lines) and (lines[count - 1].endswith("\\") or lines[count].startswith("> ")):
            count += 1
        command = "\n".join(line.removeprefix("> ") for line in lines[:count])
        yield Command(command, "\n".join(lines[count:]).strip("\n"))
