"""HTML pages that load nothing from the network: the frame of all, and the review, from `review.html.j2`."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.render import summary, waves
from sqlmigrate.render.escape import in_line, visible
from sqlmigrate.render.phrases import DOING, took, when
from sqlmigrate.render.rehearsal import phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from markupsafe import Markup

    from sqlmigrate.locks import TableLock
    from sqlmigrate.locks.effects import TakenLock
    from sqlmigrate.planning.rehearsed import Rehearsal
    from sqlmigrate.planning.review import Review, ReviewedStep
    from sqlmigrate.render.summary import Excerpt, TransactionExcerpt

# How many lines of a statement, and of a step, are shown.
_LINES = 1000
_LINES_OF_STEP = 3000


@dataclass(frozen=True, slots=True)
class Line:
    """A highlighted line of SQL, and its number in the file."""

    number: int
    sql: Markup


def review(made: Review) -> str:
    """Returns the page.

    Raises:
        ConfigurationError: pygments is not installed.
    """
    functions = {"summary": summary, "lines": _highlighter(), "excerpts": _excerpts, "waves": waves}
    return page("review.html.j2", ["review.css"], made=made, doing=DOING, **functions)


def rehearsal(result: Rehearsal) -> str:
    """Returns the page of a rehearsal."""
    return page("rehearsal.html.j2", ["review.css"], result=result, phrases=phrases)


def page(template: str, styles: Sequence[str], **values: object) -> str:
    """Returns a page that loads nothing from the network, made of a template and of style sheets of the package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only HTML needs it
    from markupsafe import Markup

    files = resources.files("sqlmigrate.render")
    style = "".join(files.joinpath(name).read_text("utf-8") for name in styles)
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("sqlmigrate", "render"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": in_line, "whole": visible, "when": when, "took": took}
    environment.filters |= {"groups": _groups, "tone": _tone}
    made = environment.get_template(template)
    return made.render(style=Markup(style), style_hash=_hash(style), **values)  # noqa: S704  # the package's own file


def _hash(style: str) -> str:
    """Returns the hash by which the page's Content-Security-Policy allows this style and no other."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _excerpts(step: ReviewedStep) -> list[TransactionExcerpt]:
    return list(summary.excerpts(step, _LINES, _LINES_OF_STEP))


def _tone(locks: Sequence[TableLock | TakenLock]) -> str:
    """Returns the CSS class that gives locks their colour."""
    mode = max((lock.mode for lock in locks), default=None)
    if mode is None or not mode.blocks_writes:
        return "quiet"
    return "reads" if mode.blocks_reads else "writes"


def _groups(excerpts: tuple[Excerpt, ...]) -> Iterator[list[Excerpt]]:
    """Yields groups of consecutive statements that block nobody and take the same locks; others stand alone."""

    def key(excerpt: Excerpt) -> object:
        statement = excerpt.statement
        is_alone = (
            statement.lost
            or statement.hidden
            or statement.findings
            or excerpt.more
            or _tone(statement.locks) != "quiet"
        )
        return (statement.line, id(statement)) if is_alone else (statement.locks, statement.new_table_locks)

    return (list(group) for _, group in groupby(excerpts, key))


def _highlighter() -> Callable[[Excerpt], list[Line]]:
    try:
        from pygments import formatters, highlight, lexers  # type: ignore[import-untyped]  # it has no type hints
    except ImportError as error:
        hint = "pip install 'sqlmigrate[lint]'"
        raise ConfigurationError("the HTML page requires pygments, which is not installed", hint=hint) from error
    from markupsafe import Markup

    lexer = lexers.PostgresLexer(stripnl=False, ensurenl=False)
    formatter = formatters.HtmlFormatter(nowrap=True)

    def lines(excerpt: Excerpt) -> list[Line]:
        # The formatter escapes HTML, and closes the tags of each line on that line.
        rows = highlight(excerpt.sql, lexer, formatter).removesuffix("\n").split("\n")
        return [Line(number, Markup(row)) for number, row in enumerate(rows, excerpt.statement.line)]  # noqa: S704  # escaped

    return lines
