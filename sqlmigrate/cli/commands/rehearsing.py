"""The commands that find out what migrations will do before they are applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sqlmigrate.cli.app import VersionType, command, yes_option
from sqlmigrate.cli.console import as_json

if TYPE_CHECKING:
    from sqlmigrate.cli.app import App
    from sqlmigrate.model import Version

_ON_TARGET = "target"
_QUESTIONS = {
    "target": "Run the pending migrations on the target and roll them back? They hold their locks until the end.",
    "copy": "Apply the pending migrations to the copy?",
}


@command("rehearse", ("text", "json", "markdown"))
@click.option("--target", type=VersionType(), metavar="V", help="The last version to rehearse.")
@click.option(
    "--on",
    "place",
    default="embedded",
    metavar="embedded|target|URL",
    help="Where to run them: an embedded server, the target itself, or a copy of it.  [default: embedded]",
)
@click.option("--stats", metavar="FILE", type=click.Path(), help="Estimate the durations for a file of `stats`.")
@click.option("--html", metavar="FILE", type=click.Path(), help="Also write an HTML page.")
@yes_option
def rehearse(app: App, target: Version | None, place: str, stats: str | None, html: str | None, yes: bool) -> None:
    """Run the pending migrations before the real run; show the locks, the work and the duration of each statement."""
    from sqlmigrate.planning import stats_file
    from sqlmigrate.scratch.rehearsing import RehearsalRequest

    sizes = stats_file.read(stats) if stats else None
    if place != "embedded":
        app.confirm(_QUESTIONS["target" if place == _ON_TARGET else "copy"], yes=yes)
    migrator = app.migrator if place == _ON_TARGET else app.offline_migrator
    result = migrator.rehearse(RehearsalRequest(place, target, sizes))

    def in_markdown(_: str) -> str:
        from sqlmigrate.render.rehearsal import markdown

        return markdown.rehearsal(result)

    if html:
        from sqlmigrate.render import html as pages  # loads jinja2

        app.save(html, pages.rehearsal(result))
    app.show(lambda to: to.rehearsal(result), in_markdown)
    if result.failure:
        raise result.failure


@command("stats")
@click.option(
    "--out", metavar="FILE", type=click.Path(), help="Write the statistics to a file, for `rehearse --stats`."
)
def stats(app: App, out: str | None) -> None:
    """Show the sizes of the tables: rows, bytes, widths and indexes, but no data."""
    sizes = app.migrator.stats()
    if out:
        app.save(out, as_json(lambda to: to.stats(sizes)))
    app.show(lambda to: to.stats(sizes), is_answer=not out)


COMMANDS = (rehearse, stats)
