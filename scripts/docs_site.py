"""MkDocs hooks: generate pages from the program when the site is built, and correct links out of docs/."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from mkdocs.structure.files import File

from sqlmigrate.cli import main
from sqlmigrate.cli.headings import Titled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent
# The pages link to these files outside docs/. They are copied into the site with the same names.
BESIDE = ("deploy", "examples", "benchmarks", "CONTRIBUTING.md", "LICENSE")

# In the repository, which does not contain the generated pages, these links lead to the commands that the README shows.
COMMANDS = "](../README.md#use)"


def on_config(config: MkDocsConfig) -> None:
    """Adds all decision records to the navigation, in order."""
    paths = sorted((ROOT / "docs" / "adr").glob("*.md"))
    decisions = [{_title(path).partition(". ")[2]: f"adr/{path.name}"} for path in paths]
    config.nav = [*(config.nav or ()), {"Decisions": decisions}]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the generated pages and the files outside docs/."""
    files.append(File.generated(config, "commands.md", content=commands()))
    files.append(File.generated(config, "changelog.md", content=_outside_in((ROOT / "CHANGELOG.md").read_text())))
    for name in _files_outside():
        files.append(File.generated(config, name, content=(ROOT / name).read_bytes()))


def on_page_markdown(markdown: str, **_: object) -> str:
    """Changes links out of docs/ to the copies inside the site, and `COMMANDS` to the generated page."""
    return markdown.replace(COMMANDS, "](commands.md)").replace("](../", "](")


def on_page_content(html: str, **_: object) -> str:
    """Keeps short code on one line: browsers would break `--dry-run` at its hyphens."""
    return re.sub(r"<code>(?=[^<]{1,24}</code>)", '<code class="short">', html)


def _outside_in(markdown: str) -> str:
    """Returns a page of the repository's root with the links of a page in docs/."""
    return re.sub(r"\]\(docs/", "](", markdown)


def _files_outside() -> Iterator[str]:
    for name in BESIDE:
        paths = (ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name]
        yield from (str(path.relative_to(ROOT)) for path in sorted(paths) if path.is_file() and path.suffix != ".pyc")


def _title(path: Path) -> str:
    return path.read_text().partition("\n")[0].removeprefix("# ")


def commands() -> str:
    """Returns the reference of all commands, generated from click."""
    context = click.Context(main, info_name="sqlmigrate")
    by_name = {name: main.commands[name] for name in sorted(main.commands)}
    shared = _shared(by_name.values())
    sections = (_command(name, command, shared, context) for name, command in by_name.items())
    parts = [_HEAD, _overview(by_name), *sections]
    for heading, options in _by_heading(shared.values()).items():
        parts += [f"## {heading}", _table(options, context)]
    return "\n\n".join(parts) + "\n"


_HEAD = """# Commands

This page is generated from the commands when the site is built; `sqlmigrate COMMAND --help` shows the same text.
Each option that is a setting is also an environment variable and a key of the configuration file:
[Settings](configuration.md).

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed |
| 2 | wrong usage or configuration |
| 3 | pending or out of date (`check`) |
| 4 | could not obtain the lock in time |
| 129, 130, 143 | interrupted by SIGHUP, SIGINT, SIGTERM |"""


def _overview(by_name: dict[str, click.Command]) -> str:
    rows = [f"| [`{name}`](#{name}) | {_cell(_first_sentence(command))} |" for name, command in by_name.items()]
    return "\n".join(["| command | purpose |", "| --- | --- |", *rows])


def _first_sentence(command: click.Command) -> str:
    return re.split(r"(?<=\.) ", " ".join((command.help or "").split()), maxsplit=1)[0]


def _shared(commands: Iterable[click.Command]) -> dict[str, Titled]:
    """Returns the options that several commands have, each as its first command defines it."""
    options = [option for command in commands for option in command.params if isinstance(option, Titled)]
    uses = Counter(option.name for option in options)
    shared: dict[str, Titled] = {}
    for option in options:
        if uses[option.name] > 1:
            shared.setdefault(str(option.name), option)
    return shared


def _by_heading(options: Iterable[Titled]) -> dict[str, list[Titled]]:
    by_heading: dict[str, list[Titled]] = {}
    for option in options:
        by_heading.setdefault(option.heading, []).append(option)
    return by_heading


def _command(name: str, command: click.Command, shared: dict[str, Titled], context: click.Context) -> str:
    inner = click.Context(command, info_name=name, parent=context)
    usage = " ".join(["sqlmigrate", name, *command.collect_usage_pieces(inner)])
    parts = [f"## {name}", f"```text\n{usage}\n```", " ".join((command.help or "").split())]
    options = [option for option in command.params if isinstance(option, click.Option)]
    if specific := [option for option in options if not _is_as_shared(option, shared, inner)]:
        parts.append(_table(specific, inner))
    if general := _by_heading(option for option in options if isinstance(option, Titled) and option.name in shared):
        parts.append(
            "\n".join(f"- [{heading}](#{heading.lower()}): {_names(group)}" for heading, group in general.items())
        )
    return "\n\n".join(parts)


def _names(options: Iterable[click.Option]) -> str:
    return ", ".join(f"`{option.opts[0]}`" for option in options)


def _is_as_shared(option: click.Option, shared: dict[str, Titled], context: click.Context) -> bool:
    general = shared.get(str(option.name))
    return general is not None and option.get_help_record(context) == general.get_help_record(context)


def _table(options: Iterable[click.Parameter], context: click.Context) -> str:
    records = [record for option in options if (record := option.get_help_record(context))]
    rows = [f"| `{_cell(names)}` | {_cell(text)} |" for names, text in records]
    return "\n".join(["| option | meaning |", "| --- | --- |", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
