"""The linter: `validate` with files, and `rules`. Neither connects to a database."""

from __future__ import annotations

import functools
import gc
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from sqlmigrate.cli import completion, variables
from sqlmigrate.cli.app import COLLECTION, check_variables, errors_shown, result_required, verbosity_options
from sqlmigrate.cli.console import Console
from sqlmigrate.cli.headings import Choice, Command, Titled
from sqlmigrate.config.options import LINT_LEVELS
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.cli.app import App
    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.fix import Fix
    from sqlmigrate.lint.settings import LintSettings

FORMATS = ("text", "json", "github", "gitlab", "sarif", "junit", "gcc", "markdown")
_DIFF_FORMATS = ("text", "json")  # the formats that show what `--fix` changes
_FIX_MODES = ("safe", "ignore")
# Each process reads the schema from all files before its own, so more processes are hardly faster.
_PROCESSES = 4
# Findings that are shown at a time.
_AT_ONCE = 1000
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
        help="Check safety rules only, or all rules, including style.  [default: safety]",
        shell_complete=completion.offer(completion.words("safety", "all")),
    ),
    _option("--postgres-version", metavar="N", help="The major version of the PostgreSQL server.  [default: 18]"),
    _option("--changed-since", metavar="GITREF", help="Lint only files changed since GITREF."),
    _option(
        "--fail-on",
        metavar="LEVEL",
        help="Exit 1 at this level or above: error, warning, notice, info, never.  [default: warning]",
        shell_complete=completion.offer(completion.words(*LINT_LEVELS, "never")),
    ),
    _option("--replay", is_flag=True, help="Run the files on an embedded PostgreSQL server to check them."),
    _option(
        "--fix",
        is_flag=False,
        flag_value="safe",
        metavar="[=ignore]",
        help="Write safe fixes, or comments that ignore the findings, into the files; ask first.",
    ),
    _option("--yes", "-y", is_flag=True, help="Do not ask for confirmation."),
)


def options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the linter's options to `validate`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


class Request(NamedTuple):
    """The linter's options and arguments of `validate`, as click passes them."""

    paths: tuple[str, ...]
    files: tuple[str, ...]
    preset: str | None
    postgres_version: str | None
    changed_since: str | None
    fail_on: str | None
    replay: bool
    fix: str | None
    yes: bool

    @property
    def fix_mode(self) -> str | None:
        """`safe` or `ignore`, or None without `--fix`; click takes the path after a bare `--fix` as its value."""
        return "safe" if self.fix and self.fix not in _FIX_MODES else self.fix

    @property
    def named(self) -> tuple[str, ...]:
        """The files and directories that the user named."""
        path_after_fix = (self.fix,) if self.fix and self.fix not in _FIX_MODES else ()
        return (*self.files, *self.paths, *path_after_fix)

    @property
    def names_files(self) -> bool:
        """Whether there are files to lint."""
        return bool(self.named or self.changed_since)

    def require_no_options(self, output_format: str) -> None:
        """Checks that no option is given that only works on files.

        Raises:
            ConfigurationError: one is given.
        """
        from_environment = variables.used(click.get_current_context())
        options = [
            f"--{name.replace('_', '-')}"
            for name in (*_SETTINGS, "replay", "fix", "yes")
            if getattr(self, name) and name not in from_environment
        ]
        options += [f"--format {output_format}"] if output_format not in _DIFF_FORMATS else []
        if options:
            raise ConfigurationError(f"{options[0]} requires files", hint="write `sqlmigrate validate FILE …`")


def lint(app: App, request: Request, *, dry_run: bool) -> NoReturn:
    """Lints files, and exits: with 1 where a finding is at or above `--fail-on`, with 0 otherwise.

    Raises:
        ConfigurationError
    """
    from sqlmigrate.lint import at_least, settings

    gc.freeze()  # as for the commands that run migrations
    gc.set_threshold(COLLECTION)
    if dry_run:
        raise ConfigurationError("--dry-run cannot be combined with files", hint="omit the files, or --dry-run")
    if request.fix and app.output_format not in _DIFF_FORMATS:
        raise ConfigurationError(
            f"--fix cannot be combined with --format {app.output_format}", hint="use --format text or json"
        )
    chosen = settings.read({name: getattr(request, name) for name in _SETTINGS}, app.settings.lint)
    linting = _Linting(chosen, app.settings.dir, request.named, replay=request.replay)
    found = linting.findings()
    strays = {finding.location.path for finding in found if finding.rule == "misnamed"}
    app.warn_of_unread_files(_migration_directories(app.settings.dir, request.named), strays)
    if request.fix:
        _fix(app, linting.fixes(found, ignore=request.fix_mode == "ignore"), yes=request.yes)
        found = linting.findings()
    _show(app, found, linting.paths)
    sys.exit(bool(at_least(found, chosen.fail_on)))


def _show(app: App, found: Sequence[Finding], paths: Sequence[str]) -> None:
    if app.output_format == "text" and len(found) > _AT_ONCE:
        from sqlmigrate.render import findings

        for text in findings.parts(found, paths, _AT_ONCE):
            app.show(lambda _, text=text: text)  # type: ignore[misc]  # the text of this part
        return
    app.show(
        lambda to: to.findings(found, paths),
        lambda output_format: _in_format(output_format, found, paths),
        is_answer=bool(found) or app.output_format != "text",
    )


def _migration_directories(directories: Sequence[str], named: Sequence[str]) -> list[str]:
    """Returns the named directories that belong to the migrations; other directories may contain any SQL."""
    tops = {os.path.realpath(directory) for directory in directories}
    return [name for name in named if os.path.isdir(name) and os.path.realpath(name) in tops]


def _in_format(output_format: str, found: Sequence[Finding], paths: Sequence[str]) -> str:
    from sqlmigrate.render import gcc, github, gitlab, junit, markdown, sarif

    renderers: dict[str, Callable[[Sequence[Finding], Sequence[str]], str]] = {
        "gcc": gcc.findings,
        "github": github.findings,
        "gitlab": gitlab.findings,
        "junit": junit.findings,
        "markdown": markdown.findings,
        "sarif": sarif.findings,
    }
    return renderers[output_format](found, paths)


class _Linting:
    """The files to lint, and the linter's options for them."""

    def __init__(self, chosen: LintSettings, directories: Sequence[str], named: Sequence[str], *, replay: bool) -> None:
        from sqlmigrate.lint.selection import select

        self.paths = select(named or [directory for directory in directories if os.path.isdir(directory)], chosen)
        self._directories = directories
        self._fail_on = chosen.fail_on
        pending = self.paths if chosen.changed_since else ()  # the files that a branch adds are deployed together
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

        fixer = Fixer(self._directories, replace(self._options, replay=False))  # a server only sees the written files
        if ignore:
            return fixer.ignores(at_least(found, self._fail_on))
        return fixer.fixes(found)


def _fix(app: App, fixes: Sequence[Fix], *, yes: bool) -> None:
    from sqlmigrate.lint.fix import write

    app.show(lambda to: to.fixes(fixes), is_answer=not yes)
    if fixes:
        app.confirm("Write these changes?", yes=yes)
    for fix in fixes:
        write(fix)


@click.command("rules", cls=Command)
@click.argument("name", required=False, shell_complete=completion.offer(completion.rules))
@click.option(
    "--format",
    "output_format",
    type=Choice(("text", "json", "markdown")),
    default="text",
    help="The output format.  [default: text]",
)
def rules(name: str | None, output_format: str, **_: bool) -> None:
    """List the linter's rules, or show all details of NAME."""
    console = Console(output_format)
    with result_required(console, is_required=True), errors_shown(console):
        check_variables(console)
        _show_rules(console, name)


def _show_rules(console: Console, name: str | None) -> None:
    from sqlmigrate.config.suggestion import suggestion
    from sqlmigrate.lint.rules import FAMILIES, REMOVED, RULES
    from sqlmigrate.render import markdown

    rules = {rule.name: rule for rule in RULES}
    if name is None:
        console.show(lambda to: to.rules(FAMILIES), lambda _: markdown.rules(FAMILIES))
    elif rule := rules.get(name):
        console.show(lambda to: to.rule(rule), lambda _: markdown.rule(rule))
    elif name in REMOVED:
        raise ConfigurationError(f"rule {name!r} was removed", hint="see `sqlmigrate rules` for the others")
    else:
        raise ConfigurationError(f"rule {name!r} does not exist", hint=suggestion(name, rules))


rules.params += verbosity_options()  # accepted everywhere; the list is the answer
COMMANDS = (rules,)
