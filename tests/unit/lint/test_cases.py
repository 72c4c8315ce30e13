"""Whole files: a warning on each line that holds a hazard, and on no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlmigrate.lint import Level, lint
from tests.lint.cases import LabelledFile, labelled_files

CASES = [pytest.param(one, id=f"{one.name}{' (earlier)' if one.earlier else ''}") for one in labelled_files()]


@pytest.mark.parametrize("case", CASES)
def test_case(case: LabelledFile, tmp_path: Path) -> None:
    findings = [one for one in lint([str(case.write(tmp_path))]) if one.level is not Level.INFO]
    lines = {one.location.line for one in findings}
    assert case.hazards <= lines <= case.hazards | case.open, findings


def test_there_are_enough() -> None:
    assert len(CASES) >= 800
    assert sum(len(one.hazards) for one in labelled_files()) >= 400
