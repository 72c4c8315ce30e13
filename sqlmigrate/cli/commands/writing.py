"""The commands that write files: a new project, new migrations, new versions for migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlmigrate.cli import completion
from sqlmigrate.cli.app import command, dry_run_option, version_option, yes_option
from sqlmigrate.errors import ConfigurationError, NoDatabaseConfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.authoring.generator import MigrationRequest
    from sqlmigrate.cli.app import App
    from sqlmigrate.migrator import Migrator
    from sqlmigrate.model import Version


@command("generate")
@click.argument("argument", metavar="[NAME]", required=False)
@click.option("--name", metavar="NAME", help="The name of the migration, such as add_new_feature.")
@click.option(
    "--template",
    metavar="T",
    default="empty",
    help="The template of the files; see --list.  [default: empty]",
    shell_complete=completion.offer(completion.templates),
)
@click.option("--set", "pairs", metavar="K=V", multiple=True, help="Set a variable of the template; may be repeated.")
@click.option(
    "--description",
    metavar="TEXT",
    default="",
    help="The first comment of the files, in any language.  [default: the name]",
)
@version_option(help="The version.  [default: the newest version, with the next sequence]")
@click.option("--major", "bump", flag_value="major", help="The next major version, with sequence 001.")
@click.option("--minor", "bump", flag_value="minor", help="The next minor version, with sequence 001.")
@click.option("--patch", "bump", flag_value="patch", help="The next patch version, with sequence 001.")
@dry_run_option(help="Show the files; write nothing.")
@click.option("--list", "listed", is_flag=True, help="List the templates and their variables.")
def generate(app: App, dry_run: bool, listed: bool, **request_options: Any) -> None:
    """Write the up file and the down file of a new migration from a template."""
    from sqlmigrate.authoring import generator

    if listed:
        templates = generator.templates(app.settings.dir)
        app.show(lambda to: to.templates(templates))
        return
    write = generator.plan if dry_run else generator.generate
    generated = write(app.settings.dir, _request(**request_options))
    app.show(lambda to: to.draft(generated) if dry_run else to.generated(generated))
    if generated.late:
        app.warn(f"the newer version {generated.late} already exists; see `sqlmigrate renumber`")


@command("renumber")
@click.argument("named", metavar="[FILE|VERSION]...", nargs=-1)
@click.option("--base", metavar="REF", help="The branch whose files keep their versions.  [default: origin's, or main]")
@click.option(
    "--applied-nowhere", is_flag=True, help="Do not query a database: no database has applied the files to rename."
)
@dry_run_option(help="Show the new names; change nothing.")
@yes_option
def renumber(
    app: App, named: tuple[str, ...], base: str | None, applied_nowhere: bool, dry_run: bool, yes: bool
) -> None:
    """Rename pending migrations to the newest versions: duplicate or out-of-order versions, or FILE.

    Applied migrations keep their versions. Of two pending migrations with the same version, the one that is on the
    base branch keeps it. Later migrations that are only on this branch are renamed too.
    """
    from sqlmigrate.authoring.renumber import RenumberRequest

    request = RenumberRequest(named, base, applied_nowhere=applied_nowhere)
    migrator = app.offline_migrator if applied_nowhere else _migrator(app)
    renumbering = migrator.plan_renumber(request)
    app.show(lambda to: to.renumbering(renumbering), is_answer=dry_run or not yes)
    if renumbering.moves and not dry_run:
        app.confirm("Rename these files?", yes=yes)
        migrator.renumber(request)


def _migrator(app: App) -> Migrator:
    try:
        return app.migrator
    except NoDatabaseConfigured as error:
        error.hint += ";\nor add --applied-nowhere, if no database has applied the files to rename"
        raise


def _request(
    argument: str | None,
    name: str | None,
    template: str,
    pairs: Sequence[str],
    description: str,
    version: Version | None,
    bump: str | None,
) -> MigrationRequest:
    from sqlmigrate.authoring.generator import MigrationRequest
    from sqlmigrate.files.naming import Bump

    if (argument is None) == (name is None):
        raise ConfigurationError(
            "exactly one name is required", hint="run `sqlmigrate generate --name add_new_feature`"
        )
    if version and bump:
        raise ConfigurationError(f"--version and --{bump} cannot be combined", hint="omit one of them")
    values = dict(_pair(pair) for pair in pairs)
    return MigrationRequest(name or argument or "", template, values, version or Bump(bump or "sequence"), description)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"--set {text} has no value", hint=f"write `--set {name}=…`")
    return name.strip().replace("-", "_"), value


@command("init")
@click.argument("directory", metavar="[DIR]", default=".")
def init(app: App, directory: str) -> None:
    """Create a project in DIR: settings, a first migration, a pre-commit hook, a GitHub workflow; overwrite nothing."""
    from sqlmigrate.authoring.scaffold import init

    entries = init(directory)
    app.show(lambda to: to.project(directory, entries), is_answer=False)


COMMANDS = (init, generate, renumber)
