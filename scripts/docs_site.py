"""MkDocs' hooks: pages that are made from the program itself when the site is built, and links out of docs/."""

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
# What the pages link to besides each other; these are copied into the site, below the same names.
BESIDE = ("deploy", "examples", "benchmarks", "CONTRIBUTING.md", "LICENSE")


def on_config(config: MkDocsConfig) -> None:
    """Every decision is in the navigation, in order."""
    found = sorted((ROOT / "docs" / "adr").glob("*.md"))
    decisions = [{_title(path).partition(". ")[2]: f"adr/{path.name}"} for path in found]
    config.nav = [*(config.nav or ()), {"Decisions": decisions}]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the pages that are made here, and what lies beside docs/."""
    files.append(File.generated(config, "commands.md", content=commands()))
    files.append(File.generated(config, "changelog.md", content=_outside_in((ROOT / "CHANGELOG.md").read_text())))
    for name in _beside():
        files.append(File.generated(config, name, content=(ROOT / name).read_bytes()))


def on_page_markdown(markdown: str, **_: object) -> str:
    """A link out of docs/ leads to the copy within the site."""
    return markdown.replace("](../", "](")


def on_page_content(html: str, **_: object) -> str:
    """What is short stays on a line: browsers would break `--dry-run` at its hyphens."""
    return re.sub(r"<code>(?=[^<]{1,24}</code>)", '<code class="short">', html)


def _outside_in(markdown: str) -> str:
    """A page of the repository's root, as one of docs/."""
    return re.sub(r"\]\(docs/", "](", markdown)


def _beside() -> Iterator[str]:
    for path in (ROOT / one for one in BESIDE):
        found = path.rglob("*") if path.is_dir() else [path]
        yield from (str(one.relative_to(ROOT)) for one in sorted(found) if one.is_file() and one.suffix != ".pyc")


def _title(path: Path) -> str:
    return path.read_text().partition("\n")[0].removeprefix("# ")


def commands() -> str:
    """The reference of all commands, from click."""
    context = click.Context(main, info_name="sqlmigrate")
    made = {name: main.commands[name] for name in sorted(main.commands)}
    shared = _shared(made.values())
    parts = [_HEAD, _overview(made), *(_command(name, one, shared, context) for name, one in made.items())]
    for heading, options in _by_heading(shared.values()).items():
        parts += [f"## {heading}", _table(options, context)]
    return "\n\n".join(parts) + "\n"


_HEAD = """# Commands

Made from the commands themselves when this site is built; `sqlmigrate COMMAND --help` says the same. Every option that
is a setting is also a variable in the environment, and a key of the configuration file: [Settings](configuration.md).

| exit code | means |
| --- | --- |
| 0 | done |
| 1 | failed |
| 2 | usage or configuration |
| 3 | pending or out of date (`check`) |
| 4 | the lock was not had in time |
| 129, 130, 143 | interrupted by SIGHUP, SIGINT, SIGTERM |"""


def _overview(made: dict[str, click.Command]) -> str:
    rows = [f"| [`{name}`](#{name}) | {_cell(_first_sentence(one))} |" for name, one in made.items()]
    return "\n".join(["| command | does |", "| --- | --- |", *rows])


def _first_sentence(command: click.Command) -> str:
    return re.split(r"(?<=\.) ", " ".join((command.help or "").split()), maxsplit=1)[0]


def _shared(made: Iterable[click.Command]) -> dict[str, Titled]:
    """The options of several commands, each as it is first met."""
    met = [each for one in made for each in one.params if isinstance(each, Titled)]
    times = Counter(option.name for option in met)
    found: dict[str, Titled] = {}
    for option in met:
        if times[option.name] > 1:
            found.setdefault(str(option.name), option)
    return found


def _by_heading(options: Iterable[Titled]) -> dict[str, list[Titled]]:
    found: dict[str, list[Titled]] = {}
    for option in options:
        found.setdefault(option.heading, []).append(option)
    return found


def _command(name: str, command: click.Command, shared: dict[str, Titled], context: click.Context) -> str:
    inner = click.Context(command, info_name=name, parent=context)
    usage = " ".join(["sqlmigrate", name, *command.collect_usage_pieces(inner)])
    parts = [f"## {name}", f"```text\n{usage}\n```", " ".join((command.help or "").split())]
    options = [each for each in command.params if isinstance(each, click.Option)]
    if own := [each for each in options if not _is_as_shared(each, shared, inner)]:
        parts.append(_table(own, inner))
    if besides := _by_heading(each for each in options if isinstance(each, Titled) and each.name in shared):
        parts.append("\n".join(f"- [{heading}](#{heading.lower()}): {_names(one)}" for heading, one in besides.items()))
    return "\n\n".join(parts)


def _names(options: Iterable[click.Option]) -> str:
    return ", ".join(f"`{each.opts[0]}`" for each in options)


def _is_as_shared(one: click.Option, shared: dict[str, Titled], context: click.Context) -> bool:
    other = shared.get(str(one.name))
    return other is not None and one.get_help_record(context) == other.get_help_record(context)


def _table(options: Iterable[click.Parameter], context: click.Context) -> str:
    records = [record for each in options if (record := each.get_help_record(context))]
    rows = [f"| `{_cell(names)}` | {_cell(text)} |" for names, text in records]
    return "\n".join(["| option | is |", "| --- | --- |", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
