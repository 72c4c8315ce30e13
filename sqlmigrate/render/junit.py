"""Findings as JUnit's XML: a suite a file, a case a finding; a file without findings is one case that passed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from sqlmigrate.lint.finding import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.lint import Finding

# No XML can hold them.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def findings(found: Sequence[Finding], paths: Sequence[str]) -> str:
    """The report. Errors and warnings are failures; of the rest it is only said that they are there."""
    by_file = {path: [one for one in found if one.location.path == path] for path in paths}
    tests = sum(len(own) or 1 for own in by_file.values())
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="sqlmigrate" tests="{tests}" failures="{_failures(found)}">',
            *(_suite(path, own) for path, own in by_file.items()),
            "</testsuites>",
        ]
    )


def _failures(found: Sequence[Finding]) -> int:
    return sum(_fails(one) for one in found)


def _fails(one: Finding) -> bool:
    return one.level in (Level.ERROR, Level.WARNING)


def _suite(path: str, found: Sequence[Finding]) -> str:
    name = _attribute(path)
    cases = [_case(one) for one in found] or [f'    <testcase name={name} classname={name} time="0"/>']
    head = f'  <testsuite name={name} tests="{len(cases)}" failures="{_failures(found)}" errors="0" skipped="0">'
    return "\n".join([head, *cases, "  </testsuite>"])


def _case(one: Finding) -> str:
    place = one.location
    name = _attribute(f"{one.rule} at {place.line or 1}:{place.column or 1}")
    said = _text(f"{place}: {one.message}\n{place.text}\n{one.safer}".rstrip())
    inner = f"<system-out>{said}</system-out>"
    if _fails(one):
        inner = f"<failure type={_attribute(one.rule)} message={_attribute(one.message)}>{said}</failure>"
    head = f"    <testcase name={name} classname={_attribute(place.path)} file={_attribute(place.path)}"
    return f'{head} line="{place.line or 1}" time="0">\n      {inner}\n    </testcase>'


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))


def _attribute(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("\ufffd", text))
