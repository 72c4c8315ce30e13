"""The linter's commands: `validate` where files are named, and `rules`. Neither connects anywhere."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sqlmigrate.cli import completing
from sqlmigrate.cli.console import Console
from sqlmigrate.cli.headings import Titled
from sqlmigrate.errors import ConfigurationError, SqlMigrateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.fix import Fix
    from sqlmigrate.lint.settings import LintSettings

FORMATS = ("text", "json", "github", "gitlab", "sarif", "junit", "gcc", "markdown")
_SHOWN = ("text", "json")
# Each reads all files before its own for their schema, so that more of them would hardly be faster.
_PROCESSES = 4
_SETTINGS = ("preset", "postgres_version", "changed_since", "fail_on")
_option = functools.partial(click.option, cls=Titled, heading="Linting files")
_OPTIONS = (
    click.argument("paths", nargs=-1, type=click.Path()),
    _option(
        "--file", "files", multiple=True, metavar="FILE", type=click.Path(), help="Lint this file; may be repeated."
    ),
    _option(
        "--preset",
        metavar="safety|all",
        help="Without matters of style, or with them.  [default: safety]",
        shell_complete=completing.offer(completing.words("safety", "all")),
    ),
    _option("--postgres-version", metavar="N", help="The server that the files are for.  [default: 18]"),
    _option("--changed-since", metavar="GITREF", help="Lint only what is not as it was there."),
    _option(
        "--fail-on",
        metavar="LEVEL",
        help="Exit 1 from this level on: error, warning, notice, info, never.  [default: warning]",
        shell_complete=completing.offer(completing.words("error", "warning", "notice", "info", "never")),
    ),
    _option("--replay", is_flag=True, help="Ask an embedded PostgreSQL what the files do."),
    # Without a value it takes the argument behind it for one; it is given back where it is a path.
    _option(
        "--fix",
        is_flag=False,
        flag_value="safe",
        metavar="[=ignore]",
        help="Write what has one right answer into the files, or comments to ignore the findings; asks first.",
    ),
    _option("--yes", "-y", is_flag=True, help="Do not ask."),
)


def options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the linter's options to `validate`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def is_asked(given: Mapping[str, Any], output_format: str) -> bool:
    """Whether a command is to lint files.

    Raises:
        ConfigurationError: it is not, and an option is only for that.
    """
    if "paths" not in given:
        return False
    if given["fix"] and output_format not in _SHOWN:
        raise ConfigurationError("--fix shows a diff", hint="give --format text or json, or leave one of the two out")
    if given["paths"] or given["files"] or given["changed_since"] or given["fix"] not in (None, "safe", "ignore"):
        return True
    names = [f"--{name.replace('_', '-')}" for name in (*_SETTINGS, "replay", "fix", "yes") if given[name]]
    names += [f"--format {output_format}"] if output_format not in _SHOWN else []
    if names:
        raise ConfigurationError(f"{names[0]} is for files", hint="name them: sqlmigrate validate FILE …")
    return False


def validate(
    console: Console, shared: Mapping[str, Any], given: dict[str, Any], file: str | None, environment: str | None
) -> NoReturn:
    """Lints files, and exits: with 1 where something is at or above `--fail-on`, with 0 otherwise.

    Raises:
        ConfigurationError
    """
    from sqlmigrate.config.settings import load_without_database
    from sqlmigrate.lint import at_least, settings

    if given["dry_run"]:
        raise ConfigurationError("--dry-run is for what is pending", hint="leave out the files, or --dry-run")
    chosen = settings.load({name: given[name] for name in _SETTINGS}, os.environ, file)
    directories = load_without_database(shared, os.environ, file, environment).dir
    fix = given["fix"]
    named = [*given["files"], *given["paths"], *([fix] if fix not in (None, "safe", "ignore") else [])]
    linting = _Linting(chosen, directories, named, replay=given["replay"])
    found = linting.findings()
    if fix:
        _fix(console, linting.fixes(found, ignore=fix == "ignore"), yes=given["yes"])
        found = linting.findings()
    console.result("findings", found, linting.paths)
    sys.exit(bool(at_least(found, chosen.fail_on)))


class _Linting:
    """The files, and how they are looked at."""

    def __init__(self, chosen: LintSettings, directories: Sequence[str], named: Sequence[str], *, replay: bool) -> None:
        from sqlmigrate.lint.selection import select

        self.paths = select(named or [one for one in directories if os.path.isdir(one)], chosen)
        self._directories = directories
        self._fail_on = chosen.fail_on
        pending = self.paths if chosen.changed_since else ()  # what a branch adds is deployed together
        self._options = replace(
            chosen.options(replay=replay),
            processes=min(os.cpu_count() or 1, _PROCESSES),
            pending=pending,
            remembers=os.environ.get("SQLMIGRATE_LINT_MEMORY", "").lower() != "off",
        )

    def findings(self) -> list[Finding]:
        from sqlmigrate.lint import lint

        return lint(self.paths, self._directories, self._options)

    def fixes(self, found: Sequence[Finding], *, ignore: bool) -> list[Fix]:
        from sqlmigrate.lint import at_least
        from sqlmigrate.lint.fix import Fixer

        fixer = Fixer(self._directories, replace(self._options, replay=False))  # a server only knows what is written
        if ignore:
            return fixer.ignores(at_least(found, self._fail_on))
        return fixer.fixes(found)


def _fix(console: Console, made: Sequence[Fix], *, yes: bool) -> None:
    from sqlmigrate.lint import fix

    console.result("fixes", made)
    if made and not yes and not console.ask("Write this?"):
        raise ConfigurationError("nothing was written", hint="say yes, or give --yes where nobody can be asked")
    for one in made:
        fix.write(one)


@click.command("rules")
@click.argument("name", required=False, shell_complete=completing.offer(completing.rules))
@click.option(
    "--format",
    "output_format",
    type=click.Choice(("text", "json", "markdown")),
    default="text",
    help="How they are shown.  [default: text]",
)
def rules(name: str | None, output_format: str) -> None:
    """Show the linter's rules, or all that is to be known of NAME."""
    from sqlmigrate.lint.rules import FAMILIES, RULES
    from sqlmigrate.lint.settings import meant

    console = Console(output_format)
    known = {rule.name: rule for rule in RULES}
    try:
        if name is None:
            console.result("rules", FAMILIES)
        elif name in known:
            console.result("rule", known[name])
        else:
            raise ConfigurationError(f"there is no rule {name!r}", hint=meant(name, known))
    except SqlMigrateError as error:
        console.error(error)
        sys.exit(error.exit_code)
    finally:
        console.close()


COMMANDS = (rules,)
