"""The commands that find out what migrations will do before they are applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sqlmigrate.cli.app import VersionType, command, yes_option

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
@yes_option
def rehearse(app: App, target: Version | None, place: str, yes: bool) -> None:
    """Run the pending migrations before the real run; show the locks, the work and the duration of each statement."""
    from sqlmigrate.scratch.rehearsing import RehearsalRequest

    if place != "embedded":
        app.confirm(_QUESTIONS["target" if place == _ON_TARGET else "copy"], yes=yes)
    migrator = app.migrator if place == _ON_TARGET else app.offline_migrator
    result = migrator.rehearse(RehearsalRequest(place, target))

    def in_markdown(_: str) -> str:
        from sqlmigrate.render.rehearsal import markdown

        return markdown.rehearsal(result)

    app.show(lambda to: to.rehearsal(result), in_markdown)
    if result.failure:
        raise result.failure


COMMANDS = (rehearse,)
