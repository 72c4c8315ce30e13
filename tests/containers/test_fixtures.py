"""Tests `sqlmigrate.testing` with a server in a container."""

from __future__ import annotations

import shutil

import pytest

from tests.servers import ROOT

pytest_plugins = ["pytester"]


def test_the_fixtures_use_a_server_in_a_container(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLMIGRATE_TEST_SERVER", "container")
    shutil.copytree(ROOT / "examples" / "pytest", pytester.path, dirs_exist_ok=True)

    pytester.runpytest_subprocess("-p", "no:cov").assert_outcomes(passed=3)
