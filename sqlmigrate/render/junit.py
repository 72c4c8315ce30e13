"""Findings as JUnit XML.

A file is a test suite and a finding is a test case; a file without findings is one test case that passed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from sqlmigrate.lint.finding import Level
from sqlmigrate.render.pages import page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.lint import Finding

# XML does not allow these characters.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def findings(found: Sequence[Finding], paths: Sequence[str]) -> str:
    """Returns the report. Errors and warnings are failures; other findings are output of a test that passed."""
    by_file = {path: [finding for finding in found if finding.location.path == path] for path in paths}
    tests = sum(len(group) or 1 for group in by_file.values())
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="sqlmigrate" tests="{tests}" failures="{_failures(found)}">',
            *(_suite(path, group) for path, group in by_file.items()),
            "</testsuites>",
        ]
    )


def _failures(found: Sequence[Finding]) -> int:
    return sum(_is_failure(finding) for finding in found)


def _is_failure(finding: Finding) -> bool:
    return finding.level in (Level.ERROR, Level.WARNING)


def _suite(path: str, found: Sequence[Finding]) -> str:
    name = _attribute(path)
    cases = [_case(finding) for finding in found] or [f'    <testcase name={name} classname={name} time="0"/>']
    head = f'  <testsuite name={name} tests="{len(cases)}" failures="{_failures(found)}" errors="0" skipped="0">'
    return "\n".join([head, *cases, "  </testsuite>"])


def _case(finding: Finding) -> str:
    location = finding.location
    name = _attribute(f"{finding.rule} at {location.line or 1}:{location.column or 1}")
    details = _text("\n".join(_details(finding)))
    outcome = f"<system-out>{details}</system-out>"
    if _is_failure(finding):
        outcome = f"<failure type={_attribute(finding.rule)} message={_attribute(finding.message)}>{details}</failure>"
    head = f"    <testcase name={name} classname={_attribute(location.path)} file={_attribute(location.path)}"
    return f'{head} line="{location.line or 1}" time="0">\n      {outcome}\n    </testcase>'


def _details(finding: Finding) -> Iterator[str]:
    yield str(finding.location)
    yield f"Rule: {finding.rule}"
    yield f"Level: {finding.level.value}"
    yield f"Message: {finding.message}"
    if statement := finding.location.text.strip():
        yield f"Statement: {statement}"
    if finding.safer:
        yield str(finding.safer)
    yield f"Documentation: {page(finding.rule)}"


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))


def _attribute(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("\ufffd", text))
