"""The linter reports every line with a hazard, and no other line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlmigrate.lint import Level, lint
from tests.lint.cases import LabelledFile, labelled_files

CASES = [pytest.param(file, id=f"{file.name}{' (earlier)' if file.earlier else ''}") for file in labelled_files()]


@pytest.mark.parametrize("case", CASES)
def test_case(case: LabelledFile, tmp_path: Path) -> None:
    findings = [finding for finding in lint([str(case.write(tmp_path))]) if finding.level is not Level.INFO]
    lines = {finding.location.line for finding in findings}
    assert case.hazards <= lines <= case.hazards | case.open, findings


def test_the_corpus_has_enough_cases() -> None:
    assert len(CASES) >= 800
    assert sum(len(file.hazards) for file in labelled_files()) >= 400
