"""Draws docs/images/terminal*.svg: what a terminal shows in each state of real runs on an embedded PostgreSQL."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from sqlmigrate.server import embedded
from tests.terminal import Terminal, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IMAGES = Path(__file__).parent.parent / "docs" / "images"
COLUMNS = 98
# The picture loads nothing from other files, and is dark in the light and in the dark mode. rich clips the last line.
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<style>
.{unique_id}-matrix {{
  font: {char_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  line-height: {line_height}px; font-variant-ligatures: none; white-space: pre;
}}
{styles}
</style>
<defs>
{lines}
</defs>
<rect fill="#16191d" stroke="#4b5563" x="1" y="1" width="99.8%" height="99.6%" rx="8" />
<g transform="translate({terminal_x}, 24)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

CHANNELS = "create table channels (id bigint primary key, name text not null, payload text);"
# An index on it takes some seconds.
SLOW = (
    "create function slow(text) returns text language plpgsql immutable as"
    " 'begin perform pg_sleep(0.001); return $1; end'"
)
FILL = "insert into channels select n, 'channel ' || n, repeat('x', 300) from generate_series(1, 20000) n;"
INDEX = (
    f"{FILL}\ncreate index channels_name_idx on channels (slow(name));\ncomment on table channels is 'where alerts go';"
)
ADD = "-- sqlmigrate: lock-timeout={}\nalter table channels add column kind text not null default 'email';"
SOMEBODY = "update channels set name = 'ops' where id = 1"
FIX = "sed -i s/txt/text/ migrations/V2.0.0-003*"


class Project:
    """A directory of migrations and a new database, with the lines that its commands left on the terminal."""

    def __init__(self, directory: Path, server: str, name: str) -> None:
        self.directory = directory / name
        (self.directory / "migrations").mkdir(parents=True)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'create database "{name}"')
        self.database = psycopg.conninfo.make_conninfo(server, dbname=name)
        self.picture = Text()

    def write(self, **files: str) -> None:
        """Writes files; `v2_0_0_001__name` is the name of one."""
        for name, sql in files.items():
            version = name.upper().replace("_", ".", 2).replace("_", "-", 1)[:10]
            (self.directory / "migrations" / f"{version}{name[10:]}.up.sql").write_text(f"{sql}\n")

    def query(self, *statements: str) -> None:
        """Runs statements, as somebody else."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    @contextmanager
    def somebody(self, statement: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """Another session, with an open transaction."""
        with psycopg.connect(self.database, application_name="channel-editor") as connection:
            connection.execute(statement)
            yield connection

    @contextmanager
    def running(self, command: str) -> Iterator[Terminal]:
        """A command on a terminal."""
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = {**os.environ, "DATABASE_URL": self.database, "PATH": path}
        with terminal(["sh", "-c", command], environment, self.directory, COLUMNS) as screen:
            yield screen

    def draw(self, command: str, screen: Terminal) -> None:
        """Adds the command and what is on its screen now to the picture."""
        self.picture.append("$ ", style="bold green").append(f"{command}\n", style="bold")
        self.picture.append_text(screen.styled_text)

    def shown(self, command: str) -> None:
        """Runs a command to its end and adds it to the picture."""
        with self.running(command) as screen:
            screen.end()
            self.draw(command, screen)


def overview(project: Project) -> None:
    """Draws a failure, its correction, and the status."""
    project.write(
        v2_0_0_001__create_channels="create table channels (id bigint primary key, name text not null);",
        v2_0_0_002__index_names="create index concurrently channels_name_idx on channels (name);",
        v2_0_0_003__add_kind="alter table channels add column kind txt;",
    )
    for command in ("sqlmigrate migrate", FIX, "sqlmigrate migrate", "sqlmigrate status"):
        project.shown(command)
        project.picture.append("\n" if command != FIX else "")


def running(project: Project) -> None:
    """Draws a migration that takes long."""
    project.query(SLOW)
    project.write(v2_0_0_001__create_channels=CHANNELS, v2_0_0_002__index_names=INDEX)
    with project.running("sqlmigrate migrate") as screen:
        screen.until_match(r"\d s, statement 2 of 3, index build [3-6]\d %")
        project.draw("sqlmigrate migrate", screen)


def waiting(project: Project) -> None:
    """Draws a run that waits for another run."""
    project.query(SLOW)
    project.write(v2_0_0_001__create_channels=CHANNELS, v2_0_0_002__index_names=INDEX)
    with project.running("sqlmigrate migrate") as first:
        first.until("statement 2 of 3")
        with project.running("sqlmigrate migrate") as screen:
            screen.until_match("for [3-9] s")
            project.draw("sqlmigrate migrate", screen)


def blocked(project: Project) -> None:
    """Draws a migration that waits for a lock on a table."""
    project.query(CHANNELS)
    project.write(v2_0_0_002__add_kind=ADD.format("1min"))
    with project.somebody(SOMEBODY), project.running("sqlmigrate migrate") as screen:
        screen.until_match("[3-9] s, blocked by")
        project.draw("sqlmigrate migrate", screen)


def retrying(project: Project) -> None:
    """Draws a migration that gives way to the application until its lock is free."""
    project.query(CHANNELS)
    project.write(v2_0_0_002__add_kind=ADD.format("1s"))
    with project.somebody(SOMEBODY) as other, project.running("sqlmigrate migrate") as screen:
        screen.until_match("(?s)retrying.*retrying")
        other.rollback()
        screen.end()
        project.draw("sqlmigrate migrate", screen)


def failed(project: Project) -> None:
    """Draws a failure."""
    project.write(
        v2_0_0_001__create_channels=CHANNELS,
        v2_0_0_002__fill="insert into channels values (1, 'ops'), (2, 'sales');\n"
        "insert into channels (id, name)\nvalues (2, 'support');",
    )
    project.shown("sqlmigrate migrate")


def interrupted(project: Project) -> None:
    """Draws a run that a person interrupts."""
    project.query(SLOW)
    project.write(v2_0_0_001__create_channels=CHANNELS, v2_0_0_002__index_names=INDEX)
    with project.running("sqlmigrate migrate") as screen:
        screen.until("statement 2 of 3")
        screen.press("\x03")
        screen.end()
        project.draw("sqlmigrate migrate", screen)


def done(project: Project) -> None:
    """Draws a run of many migrations to its end."""
    names = ("channels", "rules", "recipients", "messages", "templates", "schedules", "deliveries")
    tables = {f"v2_0_0_{n:03d}__create_{name}": f"create table {name} (id int);" for n, name in enumerate(names, 1)}
    changes = {f"v2_1_0_{n:03d}__extend_{name}": f"alter table {name} add b int;" for n, name in enumerate(names, 1)}
    changes["v2_1_0_003__extend_recipients"] += " select pg_sleep(1.3);"
    project.write(**tables, **changes)
    project.shown("sqlmigrate migrate")


SCENES: tuple[Callable[[Project], None], ...] = (
    overview, running, waiting, blocked, retrying, failed, interrupted, done,
)  # fmt: skip


def picture_of(scene: Callable[[Project], None]) -> Path:
    """Returns the path of a scene's picture; the README shows the first."""
    return IMAGES / ("terminal.svg" if scene is overview else f"terminal-{scene.__name__}.svg")


def save(picture: Text, path: Path) -> None:
    """Writes a picture."""
    picture.rstrip()
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(picture, soft_wrap=True)
    path.write_text(console.export_svg(theme=MONOKAI, code_format=FORMAT, unique_id="t"))


def main() -> None:
    """Draws the scenes that the arguments name, or all of them."""
    directory = Path(tempfile.mkdtemp(prefix="sqlmigrate-pictures-"))
    server = embedded.start(str(directory / ".postgres"))
    for scene in SCENES:
        if not sys.argv[1:] or scene.__name__ in sys.argv[1:]:
            project = Project(directory, server, scene.__name__)
            scene(project)
            save(project.picture, picture_of(scene))
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
