"""Writes docs/images/terminal.svg: the terminal output of a real run on an embedded PostgreSQL."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "terminal.svg"
FILES = {
    "V2.0.0-001__create_channels.up.sql": "create table channels (id bigint primary key, name text not null);",
    "V2.0.0-002__index_names.up.sql": "create index concurrently channels_name_idx on channels (name);",
    "V2.0.0-003__add_kind.up.sql": "alter table channels add column kind txt;",
}
FIX = "sed -i s/txt/text/ migrations/V2.0.0-003*"
COMMANDS = ("sqlmigrate migrate", FIX, "sqlmigrate migrate", "sqlmigrate status")
# The picture loads nothing from other files, and is dark in the light and in the dark mode.
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<style>
.{unique_id}-matrix {{
  font: {char_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  line-height: {line_height}px; font-variant-ligatures: none; white-space: pre;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
<rect fill="#16191d" stroke="#4b5563" x="1" y="1" width="99.8%" height="99.6%" rx="8" />
<g transform="translate({terminal_x}, 24)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def shown(command: str, directory: Path) -> str:
    """Returns the terminal output of a command."""
    leader, follower = pty.openpty()
    environment = {
        **os.environ,
        "DATABASE_URL": "embedded:.postgres",
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }
    process = subprocess.Popen(  # noqa: S602  # the commands are constants of this file
        command, shell=True, stdin=follower, stdout=follower, stderr=follower, cwd=directory, env=environment
    )
    os.close(follower)
    screen = b""
    with contextlib.suppress(OSError):  # Linux raises it when the other side is closed
        while block := os.read(leader, 4096):
            screen += block
    os.close(leader)
    process.wait()
    overwritten = r"[^\n]*\r\x1b\[K"
    return re.sub(overwritten, "", screen.decode().replace("\r\n", "\n"))


def session(directory: Path) -> Text:
    """Returns the commands and their output."""
    text = Text()
    for command in COMMANDS:
        text.append("$ ", style="bold green").append(f"{command}\n", style="bold")
        text.append_text(Text.from_ansi(shown(command, directory)))
        text.append("\n" if command != FIX else "")
    text.rstrip()
    return text


def main() -> None:
    """Runs the commands in a new directory and writes the picture."""
    directory = Path(tempfile.mkdtemp(prefix="sqlmigrate-picture-"))
    (directory / "migrations").mkdir()
    for name, sql in FILES.items():
        (directory / "migrations" / name).write_text(f"{sql}\n")
    console = Console(width=98, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(session(directory), soft_wrap=True)
    PICTURE.write_text(console.export_svg(theme=MONOKAI, code_format=FORMAT, unique_id="t"))
    shutil.rmtree(directory, ignore_errors=True)


main()
