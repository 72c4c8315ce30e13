"""A review as one page that asks the network for nothing; the template is `review.html.j2`."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.render import summary
from sqlmigrate.render.phrases import DOING
from sqlmigrate.render.unseen import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from markupsafe import Markup

    from sqlmigrate.locks import TableLock
    from sqlmigrate.planning.review import Review, ReviewedStep
    from sqlmigrate.render.summary import Excerpt, Part

# Of a statement and of a step, so many lines are shown.
_LINES = 1000
_LINES_OF_STEP = 3000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of SQL, highlighted, its number in the file."""

    number: int
    sql: Markup


def review(made: Review) -> str:
    """The page.

    Raises:
        ConfigurationError: the highlighter is not installed.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only this page needs it
    from markupsafe import Markup

    style = resources.files("sqlmigrate.render").joinpath("review.css").read_text("utf-8")
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("sqlmigrate", "render"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": summary.in_line, "whole": visible, "groups": _groups, "tone": _tone}
    environment.globals |= {"summary": summary, "lines": _highlighter(), "parts": _parts, "doing": DOING}
    page = environment.get_template("review.html.j2")
    return page.render(made=made, style=Markup(style), style_hash=_hash(style))  # noqa: S704  # our own file


def _hash(style: str) -> str:
    """By which the page's policy knows its own style, and lets in no other."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _parts(one: ReviewedStep) -> list[Part]:
    return list(summary.parts(one, _LINES, _LINES_OF_STEP))


def _tone(locks: tuple[TableLock, ...]) -> str:
    """The class that gives locks their colour."""
    mode = max((lock.mode for lock in locks), default=None)
    if mode is None or not mode.blocks_writes:
        return "quiet"
    return "reads" if mode.blocks_reads else "writes"


def _groups(excerpts: tuple[Excerpt, ...]) -> Iterator[list[Excerpt]]:
    """Neighbours that block nobody and of which the same is said stand together."""

    def said(excerpt: Excerpt) -> object:
        one = excerpt.statement
        loud = one.lost or one.hidden or one.findings or excerpt.more or _tone(one.locks) != "quiet"
        return (one.line, id(one)) if loud else (one.locks, one.new_table_locks)

    return (list(group) for _, group in groupby(excerpts, said))


def _highlighter() -> Callable[[Excerpt], list[Line]]:
    try:
        from pygments import formatters, highlight, lexers  # type: ignore[import-untyped]  # it ships no types
    except ImportError as error:
        hint = "pip install 'sqlmigrate[lint]'"
        raise ConfigurationError("the page needs pygments, which is not installed", hint=hint) from error
    from markupsafe import Markup

    lexer = lexers.PostgresLexer(stripnl=False, ensurenl=False)
    formatter = formatters.HtmlFormatter(nowrap=True)

    def lines(excerpt: Excerpt) -> list[Line]:
        # The formatter escapes, and closes each line's tags on that line.
        rows = highlight(excerpt.sql, lexer, formatter).removesuffix("\n").split("\n")
        return [Line(number, Markup(row)) for number, row in enumerate(rows, excerpt.statement.line)]  # noqa: S704

    return lines
