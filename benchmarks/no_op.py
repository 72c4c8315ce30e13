"""Names each millisecond of CPU time, user and system, of a command that has nothing to do.

`milliseconds` in `cpu.py` runs this module in processes of its own, and prints the least time of each stage.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def stages() -> Iterator[str]:
    """Does what `status` does; yields the name of each stage after it."""
    yield "Python starts"
    import psycopg  # noqa: F401  # to measure it

    yield "import psycopg"
    import click

    yield "import click"
    import sqlmigrate.cli  # noqa: F401  # to measure it

    yield "the commands and their options"
    from sqlmigrate.config.settings import load
    from sqlmigrate.files import source
    from sqlmigrate.migrator import Migrator  # noqa: F401  # to measure it
    from sqlmigrate.planning import planner
    from sqlmigrate.render import escape, text
    from sqlmigrate.target import Target

    gc.freeze()
    yield "the other modules"
    settings = load({}, os.environ)
    yield "settings"
    with Target(settings, lambda _: None).opened() as opened:
        yield "connect, find the history table"
        files = source.find(settings.dir)
        yield "list, name, read and hash the files"
        rows = opened.history.rows()
        yield "rows of the history"
    statuses = planner.statuses(files.migrations, rows)
    planner.plan_apply(statuses)
    yield "compare files and rows"
    click.echo(escape.printable(text.status(statuses)))
    yield "the table of `status`"


if __name__ == "__main__":
    ended = 0.0
    seconds: dict[str, float] = {}
    for stage in stages():
        now = time.process_time()
        seconds[stage], ended = now - ended, now
    import json

    print(json.dumps(seconds), file=sys.stderr)
