"""The commands that write files: new migrations, new versions for them, a new project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlmigrate.cli import completing
from sqlmigrate.cli.app import command, dry_run_option, version_option, yes_option
from sqlmigrate.errors import ConfigurationError, NoDatabaseConfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.authoring.generator import Order
    from sqlmigrate.cli.app import App
    from sqlmigrate.migrator import Migrator
    from sqlmigrate.model import Version


@command("generate")
@click.argument("argument", metavar="[NAME]", required=False)
@click.option("--name", metavar="NAME", help="What the migration does, such as add_new_feature.")
@click.option(
    "--template",
    metavar="T",
    default="empty",
    help="What stands in the files; see --list.  [default: empty]",
    shell_complete=completing.offer(completing.templates),
)
@click.option("--set", "pairs", metavar="K=V", multiple=True, help="A variable of the template; may be repeated.")
@click.option("--description", metavar="TEXT", default="", help="The first comment, in any language, if not the name.")
@version_option(help="This very version.  [default: the next sequence of the newest]")
@click.option("--major", "bump", flag_value="major", help="The next major version, with sequence 001.")
@click.option("--minor", "bump", flag_value="minor", help="The next minor version, with sequence 001.")
@click.option("--patch", "bump", flag_value="patch", help="The next patch version, with sequence 001.")
@dry_run_option(help="Show the files; write nothing.")
@click.option("--list", "listed", is_flag=True, help="Show the templates, and what each takes.")
def generate(app: App, dry_run: bool, listed: bool, **given: Any) -> None:
    """Write the up and the down file of a new migration, from a template."""
    from sqlmigrate.authoring import generator

    if listed:
        app.show("templates", generator.templates(app.settings.dir))
        return
    write = generator.planned if dry_run else generator.generate
    made = write(app.settings.dir, _order(**given))
    app.show("draft" if dry_run else "generated", made)
    if made.late:
        app.warn(f"{made.late} is there already, and newer; see `sqlmigrate renumber`")


@command("renumber")
@click.argument("named", metavar="[FILE|VERSION]...", nargs=-1)
@click.option("--base", metavar="REF", help="The branch whose files stay.  [default: origin's, or main]")
@click.option("--applied-nowhere", is_flag=True, help="Ask no database: what moves is applied in none.")
@dry_run_option(help="Show what would be renamed; change nothing.")
@yes_option
def renumber(
    app: App, named: tuple[str, ...], base: str | None, applied_nowhere: bool, dry_run: bool, yes: bool
) -> None:
    """Rename what is not applied, so that it comes last: of two with one version, what is too late, or FILE.

    What is applied stays; of two that are not, the one that the base branch had first. What else is only on this
    branch, and comes behind what moves, moves along.
    """
    from sqlmigrate.authoring.renumber import Wanted

    wanted = Wanted(named, base, applied_nowhere=applied_nowhere)
    migrator = app.offline_migrator if applied_nowhere else _migrator(app)
    made = migrator.plan_renumber(wanted)
    app.show("renumbering", made)
    if made.moves and not dry_run:
        if not yes:
            app.agree("Rename them?")
        migrator.renumber(wanted)


def _migrator(app: App) -> Migrator:
    try:
        return app.migrator
    except NoDatabaseConfigured as error:
        error.hint += ";\nor give --applied-nowhere, if no database has applied the files to rename"
        raise


def _order(
    argument: str | None,
    name: str | None,
    template: str,
    pairs: Sequence[str],
    description: str,
    version: Version | None,
    bump: str | None,
) -> Order:
    from sqlmigrate.authoring.generator import Order
    from sqlmigrate.files.naming import Bump

    if (argument is None) == (name is None):
        raise ConfigurationError("give one name", hint="sqlmigrate generate --name add_new_feature")
    if version and bump:
        raise ConfigurationError(f"--version and --{bump} each choose the version", hint="leave one of them out")
    values = dict(_pair(pair) for pair in pairs)
    return Order(name or argument or "", template, values, version or Bump(bump or "sequence"), description)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"--set {text} has no value", hint=f"--set {name}=…")
    return name.strip().replace("-", "_"), value


@command("init")
@click.argument("directory", metavar="[DIR]", default=".")
def init(app: App, directory: str) -> None:
    """Make DIR a project: settings, a first migration, a pre-commit hook, a GitHub workflow. Overwrites nothing."""
    from sqlmigrate.authoring.scaffold import init

    app.show("project", directory, init(directory))


COMMANDS = (init, generate, renumber)
