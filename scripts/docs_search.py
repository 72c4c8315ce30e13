"""MkDocs hook: makes each error message a search result of its own, with an anchor on its page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

PAGE = "troubleshooting.md"
# A message ranks above the sections of other pages that contain its words, and below a page with this title.
_BOOST_OF_MESSAGES = 2.0
# The decisions are for developers.
_BOOST_OF_DECISIONS = 0.5
_BLOCK = re.compile(r"<(p|li|tr)>((?:(?!<(?:p|li|tr)>).)*?)</\1>", re.DOTALL)
_COLUMNS = ("message", "reason")


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Ranks the decisions below the other pages."""
    if page.file.src_uri.startswith("adr/"):
        page.meta["search"] = {"boost": _BOOST_OF_DECISIONS}
    return markdown


def on_page_context(context: dict[str, Any], page: Page, config: MkDocsConfig, **_: object) -> dict[str, Any]:
    """Adds the messages to the index, after the entry of their page: the script of the search needs that order."""
    if page.file.src_uri == PAGE and page.content:
        html = page.content
        search: Any = config.plugins["material/search"]
        for number, (start, title, text) in enumerate(_messages(html)):
            anchor = f"message-{number}"
            page.content = page.content.replace(start, start.replace(">", f' id="{anchor}">', 1), 1)
            entry = {"location": f"{page.url}#{anchor}", "title": title, "text": text}
            search.search_index.entries.append({**entry, "boost": _BOOST_OF_MESSAGES})
    return context


def _messages(html: str) -> Iterator[tuple[str, str, str]]:
    """Yields the table rows, paragraphs and list items that contain messages: their HTML, the messages, the rest."""
    column = 0
    for block in _BLOCK.finditer(html):
        headers, cells = (re.findall(rf"<{tag}>(.*?)</{tag}>", block[2], re.DOTALL) for tag in ("th", "td"))
        if headers:
            column = next(at for at, header in enumerate(headers) if header in _COLUMNS)
        elif title := (cells and _plain(cells[column])) or _quoted(block[2]):
            yield block[0], title, _plain(" ".join(cells[column + 1 :]) or block[2])


def _quoted(html: str) -> str:
    codes = re.findall(r"<code[^>]*>(.*?)</code>", html, re.DOTALL)
    return ", ".join(f"<code>{code}</code>" for code in codes if _is_message(code))


def _is_message(code: str) -> bool:
    return code.count(" ") > 1 and not code.startswith(("sqlmigrate ", "git "))


def _plain(html: str) -> str:
    """Removes all tags but <code>, and attributes, as the index does."""
    return re.sub(r"<code[^>]*>", "<code>", re.sub(r"<(?!/?code\b)[^>]*>", "", html))
